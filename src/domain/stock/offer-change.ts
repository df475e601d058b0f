import { asId, type ShopId } from "../ids.ts";
import type { Movement } from "./movement.ts";

/** What a SKU's listings should show has changed, so they must be compared with what they do show. */
export interface OfferChange {
  /**
   * The shop whose sales alone have taken units, all others being concerned: its channel counts them itself, and the total that
   * its listing should show is the same. Null when every listing is concerned.
   */
  readonly soldBy: ShopId | null;
}

/**
 * What a batch's movements mean for the listings.
 *
 * What one shop has sold is missing from what the others may offer. What leaves of units that were promised before was missing
 * already, and counts for its own shop until the channel knows.
 *
 * What is given back concerns its own shop as well, also when no other sells the SKU. Its channel has counted that already, but
 * a number that was told between its news and ours left the units out, since the lower of two readings is offered (`decideOffer`).
 *
 * @param concernsAll units changed hands otherwise than by a sale.
 * @returns null when nothing has to be compared.
 */
export function offerChangeOf(
  movements: readonly Movement[],
  concernsAll: boolean,
  soldInSeveralShops: boolean,
): OfferChange | null {
  if (concernsAll) return { soldBy: null };
  const changes = movements.flatMap(({ onHandEffect, reservedEffect, reference }): OfferChange[] => {
    const freed = onHandEffect - reservedEffect;
    const seller = sellerOf(reference);
    const isGivenBack = freed > 0 && seller !== null;
    if (freed === 0 || !(soldInSeveralShops || isGivenBack)) return [];
    return [{ soldBy: freed < 0 ? seller : null }];
  });
  return changes.length === 0 ? null : { soldBy: soldByAlone(changes) };
}

/** The shop of an order's line (`<shopId>/<channelOrderId>/<lineId>`); null of what no shop has sold. */
function sellerOf({ type, id }: Movement["reference"]): ShopId | null {
  return type === "order_line" ? asId<"Shop">(id.slice(0, id.indexOf("/"))) : null;
}

/** Of several changes together: what concerns one shop's listing in any of them concerns it. */
export function soldByAlone(changes: readonly OfferChange[]): ShopId | null {
  const sellers = new Set(changes.map(({ soldBy }) => soldBy));
  const [seller = null] = sellers;
  return sellers.size === 1 ? seller : null;
}
