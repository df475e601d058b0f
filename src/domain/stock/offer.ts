/**
 * What a listing should show on its channel, and whether to say so.
 *
 * A channel's number is absolute, has no compare-and-swap and is lowered by the channel itself on each sale. So totals
 * are compared, not availables: a sale or a cancellation there moves units between available and committed and leaves
 * the sum alone. Equal sums need no push, whatever is being sold at that moment.
 *
 * Two shops may sell the same units. What one of them has sold is committed there alone, so it is missing from the sum that
 * the other's listing should show; from the moment we hear of the sale, which may be well before its units are reserved.
 */
export interface OurNumbers {
  /** Units on hand where the listing sells from. */
  readonly onHand: number;
  readonly reserved: number;
  /** Of these, units that the listing's own shop has not sold: for other shops' orders, or by hand. */
  readonly reservedElsewhere: number;
  /** Units that the listing's own shop has sold and that are not reserved yet: their orders wait for their turn. */
  readonly unreservedHere: number;
  /** The same of other shops. */
  readonly unreservedElsewhere: number;
  /** Shipped for the listing's shop; the channel still counts them as committed. */
  readonly underWay: number;
  /** Kept back from the listing. */
  readonly buffer: number;
}

export interface ChannelNumbers {
  /** For sale, the locked units among them. */
  readonly available: number;
  readonly committed: number;
  /** Of the available units, those that a campaign or a creator has for himself: nobody else buys them. */
  readonly locked: number;
}

const soonWindow = 1_000;

/**
 * When an offer is to be compared again because of what its last comparison did not know: it counted units as under way, or as
 * still here, that had left already, and so may have pushed too many, or have found sums that agreed by chance; or it left units out
 * that were given up. With the next full second, so that all SKUs of which that is heard together are read by one call.
 *
 * @param now milliseconds since the epoch, by a clock that all processes share.
 */
export function soonComparedAt(now: number): number {
  return (Math.floor(now / soonWindow) + 1) * soonWindow;
}

/** One comparison of a SKU's offer answers all late news of so many milliseconds. */
const comparisonWindow = 10_000;
/** How much longer than its window the transaction that takes such news in may last. */
const comparisonMargin = 5_000;

/**
 * The same when the order has still to tell our stock that the units are gone. All news of one window have the same time.
 *
 * @param now milliseconds since the epoch, by a clock that all processes share.
 */
export function comparisonTimeFor(now: number): number {
  return (Math.floor(now / comparisonWindow) + 1) * comparisonWindow + comparisonMargin;
}

const secondLookWindow = 3_000;

/**
 * When to look at a listing again whose push had an unclear outcome: the call may still be on its way, and take effect
 * after a newer one. Three to six seconds from now, the same time for all of one window.
 *
 * @param now milliseconds since the epoch.
 */
export function secondLookTimeFor(now: number): number {
  return (Math.floor(now / secondLookWindow) + 2) * secondLookWindow;
}

/**
 * When to tell a listing its number again that the channel has refused: soon at first, since some refusals pass by themselves,
 * then seldom, since most are meant.
 *
 * @param failures in a row, this one counted.
 * @returns milliseconds.
 */
export function refusedAgainAfter(failures: number): number {
  return Math.min(30_000, 1_000 * 2 ** Math.min(failures, 10));
}

/** TikTok Shop takes 0 to 99,999. */
export const offerCapDefault = 99_999;

/**
 * Units kept back from a listing: a number or a share of what is on hand, whichever is more, and on top what other shops
 * will probably sell before the listing learns of it.
 *
 * @returns never more than there is.
 */
export function bufferOf(wanted: {
  readonly units: number;
  readonly percent: number;
  readonly adaptive: number;
  readonly onHand: number;
}): number {
  const share = Math.ceil((wanted.onHand * wanted.percent) / 100);
  return Math.max(0, Math.min(wanted.onHand, Math.max(wanted.units, share) + wanted.adaptive));
}

/** Available and committed together, as they should be at the channel. */
export function desiredTotalOf(ours: OurNumbers): number {
  return ours.onHand - ours.reservedElsewhere - ours.unreservedElsewhere + ours.underWay - ours.buffer;
}

export type OfferDecision =
  | { readonly push: false; readonly reason: "totals_agree" | "nothing_to_lower" }
  | { readonly push: true; readonly available: number };

/**
 * Decides about one listing.
 *
 * The number pushed leaves out what the channel has sold and we have not seen yet (its committed is higher than ours
 * explains) and never exceeds what we have available and nobody has bought: of the two readings the lower one is offered, since
 * a unit too few is put right by the next comparison and a unit too many is sold. Only locked units stay as they are: they were
 * promised to somebody there, and a lower number would take them away from him.
 */
export function decideOffer(
  ours: OurNumbers,
  theirs: ChannelNumbers,
  cap: number = offerCapDefault,
): OfferDecision {
  const desiredTotal = desiredTotalOf(ours);
  if (theirs.available + theirs.committed === desiredTotal && theirs.available <= cap) {
    return { push: false, reason: "totals_agree" };
  }
  const unsold = desiredTotal - theirs.committed;
  const free = ours.onHand - ours.reserved - ours.unreservedHere - ours.unreservedElsewhere - ours.buffer;
  const wanted = Math.min(Math.max(0, Math.min(unsold, free)), cap);
  const available = Math.max(wanted, Math.min(theirs.locked, theirs.available));
  return available === theirs.available
    ? { push: false, reason: "nothing_to_lower" }
    : { push: true, available };
}

/** How one listing stands with its channel. */
export interface ListingState {
  /** `pending`: a change is on its way there. `failed`: the channel has refused the last number. */
  readonly state: "synced" | "pending" | "failed";
  /** A difference that nothing explains is recorded and not repaired. */
  readonly drifts: boolean;
}

export type SyncStatus = "synced" | "pending" | "failed" | "drift" | "paused";

/** How a SKU stands with its channels: as its worst listing does. Nothing is pushed of a paused one, so nothing else counts. */
export function syncStatusOf(sku: {
  readonly paused: boolean;
  readonly listings: readonly ListingState[];
}): SyncStatus {
  if (sku.paused) return "paused";
  if (sku.listings.some(({ state }) => state === "failed")) return "failed";
  if (sku.listings.some(({ drifts }) => drifts)) return "drift";
  return sku.listings.some(({ state }) => state === "pending") ? "pending" : "synced";
}
