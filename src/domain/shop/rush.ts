/** New orders that are not decided about: from how many on a rush has begun, and from how few on it is over. */
const undecidedOrders = { begins: 100, ends: 10 } as const;

/** What has to be counted to know whether a rush has begun or goes on. */
export const undecidedOrdersCounted = undecidedOrders.begins;

/** Minutes after which a rush ends as soon as it would not begin any more: a shop that always has a few must not stay in it. */
const longMinutes = 10;

/**
 * Whether a shop's new orders come in faster than they are decided about: what is decided late is reserved late. A rush
 * has begun when several seconds of work lie ahead of two cores, and is over when its last orders are through: if it were
 * over sooner, all that has waited for its end would overtake them.
 *
 * @param lasted milliseconds since it began; null when there was none.
 */
export function isRush(undecided: number, lasted: number | null): boolean {
  const goesOn = lasted !== null && lasted < longMinutes * 60_000;
  return undecided >= (goesOn ? undecidedOrders.ends : undecidedOrders.begins);
}
