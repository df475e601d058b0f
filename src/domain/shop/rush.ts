/** New orders that are not decided about: from how many on a rush has begun, and from how few on it is over. */
const undecidedOrders = { begins: 100, ends: 10 } as const;

/** What has to be counted to know whether a rush has begun or goes on. */
export const undecidedOrdersCounted = undecidedOrders.begins;

/**
 * Whether a shop's new orders come in faster than they are decided about: what is decided late is reserved late. A rush
 * has begun when several seconds of work lie ahead of two cores, and is over when its last orders are through: if it were
 * over sooner, all that has waited for its end would overtake them.
 */
export function isRush(undecided: number, wasRush: boolean): boolean {
  return undecided >= (wasRush ? undecidedOrders.ends : undecidedOrders.begins);
}
