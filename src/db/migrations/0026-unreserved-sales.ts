import type { Kysely } from "kysely";
import { run } from "./tools.ts";

/**
 * What one shop has sold is missing from what the others may offer from the moment its order is stored. When orders come faster
 * than they are decided, that is long before the units are reserved. The lines that wait are found by their SKU at each
 * comparison, among thousands that do not.
 */
export async function up(db: Kysely<unknown>): Promise<void> {
  await run(
    db,
    `create index order_lines_unreserved on order_lines (tenant_id, sku_id) where stage in ('new', 'arranged')`,
  );
}
