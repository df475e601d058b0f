import type { Kysely } from "kysely";
import { run } from "./tools.ts";

/** Deliveries are claimed by the order: all that wait for one are answered by one fetch. */
export async function up(db: Kysely<unknown>): Promise<void> {
  await run(
    db,
    `create index webhook_deliveries_of_order on webhook_deliveries (shop_id, channel_order_id) where state = 'waiting'`,
  );
}
