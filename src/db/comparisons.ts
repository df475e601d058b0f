import { type Expression, sql } from "kysely";
import { asId, type ChannelWarehouseId, type SkuId, type TenantId } from "../domain/ids.ts";
import { clocksApartMilliseconds } from "../domain/shop/clocks.ts";
import type { ChannelNumbers } from "../domain/stock/offer.ts";
import type { Listing } from "./listings.ts";
import { currentTenant, type TenantTransaction } from "./tenant.ts";

/**
 * Opens a transaction in which SKUs' offers are compared. What was observed before it is seen by all news of hand-overs that
 * it does not see itself (`findComparedSince`): of a comparison and such news one always knows of the other. Both take the
 * SKUs in one order, so that neither waits for the other in a circle.
 */
export async function beginComparison(
  transaction: TenantTransaction,
  skuIds: readonly SkuId[],
): Promise<void> {
  await sql`select pg_advisory_xact_lock(${comparisonLock(sql.ref("sku_id"))}) from (
    select distinct sku_id from unnest(${[...skuIds]}::text[]) as given (sku_id) order by sku_id
  ) as skus`.execute(transaction);
}

/**
 * SKUs of an order that were compared with the channel although it may have changed the order before: to be asked in the
 * transaction that takes the change in.
 *
 * @param unchangedAt ISO time by the channel's clock at which the order was last known as it was before.
 */
export async function findComparedSince(
  transaction: TenantTransaction,
  orderId: string,
  unchangedAt: string,
): Promise<readonly SkuId[]> {
  const since = new Date(Date.parse(unchangedAt) - clocksApartMilliseconds).toISOString();
  // Comparisons under way are waited for here, and seen by the statement after it.
  await sql`select pg_advisory_xact_lock_shared(${comparisonLock(sql.ref("sku_id"))}) from (
    select distinct sku_id::text from order_lines where order_id = ${orderId} and sku_id is not null order by sku_id
  ) as skus`.execute(transaction);
  const rows = await transaction
    .selectFrom("order_lines")
    .where("order_id", "=", orderId)
    .where((eb) =>
      eb.exists(
        eb
          .selectFrom("channel_observations")
          .whereRef("channel_observations.sku_id", "=", "order_lines.sku_id")
          .where("observed_at", ">=", since),
      ),
    )
    .select("sku_id")
    .distinct()
    .execute();
  return rows.flatMap(({ sku_id: skuId }) => (skuId === null ? [] : [asId<"Sku">(skuId)]));
}

function comparisonLock(skuId: Expression<string | null>) {
  return sql`hashtextextended('comparison ' || ${skuId}, 0)`;
}

/** What the channel said of a listing at one warehouse. */
export interface Observation extends ChannelNumbers {
  readonly listing: Listing;
  readonly warehouseId: ChannelWarehouseId;
  /** Of the locked units, over all warehouses. */
  readonly campaign: number;
  readonly creator: number;
}

export async function appendObservations(
  transaction: TenantTransaction,
  tenantId: TenantId,
  observations: readonly Observation[],
): Promise<void> {
  if (observations.length === 0) return;
  await transaction
    .insertInto("channel_observations")
    .values(
      observations.map((observation) => ({
        tenant_id: tenantId,
        listing_id: observation.listing.listingId,
        sku_id: observation.listing.skuId,
        warehouse_id: observation.warehouseId,
        available: observation.available,
        committed: observation.committed,
        campaign: observation.campaign,
        creator: observation.creator,
      })),
    )
    .execute();
}

/** A number about to be pushed, with what it was computed from. */
export interface IntendedPush {
  readonly seen: Observation;
  readonly desired: number;
  /** ISO time of what made the number wrong; null: nobody has told, it was found now. */
  readonly causedAt: string | null;
}

/**
 * Writes down what is about to be pushed. One push is in flight for a listing and warehouse: one that was left open by an
 * attempt with an unclear outcome is superseded, since the channel has been read anew. Its cause is still not made good, so
 * the new push inherits the time of it.
 */
export async function openPushIntents(
  transaction: TenantTransaction,
  tenantId: TenantId,
  pushes: readonly IntendedPush[],
): Promise<void> {
  const rows = pushes.map(({ seen, desired, causedAt }) => ({
    listing_id: seen.listing.listingId,
    sku_id: seen.listing.skuId,
    warehouse_id: seen.warehouseId,
    desired_available: desired,
    available_seen: seen.available,
    committed_seen: seen.committed,
    caused_at: causedAt,
  }));
  const superseded = await closePushIntents(
    transaction,
    pushes.map(({ seen }) => seen.listing.listingId),
    "superseded",
    "read anew",
  );
  await sql`
    insert into push_intents (tenant_id, listing_id, sku_id, warehouse_id, desired_available, available_seen,
      committed_seen, caused_at)
    select ${tenantId}, given.listing_id, given.sku_id, given.warehouse_id, given.desired_available,
      given.available_seen, given.committed_seen, coalesce(least(given.caused_at, earlier.caused_at), clock_timestamp())
    from jsonb_to_recordset(${JSON.stringify(rows)}::jsonb) as given (listing_id uuid, sku_id uuid, warehouse_id text,
      desired_available integer, available_seen integer, committed_seen integer, caused_at timestamptz)
    left join (select listing_id, min(caused_at) as caused_at
      from jsonb_to_recordset(${JSON.stringify(superseded)}::jsonb) as closed (listing_id uuid, caused_at timestamptz)
      group by listing_id) as earlier on earlier.listing_id = given.listing_id
  `.execute(transaction);
}

/** @returns those that were open, with the times of their causes and of their ends. */
export async function closePushIntents(
  transaction: TenantTransaction,
  listingIds: readonly string[],
  state: "confirmed" | "refused" | "superseded",
  outcome: string,
): Promise<
  readonly { readonly listing_id: string; readonly caused_at: string; readonly closed_at: string }[]
> {
  if (listingIds.length === 0) return [];
  const { rows } = await sql<{ listing_id: string; caused_at: string; closed_at: string }>`
    update push_intents set state = ${state}, outcome = ${outcome.slice(0, 1_000)}, closed_at = clock_timestamp()
    where tenant_id = ${currentTenant} and listing_id = any (${[...listingIds]}::uuid[]) and state = 'open'
    returning listing_id, caused_at, closed_at
  `.execute(transaction);
  return rows;
}
