import { crashPoint } from "../crash-points.ts";
import { closeDrifts } from "../db/drifts.ts";
import {
  appendObservations,
  beginComparison,
  closePushIntents,
  type IntendedPush,
  type Observation,
  openPushIntents,
} from "../db/comparisons.ts";
import type { Listing } from "../db/listings.ts";
import { cellKey, getOurNumbers } from "../db/our-numbers.ts";
import { setListingStates } from "../db/sync-status.ts";
import { type TenantTransaction, withTenant, withTenantUnsynced } from "../db/tenant.ts";
import type { TenantId } from "../domain/ids.ts";
import { decideOffer } from "../domain/stock/offer.ts";
import { showsWhatItShould } from "../domain/stock/reconcile.ts";
import type { CallPriority, ChannelStock, ShopKey } from "../integrations/ports/sales-channel.ts";
import type { ActivityDependencies } from "./dependencies.ts";

/** A listing whose number is to be looked at. */
export interface Question {
  readonly listing: Listing;
  readonly causedAt: string | null;
}

/** What one round of comparing has found of a listing. */
export interface Verdict {
  /** What its warehouses must be told, and which of them are listed with what they show; null: it shows what it should. */
  readonly levels:
    | readonly { readonly warehouseId: Observation["warehouseId"]; readonly available: number }[]
    | null;
}

/** One call to the channel and two transactions, for all listings of a shop that are looked at now; their verdicts in the same order. */
export async function compareListings(
  { db, channel, pushConfirmed }: Pick<ActivityDependencies, "db" | "channel" | "pushConfirmed">,
  { shop, priority }: { readonly shop: ShopKey; readonly priority: CallPriority },
  questions: readonly Question[],
): Promise<readonly Verdict[]> {
  const wanted = [...new Set(questions.map(({ listing }) => listing.channelSkuId))];
  const stock = await channel.readStock(shop, wanted, priority);
  crashPoint("offer: stock read, not observed");
  const byListing = new Map(
    questions.map(({ listing }) => [listing.listingId, observationsOf(listing, stock)] as const),
  );
  // It is on disk before any decision that rests on it: that is committed after it.
  await withTenantUnsynced(db, shop.tenantId, (transaction) =>
    appendObservations(transaction, shop.tenantId, [...byListing.values()].flat()),
  );
  crashPoint("offer: observed, nothing decided");
  const { pushes, confirmedAfter } = await withTenant(db, shop.tenantId, (transaction) =>
    intendPushes(transaction, shop.tenantId, questions, byListing),
  );
  for (const seconds of confirmedAfter) pushConfirmed?.(seconds);
  return questions.map(({ listing }) => {
    const own = pushes.filter(({ seen }) => seen.listing.listingId === listing.listingId);
    if (own.length === 0) return { levels: null };
    // Every warehouse of the SKU must be listed; those that need nothing are told what they show.
    const desired = new Map(own.map((push) => [push.seen.warehouseId, push.desired]));
    const seen = byListing.get(listing.listingId) ?? [];
    return {
      levels: seen.map(({ warehouseId, available }) => ({
        warehouseId,
        available: desired.get(warehouseId) ?? available,
      })),
    };
  });
}

/**
 * What the channel said of one listing. Units that are locked for a campaign or a creator are told of the SKU as a whole: the
 * warehouses with the most for sale have them.
 */
export function observationsOf(listing: Listing, stock: readonly ChannelStock[]): readonly Observation[] {
  const levels = stock
    .filter(({ channelSkuId }) => channelSkuId === listing.channelSkuId)
    .sort((one, other) => other.available - one.available);
  let toPlace = (levels[0]?.campaign ?? 0) + (levels[0]?.creator ?? 0);
  return levels.map(({ warehouseId, available, committed, campaign, creator }) => {
    const locked = Math.min(toPlace, available);
    toPlace -= locked;
    return { listing, warehouseId, available, committed, locked, campaign, creator };
  });
}

/**
 * Decides about all listings in one transaction, and writes down what follows.
 *
 * @returns what is to be pushed, and after how many seconds each of the earlier pushes is found to have been right.
 */
async function intendPushes(
  transaction: TenantTransaction,
  tenantId: TenantId,
  questions: readonly Question[],
  byListing: ReadonlyMap<string, readonly Observation[]>,
): Promise<{ readonly pushes: readonly IntendedPush[]; readonly confirmedAfter: readonly number[] }> {
  await beginComparison(
    transaction,
    questions.map(({ listing }) => listing.skuId),
  );
  const ours = await getOurNumbers(transaction, [...byListing.keys()]);
  const causes = new Map(questions.map(({ listing, causedAt }) => [listing.listingId, causedAt]));
  const pushes = [...byListing.values()].flat().flatMap((seen): IntendedPush[] => {
    const { listingId } = seen.listing;
    const cell = ours.get(cellKey(listingId, seen.warehouseId));
    const decision = cell === undefined ? null : decideOffer(cell.ours, seen, cell.cap);
    return decision?.push === true
      ? [{ seen, desired: decision.available, causedAt: causes.get(listingId) ?? null }]
      : [];
  });
  const agrees = (seen: Observation): boolean => {
    const cell = ours.get(cellKey(seen.listing.listingId, seen.warehouseId));
    return cell === undefined || showsWhatItShould(cell.ours, seen, cell.cap);
  };
  const differing = new Set(pushes.map(({ seen }) => seen.listing.listingId));
  const settled = questions
    .map(({ listing }) => listing)
    .filter(({ listingId }) => !differing.has(listingId));
  const confirmed = await closePushIntents(
    transaction,
    settled.map(({ listingId }) => listingId),
    "confirmed",
    "read back",
  );
  await closeDrifts(
    transaction,
    tenantId,
    settled
      .filter(({ listingId }) => byListing.get(listingId)?.every(agrees) === true)
      .map(({ listingId }) => listingId),
  );
  await setListingStates(transaction, tenantId, settled, "synced");
  if (pushes.length > 0) await openPushIntents(transaction, tenantId, pushes);
  return {
    pushes,
    confirmedAfter: confirmed.map(
      ({ caused_at: causedAt, closed_at: closedAt }) => (Date.parse(closedAt) - Date.parse(causedAt)) / 1_000,
    ),
  };
}
