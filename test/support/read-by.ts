import { sql } from "kysely";
import type { Database } from "../../src/db/connection.ts";

/** How many rows of a table some work has read, however it found them. The work is rolled back. */
export async function readBy(
  db: Database,
  table: string,
  work: (transaction: Database) => Promise<unknown>,
): Promise<number> {
  return await db.connection().execute(async (connection) => {
    await sql`begin`.execute(connection);
    // The counts go on from what the connection has read before and not reported yet.
    const count = async () => {
      const { rows } = await sql<{ read: number }>`
        select seq_tup_read + idx_tup_fetch as read from pg_stat_xact_user_tables where relname = ${table}
      `.execute(connection);
      return rows[0]?.read ?? Number.NaN;
    };
    try {
      const before = await count();
      await work(connection);
      return (await count()) - before;
    } finally {
      await sql`rollback`.execute(connection);
    }
  });
}
