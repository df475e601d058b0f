import { crashPoint } from "../crash-points.ts";
import {
  closeDrifts,
  type FoundDrift,
  getListingContexts,
  type ListingContext,
  markMissing,
  recordDrifts,
} from "../db/drifts.ts";
import {
  appendObservations,
  beginComparison,
  closePushIntents,
  type Observation,
} from "../db/comparisons.ts";
import { forgetNews, type Listing, pageListings } from "../db/listings.ts";
import { cellKey, getOurNumbers, type OurCell } from "../db/our-numbers.ts";
import { setListingStates } from "../db/sync-status.ts";
import { appendToOutbox } from "../db/outbox.ts";
import { type TenantTransaction, withTenant } from "../db/tenant.ts";
import type { TenantId } from "../domain/ids.ts";
import { desiredTotalOf } from "../domain/stock/offer.ts";
import { type DriftRule, type Reconciliation, reconcile } from "../domain/stock/reconcile.ts";
import type { InventorySyncInput, InventorySyncStep } from "../workflows/messages.ts";
import type { ActivityDependencies } from "./dependencies.ts";
import { asActivityFailure } from "./failures.ts";
import { observationsOf } from "./offer-comparison.ts";

/** TikTok Shop reads the stock of at most 600 SKUs a call. */
const listingsPerPage = 600;

/** A listing at one warehouse, with what the look came to. */
interface Look {
  readonly listing: Listing;
  readonly warehouseId: string;
  readonly seen: Observation | null;
  readonly cell: OurCell;
  readonly rule: DriftRule;
  readonly found: Reconciliation;
}

export function createInventorySyncActivities({ db, channel }: Pick<ActivityDependencies, "db" | "channel">) {
  return {
    /**
     * Looks at one page of a shop's listings: what the channel shows of them is stored, and compared in one transaction with
     * what it should be. What only waits for its push is told to the SKU's entity, what nothing explains is recorded as a
     * drift, and what agrees closes the drift that was.
     */
    async syncInventoryPage({
      tenantId,
      shopId,
      skuId,
      withNews = false,
      after,
    }: Omit<InventorySyncInput, "queuePrefix" | "counts">): Promise<InventorySyncStep> {
      const listings = await withTenant(db, tenantId, (transaction) =>
        pageListings(transaction, shopId, {
          after: after ?? null,
          skuId: skuId ?? null,
          withNews,
          limit: listingsPerPage,
        }),
      );
      if (listings.length === 0)
        return { compared: 0, agreed: 0, underWay: 0, pushed: 0, drifting: 0, next: null };
      const stock = await channel
        .readStock(
          { tenantId, shopId },
          listings.map(({ channelSkuId }) => channelSkuId),
          3,
        )
        .catch((error: unknown) => {
          throw asActivityFailure(error);
        });
      const observations = listings.flatMap((listing) => observationsOf(listing, stock));
      await withTenant(db, tenantId, (transaction) =>
        appendObservations(transaction, tenantId, observations),
      );
      crashPoint("stock sync: page observed, not compared");
      const step = await withTenant(db, tenantId, async (transaction) => {
        const looks = await lookAtPage(transaction, listings, observations);
        const drifting = await writeLooks(transaction, tenantId, shopId, looks);
        await forgetNews(transaction, listings);
        const countOf = (is: Reconciliation["is"]) => looks.filter(({ found }) => found.is === is).length;
        return {
          compared: looks.length,
          agreed: countOf("agreed"),
          underWay: countOf("under_way"),
          pushed: countOf("push_needed"),
          drifting,
        };
      });
      crashPoint("stock sync: page compared, not answered");
      const last = listings.at(-1)?.listingId ?? null;
      return { ...step, next: listings.length < listingsPerPage ? null : last };
    },
  };
}

async function lookAtPage(
  transaction: TenantTransaction,
  listings: readonly Listing[],
  observations: readonly Observation[],
): Promise<readonly Look[]> {
  // Nothing is pushed of a paused SKU, so its listings show what they will.
  const compared = listings.filter(({ paused }) => !paused);
  const ids = compared.map(({ listingId }) => listingId);
  await beginComparison(
    transaction,
    compared.map(({ skuId }) => skuId),
  );
  const contexts = await getListingContexts(transaction, ids);
  const ours = await getOurNumbers(transaction, ids);
  const seenAt = new Map(
    observations.map((seen) => [cellKey(seen.listing.listingId, seen.warehouseId), seen]),
  );
  return compared.flatMap((listing) => {
    const context = contexts.get(listing.listingId);
    if (context === undefined) return [];
    return listing.warehouseIds.flatMap((warehouseId): Look[] => {
      const key = cellKey(listing.listingId, warehouseId);
      const cell = ours.get(key);
      if (cell === undefined) return [];
      const seen = seenAt.get(key) ?? null;
      const found = lookAtCell(context, warehouseId, cell, seen);
      return [{ listing, warehouseId, seen, cell, rule: context.driftRule, found }];
    });
  });
}

function lookAtCell(
  context: ListingContext,
  warehouseId: string,
  { ours, cap }: OurCell,
  seen: Observation | null,
): Reconciliation {
  return reconcile({
    ours,
    theirs: seen,
    cap,
    before: context.before.get(warehouseId) ?? null,
    pushes: context.pushes.filter((push) => push.warehouseId === warehouseId),
    isChanging: context.isChanging,
    needsPush: context.needsPush,
  });
}

/** @returns how many drifts are open. */
async function writeLooks(
  transaction: TenantTransaction,
  tenantId: TenantId,
  shopId: Listing["shopId"],
  looks: readonly Look[],
): Promise<number> {
  const differing = new Set(
    looks.filter(({ found }) => found.is !== "agreed").map(({ listing }) => listing.listingId),
  );
  const agreeing = [
    ...new Map(
      looks
        .filter(({ listing }) => !differing.has(listing.listingId))
        .map(({ listing }) => [listing.listingId, listing] as const),
    ).values(),
  ];
  const agreeingIds = agreeing.map(({ listingId }) => listingId);
  await closePushIntents(transaction, agreeingIds, "confirmed", "seen by the stock sync");
  await closeDrifts(transaction, tenantId, agreeingIds);
  await setListingStates(transaction, tenantId, agreeing, "synced");
  await markMissing(
    transaction,
    looks
      .filter(({ found }) => found.is === "drift" && found.cause === "missing_listing")
      .map(({ listing }) => listing.listingId),
  );
  const time = new Date().toISOString();
  await appendToOutbox(
    transaction,
    tenantId,
    looks
      .filter(({ found }) => found.is === "push_needed")
      .map(({ listing: { skuId } }) => ({
        kind: "push_offer" as const,
        key: `${skuId}/stock sync/${time}`,
        payload: { skuId },
      })),
  );
  return await recordDrifts(transaction, tenantId, shopId, looks.flatMap(driftOf));
}

function driftOf({ listing, warehouseId, seen, cell, rule, found }: Look): FoundDrift[] {
  if (found.is !== "drift") return [];
  return [
    {
      listingId: listing.listingId,
      skuId: listing.skuId,
      warehouseId,
      cause: found.cause,
      units: found.units,
      ourTotal: desiredTotalOf(cell.ours),
      theirs: seen,
      isCertain: found.isCertain,
      rule,
    },
  ];
}
