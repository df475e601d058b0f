import type { ChannelPackageId, SkuId } from "../ids.ts";
import type { Claim, ClaimOperation } from "../stock/operation.ts";
import { holdOf, type OrderLine, type OrderState } from "./order.ts";
import { isFinal, isToBeShipped } from "./transitions.ts";

/** What an order asks of the world next. Each may be asked again: its id comes from the order, so it happens once. */
export type OrderCommand =
  | {
      readonly kind: "stock";
      readonly lineId: string;
      readonly skuId: SkuId;
      readonly operation: ClaimOperation;
    }
  | { readonly kind: "ship"; readonly packageIds: readonly ChannelPackageId[] }
  | { readonly kind: "cancel"; readonly reason: string };

/** The units of a line, as the stock knows them. */
export function claimOf(order: OrderState, line: OrderLine): Claim {
  return { orderRef: order.orderRef, lineId: line.lineId, generation: line.generation };
}

/**
 * Everything that an order in this state wants done now. Derived from the state alone, so that after any crash the same
 * question gives the same answer, and what was done already is merely asked again.
 */
export function commandsFor(order: OrderState): readonly OrderCommand[] {
  return [
    ...order.lines.flatMap((line) => stockCommandFor(order, line)),
    ...shipCommandFor(order),
    ...cancelCommandFor(order),
  ];
}

function stockCommandFor(order: OrderState, line: OrderLine): OrderCommand[] {
  if (line.skuId === null) return [];
  const operation = stockOperationFor(order, line);
  return operation === null ? [] : [{ kind: "stock", lineId: line.lineId, skuId: line.skuId, operation }];
}

function stockOperationFor(order: OrderState, line: OrderLine): ClaimOperation | null {
  const claim = claimOf(order, line);
  switch (line.stage) {
    case "new":
      return {
        kind: "reserve",
        claim,
        quantity: line.quantity,
        rank: { paidAt: order.paidAt, orderedAt: order.orderedAt },
        locationId: order.locationId,
      };
    case "short":
      return order.paidAt !== null && order.paidAt !== line.rankedPaidAt
        ? { kind: "rank", claim, paidAt: order.paidAt }
        : null;
    case "arranged":
      return { kind: "ship", claim, quantity: line.quantity, outside: true };
    case "yielding":
      return { kind: "release", claim, reason: "Left to other orders while another line is short" };
    case "closing":
      return { kind: "release", claim, reason: "Order line cancelled" };
    case "reversing":
      return { kind: "reverse", claim, reason: "Shipment cancelled before hand-over" };
    case "held":
    case "set_aside":
    case "shipped":
    case "cancelled":
    case "reversed":
    case "untracked":
      return null;
  }
}

/** A package leaves when the channel allows it, nothing holds the order back, and every one of its lines has its units. */
function shipCommandFor(order: OrderState): OrderCommand[] {
  if (!isToBeShipped(order.channelStatus) || holdOf(order) !== null) return [];
  const leaving = order.lines.filter((line) => line.stage === "held");
  const packageIds = [
    ...new Set(leaving.flatMap((line) => (line.packageId === null ? [] : [line.packageId]))),
  ];
  const complete = packageIds.filter((packageId) =>
    order.lines.every(
      (line) => line.packageId !== packageId || line.stage === "held" || line.stage === "cancelled",
    ),
  );
  return complete.length === 0 ? [] : [{ kind: "ship", packageIds: complete }];
}

function cancelCommandFor(order: OrderState): OrderCommand[] {
  if (isFinal(order.channelStatus) || order.cancelRequest?.state !== "requested") return [];
  return [{ kind: "cancel", reason: order.cancelRequest.reason }];
}
