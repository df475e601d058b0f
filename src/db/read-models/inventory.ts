import { type RawBuilder, sql } from "kysely";
import type { OperationId, SkuId } from "../../domain/ids.ts";
import type { StockAnswer } from "../../domain/stock/operation.ts";
import type { TenantTransaction } from "../tenant.ts";

export type StockStatus = "in_stock" | "low_stock" | "out_of_stock";

/** A SKU with its numbers summed over all locations. */
export interface SkuRow {
  readonly id: string;
  readonly name: string;
  readonly sku: string;
  readonly barcode: string | null;
  readonly product_id: string;
  readonly product_title: string;
  readonly current_stock: number;
  readonly reserved_stock: number;
  readonly available_stock: number;
  readonly shortage: number;
  readonly buffer: number;
  readonly low_stock_threshold: number;
  readonly status: StockStatus;
  readonly last_inventory_sync: string | null;
  readonly inventory_sync_status: "synced" | "pending" | "failed" | "drift" | "paused";
  readonly stopped_since: string | null;
  /** What the list is sorted by, with the id. */
  readonly sort_name: string;
}

export interface SkuFilter {
  readonly status?: StockStatus | undefined;
  readonly search?: string | undefined;
}

export interface SkuPage {
  readonly limit: number;
  /** Rows to leave out, or the last row of the page before. */
  readonly start: number | { readonly sortName: string; readonly id: string };
}

/** Sums of one SKU's levels. A SKU without a level has nothing. */
const levelSums = sql`lateral (
  select coalesce(sum(current_stock), 0)::integer as current, coalesce(sum(reserved_stock), 0)::integer as reserved,
    coalesce(sum(available_stock), 0)::integer as available, min(stopped_at) as stopped_since
  from stock_levels where stock_levels.tenant_id = sku.tenant_id and stock_levels.sku_id = sku.id
) as level`;

const skuColumns = sql`sku.id, sku.name, sku.code as sku, sku.barcode, sku.product_id, product.title as product_title,
  level.current as current_stock, level.reserved as reserved_stock, level.available as available_stock,
  (select coalesce(sum(quantity), 0)::integer from shortages
   where shortages.tenant_id = sku.tenant_id and shortages.sku_id = sku.id and state = 'waiting') as shortage,
  sku.buffer, sku.low_stock_threshold, sku.stock_status as status, sku.last_synced_at as last_inventory_sync,
  sku.sync_status as inventory_sync_status, level.stopped_since, sku.sort_name`;

/** The tenant's SKUs by name. Returns one row more than asked for when there is a next page. */
export async function listSkus(
  transaction: TenantTransaction,
  filter: SkuFilter,
  page: SkuPage,
): Promise<{ readonly rows: readonly SkuRow[]; readonly total: number }> {
  const { ids, total } = await findPage(transaction, filter, page);
  const { rows } = await sql<SkuRow>`
    select ${skuColumns}
    from skus as sku
    join products as product on product.tenant_id = sku.tenant_id and product.id = sku.product_id
    cross join ${levelSums}
    where sku.id = any (${ids}::uuid[])
    order by sku.sort_name, sku.id
  `.execute(transaction);
  return { rows, total };
}

/**
 * The ids of a page, and how many SKUs match. A search is one pass over all of them for both, since no index answers
 * "contains" behind row-level security; without one an index gives the page.
 */
async function findPage(
  transaction: TenantTransaction,
  filter: SkuFilter,
  { limit, start }: SkuPage,
): Promise<{ readonly ids: readonly string[]; readonly total: number }> {
  const after =
    typeof start === "number" ? sql`true` : sql`(sort_name, id) > (${start.sortName}, ${start.id}::uuid)`;
  const { rows } = await sql<{ ids: readonly string[]; total: number }>`
    with matched as ${filter.search === undefined ? sql`not materialized` : sql`materialized`} (
      select sku.id, sku.sort_name from skus as sku where ${matches(filter)}
    )
    select
      array(select id from matched where ${after} order by sort_name, id
        limit ${limit + 1} offset ${typeof start === "number" ? start : 0}) as ids,
      (select count(*) from matched) as total
  `.execute(transaction);
  return rows[0] ?? { ids: [], total: 0 };
}

function matches({ status, search }: SkuFilter): RawBuilder<unknown> {
  const pattern = `%${escapeLike(search ?? "")}%`;
  return sql`${status === undefined ? sql`true` : sql`sku.stock_status = ${status}`}
    and ${search === undefined ? sql`true` : sql`sku.search_text like lower(${pattern})`}`;
}

/** Makes text match itself in a LIKE pattern. */
export function escapeLike(text: string): string {
  return text.replaceAll(/[\\%_]/g, "\\$&");
}

export async function findSku(transaction: TenantTransaction, skuId: SkuId): Promise<SkuRow | null> {
  const { rows } = await sql<SkuRow>`
    select ${skuColumns}
    from skus as sku
    join products as product on product.tenant_id = sku.tenant_id and product.id = sku.product_id
    cross join ${levelSums}
    where sku.id = ${skuId}
  `.execute(transaction);
  return rows[0] ?? null;
}

/** The SKU that a scanner reads: by its barcode, or by its code, since many labels carry that. */
export async function findSkuByBarcode(
  transaction: TenantTransaction,
  barcode: string,
): Promise<SkuRow | null> {
  const { rows } = await sql<SkuRow>`
    select ${skuColumns}
    from skus as sku
    join products as product on product.tenant_id = sku.tenant_id and product.id = sku.product_id
    cross join ${levelSums}
    where sku.barcode = ${barcode} or sku.code = ${barcode}
    order by sku.barcode = ${barcode} desc nulls last
    limit 1
  `.execute(transaction);
  return rows[0] ?? null;
}

/** What the stock has answered to an operation; null when it was not applied. */
export async function findStockAnswer(
  transaction: TenantTransaction,
  operationId: OperationId,
): Promise<StockAnswer | null> {
  const row = await transaction
    .selectFrom("stock_operations")
    .where("operation_id", "=", operationId)
    .select("answer")
    .executeTakeFirst();
  return row === undefined ? null : (row.answer as unknown as StockAnswer);
}

export interface LevelOfSku {
  readonly sku_id: string;
  readonly location_name: string;
  readonly current_stock: number;
  readonly reserved_stock: number;
  readonly available_stock: number;
}

/** The levels of several SKUs, each SKU's default location first. */
export async function listLevelsOf(
  transaction: TenantTransaction,
  skuIds: readonly string[],
): Promise<readonly LevelOfSku[]> {
  const { rows } = await sql<LevelOfSku>`
    select level.sku_id, location.name as location_name, level.current_stock, level.reserved_stock, level.available_stock
    from stock_levels as level
    join locations as location on location.tenant_id = level.tenant_id and location.id = level.location_id
    where level.sku_id = any (${skuIds}::uuid[])
    order by level.sku_id, location.is_default desc, level.location_id
  `.execute(transaction);
  return rows;
}

/** A SKU's stock at each location, the default first. */
export async function listLevels(transaction: TenantTransaction, skuId: SkuId) {
  return await transaction
    .selectFrom("stock_levels as level")
    .innerJoin("locations as location", (join) =>
      join.onRef("location.tenant_id", "=", "level.tenant_id").onRef("location.id", "=", "level.location_id"),
    )
    .where("level.sku_id", "=", skuId)
    .orderBy("location.is_default", "desc")
    .orderBy("level.location_id")
    .select([
      "level.location_id",
      "location.name as location_name",
      "location.is_default",
      "level.current_stock",
      "level.reserved_stock",
      "level.available_stock",
      "level.backorder_floor",
      "level.version",
      "level.updated_at",
    ])
    .execute();
}

export interface LevelAsOf {
  readonly location_id: string;
  readonly location_name: string;
  readonly current_stock: number;
  readonly reserved_stock: number;
  readonly available_stock: number;
  /** Of the last movement by then; null when nothing had moved there yet. */
  readonly sequence: number | null;
}

/** A SKU's stock at each location as it was at a moment. */
export async function listLevelsAsOf(
  transaction: TenantTransaction,
  skuId: SkuId,
  at: string,
): Promise<readonly LevelAsOf[]> {
  const { rows } = await sql<LevelAsOf>`
    select level.location_id, location.name as location_name, coalesce(movement.new_stock, 0) as current_stock,
      coalesce(movement.new_reserved, 0) as reserved_stock,
      coalesce(movement.new_stock - movement.new_reserved, 0) as available_stock, movement.sequence
    from stock_levels as level
    join locations as location on location.tenant_id = level.tenant_id and location.id = level.location_id
    left join lateral (
      select new_stock, new_reserved, sequence from inventory_transactions
      where tenant_id = level.tenant_id and sku_id = level.sku_id and location_id = level.location_id
        and created_at <= ${at}
      order by created_at desc, sequence desc limit 1
    ) as movement on true
    where level.sku_id = ${skuId}
    order by location.is_default desc, level.location_id
  `.execute(transaction);
  return rows;
}

/** True for a location of the seller's. */
export async function isLocation(transaction: TenantTransaction, id: string): Promise<boolean> {
  const row = await transaction.selectFrom("locations").where("id", "=", id).select("id").executeTakeFirst();
  return row !== undefined;
}

/** Where a SKU is sold. */
export async function listListings(transaction: TenantTransaction, skuId: SkuId) {
  return await transaction
    .selectFrom("listings as listing")
    .innerJoin("shops as shop", (join) =>
      join.onRef("shop.tenant_id", "=", "listing.tenant_id").onRef("shop.id", "=", "listing.shop_id"),
    )
    .where("listing.sku_id", "=", skuId)
    .orderBy("listing.id")
    .select([
      "listing.id",
      "listing.shop_id",
      "shop.name as shop_name",
      "listing.channel_product_id",
      "listing.channel_sku_id",
      "listing.warehouse_ids",
    ])
    .execute();
}

export interface MovementRow {
  readonly id: string;
  readonly sequence: number;
  readonly date: string;
  readonly type: "IN" | "OUT" | "ADJUSTMENT";
  readonly kind: string;
  readonly quantity: number;
  readonly on_hand_effect: number;
  readonly reserved_effect: number;
  readonly previous_stock: number;
  readonly new_stock: number;
  readonly previous_reserved: number;
  readonly new_reserved: number;
  readonly reason: string;
  readonly reference_type: string;
  readonly reference_id: string;
  readonly location_id: string;
  readonly actor_id: string | null;
  readonly actor_name: string | null;
}

/** A SKU's movements, newest first; one more than asked for when there are older ones. */
export async function listMovements(
  transaction: TenantTransaction,
  skuId: SkuId,
  limit: number,
  { beforeSequence, asOf }: { readonly beforeSequence: number | null; readonly asOf: string | null } = {
    beforeSequence: null,
    asOf: null,
  },
): Promise<readonly MovementRow[]> {
  const { rows } = await sql<MovementRow>`
    select movement.id, sequence, movement.created_at as date, transaction_type as type, kind, quantity, on_hand_effect,
      reserved_effect, previous_stock, new_stock, previous_reserved, new_reserved, reason, reference_type, reference_id,
      location_id, created_by as actor_id, actor.name as actor_name
    from inventory_transactions as movement
    left join users as actor on actor.tenant_id = movement.tenant_id and actor.id = movement.created_by
    where sku_id = ${skuId} and ${beforeSequence === null ? sql`true` : sql`sequence < ${beforeSequence}`}
      and ${asOf === null ? sql`true` : sql`movement.created_at <= ${asOf}`}
    order by sequence desc
    limit ${limit + 1}
  `.execute(transaction);
  return rows;
}
