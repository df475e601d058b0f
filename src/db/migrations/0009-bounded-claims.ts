import type { Kysely } from "kysely";
import { run } from "./tools.ts";

/**
 * A claim looks at the front of each shop's queue and at nothing behind it, so that what it costs does not grow with what
 * waits. A delivery remembers how often in a row the channel failed when it was asked for its order.
 */
export async function up(db: Kysely<unknown>): Promise<void> {
  await run(
    db,
    `drop index webhook_deliveries_waiting;
     create index webhook_deliveries_waiting on webhook_deliveries (shop_id, first_of_order, next_attempt_at)
       where state = 'waiting';
     alter table webhook_deliveries add column failed_fetches integer not null default 0 check (failed_fetches >= 0);

     -- A column, since behind row-level security an index on the expression would be searched but not trusted to be in order.
     alter table outbox add column for_shop text not null
       generated always as (coalesce(split_part(payload ->> 'orderRef', '/', 1), '')) stored;
     drop index outbox_waiting;
     create index outbox_waiting on outbox (kind, for_shop, next_attempt_at, id) where done_at is null`,
  );
}
