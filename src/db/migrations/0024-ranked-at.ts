import type { Kysely } from "kysely";
import { run } from "./tools.ts";

/**
 * Since when a claim that waits has its place in the queue: that an order was paid may be news that come late, and until then it
 * stood behind all that were. Of claims from before nobody knows.
 */
export async function up(db: Kysely<unknown>): Promise<void> {
  await run(
    db,
    `alter table shortages add column ranked_at timestamptz;
     alter table shortages alter column ranked_at set default clock_timestamp()`,
  );
}
