import { sql } from "kysely";
import { expect, onTestFinished, test } from "vitest";
import { until } from "../support/until.ts";
import { createTestDatabase } from "../support/database.ts";
import { openTestDatabase } from "../support/seed.ts";

test("a connection that breaks while somebody has it and asks nothing ends that work alone, never the process", async () => {
  const database = await createTestDatabase();
  const db = openTestDatabase(database.url);
  onTestFinished(async () => {
    await db.destroy();
    await database.drop();
  });
  const uncaught: unknown[] = [];
  const note = (error: unknown): void => void uncaught.push(error);
  process.on("uncaughtException", note);
  onTestFinished(() => void process.off("uncaughtException", note));

  await expect(
    db.connection().execute(async (held) => {
      const { rows } = await sql<{ pid: number }>`select pg_backend_pid() as pid`.execute(held);
      await database.asSuperuser("select pg_terminate_backend($1)", [rows[0]?.pid]);
      await until("the session is gone", async () => {
        const left = await database.asSuperuser("select from pg_stat_activity where pid = $1", [
          rows[0]?.pid,
        ]);
        return left.length === 0;
      });
      await sql`select 1`.execute(held);
    }),
  ).rejects.toThrow();
  expect(uncaught).toEqual([]);

  const { rows } = await sql<{ one: number }>`select 1 as one`.execute(db);
  expect(rows).toEqual([{ one: 1 }]);
});
