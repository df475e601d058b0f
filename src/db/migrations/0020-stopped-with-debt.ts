import type { Kysely } from "kysely";
import { run } from "./tools.ts";

/**
 * A level that is stopped may have promised more than there is: that was done by the wrong number. Its backorder floor is the
 * seller's word and stays; the level goes on when what is promised is no more than the floor allows.
 */
export async function up(db: Kysely<unknown>): Promise<void> {
  await run(
    db,
    `alter table stock_levels
       drop constraint never_promised_twice,
       add constraint never_promised_twice
         check (stopped_at is not null or current_stock - reserved_stock >= backorder_floor)`,
  );
}
