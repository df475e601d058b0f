import type { LocationId } from "../ids.ts";
import { reservationIdOf, type WaitingClaim } from "./operation.ts";

/**
 * The fair order: paid before unpaid, the earlier payment first, unpaid ones by order time. Equal times are settled by
 * the claim's id, so that every process sees one order.
 */
export function compareTurns(left: WaitingClaim, right: WaitingClaim): number {
  return (
    compareText(left.rank.paidAt ?? "9", right.rank.paidAt ?? "9") ||
    compareText(left.rank.orderedAt, right.rank.orderedAt) ||
    compareText(reservationIdOf(left.claim), reservationIdOf(right.claim))
  );
}

/** ISO 8601 in UTC with one precision sorts as text. */
function compareText(left: string, right: string): number {
  return left < right ? -1 : left > right ? 1 : 0;
}

/**
 * Goes through claims in the fair order and offers each to `take`, which says whether it could be served. One that
 * could not be served keeps its place: nobody behind it at the same location is asked, however little they want, or a
 * large order would never have its turn.
 *
 * @param horizon the last claim of the queue that was loaded when there are more; nobody behind it may be served.
 */
export function serveInTurn(
  claims: readonly WaitingClaim[],
  horizon: WaitingClaim | null,
  take: (claim: WaitingClaim) => boolean,
): void {
  const blocked = new Set<LocationId>();
  let everywhereBlocked = false;
  for (const claim of [...claims].sort(compareTurns)) {
    if (everywhereBlocked || (horizon !== null && compareTurns(claim, horizon) > 0)) return;
    if (claim.locationId !== null && blocked.has(claim.locationId)) continue;
    if (take(claim)) continue;
    if (claim.locationId === null) everywhereBlocked = true;
    else blocked.add(claim.locationId);
  }
}
