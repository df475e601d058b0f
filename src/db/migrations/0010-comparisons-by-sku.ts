import type { Kysely } from "kysely";
import { run } from "./tools.ts";

/** News of an order's hand-over ask whether its SKUs were compared with the channel before: by SKU, not by listing. */
export async function up(db: Kysely<unknown>): Promise<void> {
  await run(
    db,
    `create index if not exists channel_observations_by_sku on channel_observations (tenant_id, sku_id, observed_at desc);
     drop index if exists channel_observations_recent`,
  );
}
