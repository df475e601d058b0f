import { sql } from "kysely";
import type { ShopId, SkuId, TenantId } from "../domain/ids.ts";
import { type ListingState, syncStatusOf } from "../domain/stock/offer.ts";
import { openAlerts, resolveAlerts } from "./alerts.ts";
import type { Listing } from "./listings.ts";
import { currentTenant, type TenantTransaction } from "./tenant.ts";

/**
 * A change of the SKUs must be told to their channels. What is worse than to wait for that (failed, drift, paused) stays.
 *
 * @param soldBy the shop whose listings are not concerned.
 */
export async function markOfferPending(
  transaction: TenantTransaction,
  skuIds: readonly SkuId[],
  soldBy: ShopId | null = null,
): Promise<void> {
  if (skuIds.length === 0) return;
  const concerned = sql<boolean>`listings.sync_status = 'synced' and listings.shop_id::text is distinct from ${soldBy}::text`;
  const told = sql<boolean>`skus.sync_status = 'synced' or exists (select from listings
    where listings.tenant_id = skus.tenant_id and listings.sku_id = skus.id and ${concerned})`;
  await sql`
    with locked as materialized (${lockedSkus(skuIds, told)}), listings_told as (
      update listings set sync_status = 'pending' from locked
      where listings.tenant_id = ${currentTenant} and listings.sku_id = locked.id and ${concerned}
    )
    update skus set sync_status = 'pending' from locked
    where skus.tenant_id = ${currentTenant} and skus.id = locked.id and skus.sync_status = 'synced'
  `.execute(transaction);
}

/** SKUs before their listings, and all in one order, as a batch of their stock does: else two wait for each other. */
function lockedSkus(skuIds: readonly SkuId[], condition = sql<boolean>`true`) {
  return sql`
    select id from skus where tenant_id = ${currentTenant} and id = any (${[...skuIds]}::uuid[]) and (${condition})
    order by id for no key update`;
}

/** Notes how listings stand with their channel, and with that how their SKUs do. One that is synced has failed no more. */
export async function setListingStates(
  transaction: TenantTransaction,
  tenantId: TenantId,
  listings: readonly Listing[],
  state: ListingState["state"],
): Promise<void> {
  if (listings.length === 0) return;
  const { rows: recovered } = await sql<{ id: string | null }>`
    with locked as materialized (${lockedSkus(listings.map(({ skuId }) => skuId))})
    update listings set sync_status = ${state}
      ${state === "synced" ? sql`, last_synced_at = clock_timestamp(), missing_since = null, sync_failures = 0` : sql``}
    from locked
    where tenant_id = ${currentTenant} and sku_id = locked.id
      and listings.id = any (${listings.map(({ listingId }) => listingId)}::uuid[])
    returning case when new.sync_failures < old.sync_failures then listings.id end as id
  `.execute(transaction);
  for (const { id } of recovered) {
    if (id !== null) await resolveAlerts(transaction, tenantId, ["sync_failed"], id);
  }
  await refreshSyncStatus(
    transaction,
    listings.map(({ skuId }) => skuId),
  );
}

/** Failures in a row after which people are told. */
const syncFailuresMaximum = 3;

/**
 * Counts a try to tell a listing its number that has failed. The third in a row alerts the seller and engineering; the next
 * that works ends it.
 *
 * @param reason what the channel said, for people; without anything personal.
 * @returns how many have failed in a row.
 */
export async function noteListingFailed(
  transaction: TenantTransaction,
  tenantId: TenantId,
  { listingId, skuId }: Pick<Listing, "listingId" | "skuId">,
  reason: string,
): Promise<number> {
  const { sync_failures: failures } = await transaction
    .updateTable("listings")
    .set((eb) => ({ sync_failures: eb("sync_failures", "+", 1) }))
    .where("id", "=", listingId)
    .returning("sync_failures")
    .executeTakeFirstOrThrow();
  if (failures < syncFailuresMaximum) return failures;
  const facts = { reason: reason.slice(0, 500) };
  await openAlerts(transaction, tenantId, [{ kind: "sync_failed", skuId, subjectId: listingId, facts }]);
  return failures;
}

/** Works out anew how SKUs stand with their channels; called whenever something that it depends on has changed. */
export async function refreshSyncStatus(
  transaction: TenantTransaction,
  skuIds: readonly SkuId[],
): Promise<void> {
  if (skuIds.length === 0) return;
  const { rows } = await sql<{ id: string; paused: boolean; listings: ListingState[] }>`
    select sku.id, sku.sync_paused_at is not null as paused,
      (select coalesce(jsonb_agg(jsonb_build_object('state', listing.sync_status, 'drifts', exists (
          select from stock_drifts as drift
          where drift.tenant_id = listing.tenant_id and drift.listing_id = listing.id
            and drift.state in ('open', 'repairing')))), '[]')
       from listings as listing where listing.tenant_id = sku.tenant_id and listing.sku_id = sku.id) as listings
    from skus as sku
    where sku.tenant_id = ${currentTenant} and sku.id = any (${[...new Set(skuIds)].sort()}::uuid[])
    order by sku.id
    for no key update of sku
  `.execute(transaction);
  const changed = rows.map((row) => ({ id: row.id, status: syncStatusOf(row) }));
  await sql`
    update skus set sync_status = given.status,
      last_synced_at = case when given.status = 'synced' then clock_timestamp() else last_synced_at end
    from jsonb_to_recordset(${JSON.stringify(changed)}::jsonb) as given (id uuid, status text)
    where skus.tenant_id = ${currentTenant} and skus.id = given.id
  `.execute(transaction);
}
