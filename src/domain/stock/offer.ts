/**
 * What a listing should show on its channel, and whether to say so.
 *
 * A channel's number is absolute, has no compare-and-swap and is lowered by the channel itself on each sale. So totals
 * are compared, not availables: a sale or a cancellation there moves units between available and committed and leaves
 * the sum alone. Equal sums need no push, whatever is being sold at that moment.
 */
export interface OurNumbers {
  /** Units on hand where the listing sells from. */
  readonly onHand: number;
  readonly reserved: number;
  /** Shipped here; the channel still counts them as committed. */
  readonly underWay: number;
  /** Kept back from the listing. */
  readonly buffer: number;
}

export interface ChannelNumbers {
  readonly available: number;
  readonly committed: number;
}

/** One comparison of a SKU's offer answers all late news of so many milliseconds. */
const comparisonWindow = 10_000;
/** How much longer than its window the transaction that takes such news in may last. */
const comparisonMargin = 5_000;

/**
 * When an offer is to be compared again because of news that are older than its last comparison: it counted units as under
 * way, or as still here, that had left already, and so may have pushed too many, or have found sums that agreed by chance.
 * All news of one window have the same time.
 *
 * @param now milliseconds since the epoch, by a clock that all processes share.
 */
export function comparisonTimeFor(now: number): number {
  return (Math.floor(now / comparisonWindow) + 1) * comparisonWindow + comparisonMargin;
}

/** TikTok Shop takes 0 to 99,999. */
export const offerCapDefault = 99_999;

export type OfferDecision =
  | { readonly push: false; readonly reason: "totals_agree" | "nothing_to_lower" }
  | { readonly push: true; readonly available: number };

/**
 * Decides about one listing.
 *
 * The number pushed leaves out what the channel has sold and we have not seen yet (its committed is higher than ours
 * explains) and never exceeds what we have available: of the two readings the lower one is offered, since a unit too few
 * is put right by the next comparison and a unit too many is sold.
 */
export function decideOffer(
  ours: OurNumbers,
  theirs: ChannelNumbers,
  cap: number = offerCapDefault,
): OfferDecision {
  const desiredTotal = ours.onHand + ours.underWay - ours.buffer;
  if (theirs.available + theirs.committed === desiredTotal && theirs.available <= cap) {
    return { push: false, reason: "totals_agree" };
  }
  const unsold = desiredTotal - theirs.committed;
  const free = ours.onHand - ours.reserved - ours.buffer;
  const available = Math.min(Math.max(0, Math.min(unsold, free)), cap);
  return available === theirs.available
    ? { push: false, reason: "nothing_to_lower" }
    : { push: true, available };
}
