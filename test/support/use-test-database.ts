import { beforeAll } from "vitest";
import type { Database, DatabaseRole } from "../../src/db/connection.ts";
import { createTestDatabase, type TestDatabase } from "./database.ts";
import { openTestDatabase } from "./seed.ts";

export interface UsedTestDatabase extends TestDatabase {
  /** Opens a pool, as the app unless told, that is closed before the database goes. */
  open(role?: DatabaseRole): Database;
}

/**
 * Gives a test file, or a `describe`, a database of its own: made and handed to `prepare` before its tests, dropped after
 * them. Call it above hooks of your own that use it: what they started has then ended before its pools are closed.
 */
export function useTestDatabase(prepare: (database: UsedTestDatabase) => void | Promise<void>): void {
  beforeAll(async () => {
    const database = await createTestDatabase();
    const pools: Database[] = [];
    const end = async (): Promise<void> => {
      await Promise.all(pools.map((pool) => pool.destroy()));
      await database.drop();
    };
    try {
      await prepare({
        ...database,
        open(role) {
          const pool = openTestDatabase(database.url, role);
          pools.push(pool);
          return pool;
        },
      });
    } catch (error) {
      await end();
      throw error;
    }
    // Not as an afterAll: those run before whatever a beforeAll returned, which may still use the database.
    return end;
  });
}
