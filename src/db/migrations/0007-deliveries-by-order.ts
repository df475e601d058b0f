import type { Kysely } from "kysely";
import { run } from "./tools.ts";

/**
 * Deliveries are claimed by the order, since all that wait for one are answered by one fetch; and an order's first delivery
 * is marked, since units that nobody has reserved yet are more urgent than news of an order that is known.
 */
export async function up(db: Kysely<unknown>): Promise<void> {
  await run(
    db,
    `create index webhook_deliveries_of_order on webhook_deliveries (shop_id, channel_order_id);
     alter table webhook_deliveries add column first_of_order boolean not null default false;
     grant select (shop_id, channel_order_id) on webhook_deliveries to cf_ingest`,
  );
}
