import { sql } from "kysely";
import { type ReorderRecommendation, reorderRecommendation } from "../domain/alert/reorder.ts";
import { thresholdFor, type ThresholdMode } from "../domain/alert/threshold.ts";
import { type Sales, salesDays } from "../domain/alert/velocity.ts";
import { asId, type SkuId, type TenantId } from "../domain/ids.ts";
import { appendToOutbox } from "./outbox.ts";
import { noteThresholdChanged } from "./stock-alerts.ts";
import { currentTenant, type TenantTransaction } from "./tenant.ts";

/** What a row says of a SKU's sales. */
interface SalesBasis {
  readonly units_sold_30_days: number;
  readonly created_at: string;
  readonly now: string;
}

function toSales({ units_sold_30_days: unitsSold, created_at: createdAt, now }: SalesBasis): Sales {
  const days = Math.floor((Date.parse(now) - Date.parse(createdAt)) / 86_400_000);
  return { unitsSold, daysObserved: Math.min(salesDays, Math.max(0, days)) };
}

/**
 * Sets at how many units a SKU's stock is low, and has its alerts compared with it.
 *
 * @param wanted a number that a person has fixed, or that it follows sales from now on.
 * @param cause names the change: of two calls with the same one counts.
 * @returns the threshold now and before, or null when there is no such SKU.
 */
export async function setThreshold(
  transaction: TenantTransaction,
  tenantId: TenantId,
  skuId: SkuId,
  wanted: { readonly mode: "automatic" } | { readonly mode: "fixed"; readonly threshold: number },
  cause: string,
): Promise<{ readonly threshold: number; readonly before: number } | null> {
  const row = await transaction
    .selectFrom("skus")
    .where("id", "=", skuId)
    .select(["low_stock_threshold", "units_sold_30_days", "created_at", sql<string>`now()`.as("now")])
    .forNoKeyUpdate()
    .executeTakeFirst();
  if (row === undefined) return null;
  const before = row.low_stock_threshold;
  const fixed = wanted.mode === "fixed" ? wanted.threshold : before;
  const threshold = thresholdFor({ mode: wanted.mode, fixed, ...toSales(row) });
  await transaction
    .updateTable("skus")
    .set({ threshold_mode: wanted.mode, low_stock_threshold: threshold })
    .where("id", "=", skuId)
    .execute();
  if (threshold !== before) await noteThresholdChanged(transaction, tenantId, skuId, cause);
  return { threshold, before };
}

/**
 * Sets how a SKU's threshold is found and how long its supply takes.
 *
 * @param leadTimeDays null: as long as the seller's usually does.
 * @returns false when there is no such SKU.
 */
export async function setReplenishment(
  transaction: TenantTransaction,
  tenantId: TenantId,
  skuId: SkuId,
  wanted: Parameters<typeof setThreshold>[3],
  leadTimeDays: number | null,
  cause: string,
): Promise<boolean> {
  const set = await setThreshold(transaction, tenantId, skuId, wanted, cause);
  await transaction
    .updateTable("skus")
    .set({ lead_time_days: leadTimeDays })
    .where("id", "=", skuId)
    .execute();
  return set !== null;
}

/** What to order of a SKU now; null when it is not known. */
export async function findRecommendation(
  transaction: TenantTransaction,
  skuId: SkuId,
): Promise<ReorderRecommendation | null> {
  const { rows } = await sql<
    SalesBasis & { available: number; lead_time_days: number; target_cover_days: number }
  >`
    select sku.units_sold_30_days, sku.created_at, clock_timestamp() as now,
      coalesce(sku.lead_time_days, tenant.lead_time_days) as lead_time_days, tenant.target_cover_days,
      (select coalesce(sum(available_stock), 0)::integer from stock_levels as level
       where level.tenant_id = sku.tenant_id and level.sku_id = sku.id) as available
    from skus as sku join tenants as tenant on tenant.tenant_id = sku.tenant_id
    where sku.id = ${skuId}
  `.execute(transaction);
  const [row] = rows;
  if (row === undefined) return null;
  return reorderRecommendation({
    ...toSales(row),
    available: row.available,
    leadTimeDays: row.lead_time_days,
    targetCoverDays: row.target_cover_days,
  });
}

/** SKUs of which the sales are counted in one transaction. */
const salesPageSize = 200;

/**
 * Counts what was sold of one page of SKUs since it was counted last, and lets automatic thresholds follow. Each movement is
 * counted once: the sequence up to which it was counted moves in the same transaction.
 *
 * @param after the last SKU of the page before; null for the first page.
 * @returns the page's last SKU, null when there is none after it.
 */
export async function followSalesOfPage(
  transaction: TenantTransaction,
  tenantId: TenantId,
  after: SkuId | null,
): Promise<SkuId | null> {
  const counted = await countSales(transaction, tenantId, after);
  if (counted.length > 0) await saveSales(transaction, tenantId, counted);
  const last = counted.at(-1);
  return last === undefined || counted.length < salesPageSize ? null : last.skuId;
}

interface CountedSku {
  readonly skuId: SkuId;
  readonly sequence: number;
}

async function countSales(
  transaction: TenantTransaction,
  tenantId: TenantId,
  after: SkuId | null,
): Promise<readonly CountedSku[]> {
  // Whoever counts beside us waits here and then sees our sequence: of two none counts twice.
  const { rows } = await sql<{ id: string; sequence: number }>`
    with page as materialized (
      select id, sales_counted_sequence from skus
      where tenant_id = ${currentTenant} and ${after === null ? sql`true` : sql`id > ${after}`}
      order by id limit ${sql.lit(salesPageSize)}
      for no key update
    ), moved as materialized (
      select page.id as sku_id, line.kind, line.quantity, line.sequence, (line.created_at at time zone 'UTC')::date as day
      from page
      join inventory_transactions as line on line.tenant_id = ${currentTenant} and line.sku_id = page.id
        and line.sequence > page.sales_counted_sequence
        and line.created_at > now() - make_interval(days => ${sql.lit(salesDays + 1)})
    ), sold as (
      insert into daily_sales as known (tenant_id, sku_id, day, units)
      select ${tenantId}, sku_id, day, sum(case kind when 'ship' then quantity else -quantity end)
      from moved where kind in ('ship', 'ship_reversed')
      group by sku_id, day
      on conflict (tenant_id, sku_id, day) do update set units = known.units + excluded.units
    )
    select page.id, greatest(page.sales_counted_sequence, max(moved.sequence)) as sequence
    from page left join moved on moved.sku_id = page.id
    group by page.id, page.sales_counted_sequence
    order by page.id
  `.execute(transaction);
  return rows.map(({ id, sequence }) => ({ skuId: asId<"Sku">(id), sequence }));
}

async function saveSales(
  transaction: TenantTransaction,
  tenantId: TenantId,
  counted: readonly CountedSku[],
): Promise<void> {
  const { rows } = await sql<
    SalesBasis & {
      id: string;
      units: number;
      threshold_mode: ThresholdMode;
      low_stock_threshold: number;
      today: string;
    }
  >`
    select sku.id, sku.created_at, now() as now, (now() at time zone 'UTC')::date::text as today, sku.threshold_mode,
      sku.low_stock_threshold,
      coalesce(sum(sold.units), 0)::integer as units_sold_30_days
    from skus as sku
    left join daily_sales as sold on sold.tenant_id = sku.tenant_id and sold.sku_id = sku.id
      and sold.day > (now() at time zone 'UTC')::date - ${sql.lit(salesDays)}
    where sku.id = any (${counted.map(({ skuId }) => skuId)}::uuid[])
    group by sku.tenant_id, sku.id
  `.execute(transaction);
  const sequences = new Map<string, number>(counted.map(({ skuId, sequence }) => [skuId, sequence]));
  const followed = rows.map((row) => {
    const sequence = sequences.get(row.id) ?? 0;
    const threshold = thresholdFor({
      mode: row.threshold_mode,
      fixed: row.low_stock_threshold,
      ...toSales(row),
    });
    return { ...row, sequence, threshold };
  });
  await sql`
    update skus as sku
    set sales_counted_sequence = given.sequence, units_sold_30_days = given.units, low_stock_threshold = given.threshold
    from jsonb_to_recordset(${JSON.stringify(
      followed.map(({ id, sequence, units_sold_30_days: units, threshold }) => ({
        id,
        sequence,
        units,
        threshold,
      })),
    )}::jsonb) as given (id uuid, sequence bigint, units integer, threshold integer)
    where sku.tenant_id = ${currentTenant} and sku.id = given.id
      and (sku.sales_counted_sequence, sku.units_sold_30_days, sku.low_stock_threshold)
        is distinct from (given.sequence, given.units, given.threshold)
  `.execute(transaction);
  await appendToOutbox(
    transaction,
    tenantId,
    followed
      .filter(({ threshold, low_stock_threshold: before }) => threshold !== before)
      .map(({ id, sequence, today, threshold }) => ({
        kind: "check_alerts" as const,
        key: `${id}/follows/${today}/${sequence}/${threshold}`,
        payload: { skuId: id },
      })),
  );
}
