import type { Kysely } from "kysely";
import { run } from "./tools.ts";

/**
 * Units that were shipped count as under way until the carrier has them, and they are counted at each comparison with the
 * channel. What has been handed over is marked afterwards and is not looked through again: a SKU that ships thousands a month
 * would pay for all of them each time.
 */
export async function up(db: Kysely<unknown>): Promise<void> {
  await run(
    db,
    `alter table reservations
       add column handed_over_at timestamptz,
       add constraint only_a_shipment_is_handed_over check (handed_over_at is null or state = 'shipped');
     create index reservations_under_way on reservations (tenant_id, sku_id)
       where state = 'shipped' and reversed_at is null and handed_over_at is null;
     drop index reservations_shipped`,
  );
}
