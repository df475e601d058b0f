import type { Database } from "../db/connection.ts";
import {
  type LevelOfSku,
  listLevelsOf,
  listSkus,
  type SkuFilter,
  type SkuRow,
} from "../db/read-models/inventory.ts";
import { withTenant } from "../db/tenant.ts";
import type { TenantId } from "../domain/ids.ts";
import { type CsvCell, csvLines } from "./csv.ts";

const skusOfPage = 500;

const head = [
  "sku",
  "barcode",
  "location",
  "name",
  "product",
  "on_hand",
  "reserved",
  "available",
  "short",
  "low_stock_threshold",
  "status",
] as const;

/** The stock in lines of CSV, page by page; each page is a short transaction of its own. */
export async function* exportStock(
  db: Database,
  tenantId: TenantId,
  filter: SkuFilter,
): AsyncGenerator<string, void, undefined> {
  yield csvLines([head]);
  let start: Parameters<typeof listSkus>[2]["start"] = 0;
  while (true) {
    const from = start;
    const { skus, levels } = await withTenant(db, tenantId, async (transaction) => {
      const { rows: found } = await listSkus(transaction, filter, { limit: skusOfPage, start: from });
      const ids = found.map(({ id }) => id);
      return { skus: found, levels: await listLevelsOf(transaction, ids) };
    });
    const levelsOf = new Map<string, LevelOfSku[]>();
    for (const level of levels) levelsOf.set(level.sku_id, [...(levelsOf.get(level.sku_id) ?? []), level]);
    const page = skus.slice(0, skusOfPage);
    const last = page.at(-1);
    if (last !== undefined) {
      yield csvLines(page.flatMap((sku) => linesOf(sku, levelsOf.get(sku.id) ?? [])));
    }
    if (last === undefined || skus.length <= skusOfPage) return;
    start = { sortName: last.sort_name, id: last.id };
  }
}

/** A SKU that lies nowhere has a line all the same. */
function linesOf(sku: SkuRow, levels: readonly LevelOfSku[]): readonly (readonly CsvCell[])[] {
  const places = levels.length > 0 ? levels : [null];
  return places.map((level) => [
    sku.sku,
    sku.barcode,
    level?.location_name ?? null,
    sku.name,
    sku.product_title,
    level?.current_stock ?? 0,
    level?.reserved_stock ?? 0,
    level?.available_stock ?? 0,
    sku.shortage,
    sku.low_stock_threshold,
    sku.status,
  ]);
}
