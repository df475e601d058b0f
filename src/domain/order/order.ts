import type { ChannelLineId, ChannelPackageId, ChannelSkuId, LocationId, SkuId, UserId } from "../ids.ts";
import type { ChannelStatus } from "./channel-order.ts";
import { isShort, type ShortageCourse } from "./shortage.ts";
import { isFinal, isToBeShipped, type OrderSummary, summaryOf } from "./transitions.ts";

/**
 * Where a line stands with its units.
 *
 * `new` → `held` or `short` → `held` → `arranged` (it leaves; the stock is being told) → `shipped`.
 * A held line whose order is short may be `yielding` until its units are free for others, then `set_aside`, and is asked for
 * anew as `new` when its time has come.
 * A cancelled line is `closing` until its units are free, then `cancelled`; one that the stock has booked as shipped and
 * that was not handed over is `reversing`, then `reversed`. `untracked` lines left before we opened their stock and never
 * touch it.
 */
export const lineStages = [
  "new",
  "held",
  "short",
  "yielding",
  "set_aside",
  "arranged",
  "shipped",
  "closing",
  "cancelled",
  "reversing",
  "reversed",
  "untracked",
] as const;
export type LineStage = (typeof lineStages)[number];

export interface OrderLine {
  readonly lineId: ChannelLineId;
  /** Null while the channel's SKU is not in our catalogue. */
  readonly skuId: SkuId | null;
  readonly channelSkuId: ChannelSkuId;
  readonly quantity: number;
  readonly packageId: ChannelPackageId | null;
  readonly stage: LineStage;
  /** Rises when the line is asked for anew, so that an old answer is never mistaken for a new one. */
  readonly generation: number;
  /** The paid time that the queue knows of; only while short. */
  readonly rankedPaidAt: string | null;
}

export interface OrderState {
  readonly orderRef: string;
  readonly channelStatus: ChannelStatus;
  /** The channel forbids fulfilment for now. */
  readonly channelOnHold: boolean;
  readonly buyerRequestsCancel: boolean;
  readonly shipping: "channel" | "seller";
  /** Where its units must come from; null when the channel does not say or we do not know the warehouse. */
  readonly locationId: LocationId | null;
  readonly orderedAt: string;
  readonly paidAt: string | null;
  readonly shipBy: string | null;
  readonly cancelBy: string | null;
  readonly trackingNumber: string | null;
  /** The channel's reason for declining our last shipment; cleared by news. */
  readonly shipmentRefusal: string | null;
  readonly cancelRequest: CancelRequest | null;
  /** What is done about units that are missing; null while none are. */
  readonly shortage: ShortageCourse | null;
  /** Its other lines were released once for a shortage. */
  readonly othersReleased: boolean;
  readonly lines: readonly OrderLine[];
}

/** A person's wish to cancel, on its way to the channel. */
export interface CancelRequest {
  readonly state: "requested" | "accepted" | "refused";
  readonly reason: string;
  readonly by: UserId | null;
}

/** Why an order does not move on, the most pressing reason first. */
export type Hold =
  | "unknown_sku"
  | "shortage"
  | "cancelling"
  | "cancel_requested"
  | "shipment_refused"
  | "carrier"
  | "no_package"
  | "remorse";

export function holdOf(order: OrderState): Hold | null {
  if (isFinal(order.channelStatus)) return null;
  const toBeShipped = order.lines.some((line) => ["new", "held"].includes(line.stage)) || isShort(order);
  if (!toBeShipped) return null;
  if (order.lines.some((line) => line.skuId === null && line.stage === "new")) return "unknown_sku";
  if (order.cancelRequest !== null && order.cancelRequest.state !== "refused") return "cancelling";
  if (isShort(order)) return "shortage";
  if (order.buyerRequestsCancel) return "cancel_requested";
  if (order.shipmentRefusal !== null) return "shipment_refused";
  if (order.channelOnHold || order.channelStatus === "on_hold") return "remorse";
  if (order.shipping === "seller" && isToBeShipped(order.channelStatus)) return "carrier";
  const leaving = order.lines.filter((line) => line.stage === "held");
  const unnamed = leaving.length > 0 && leaving.every((line) => line.packageId === null);
  if (unnamed && isToBeShipped(order.channelStatus)) return "no_package";
  return null;
}

/**
 * Holds that only a person can end. A shortage is one of them, unless it is decided that the order waits: somebody must find
 * units, or say no to the buyer.
 */
export function needsAttention(order: OrderState): boolean {
  const hold = holdOf(order);
  if (hold === "shortage") {
    return order.shortage?.course !== "wait" && order.shortage?.course !== "release_others";
  }
  return hold !== null && hold !== "remorse" && hold !== "cancelling";
}

/** What will happen next and who must act, for people. */
export function nextStepOf(order: OrderState): string {
  const hold = holdOf(order);
  switch (hold) {
    case "unknown_sku":
      return "Add the unknown SKU to the catalogue: its units cannot be reserved.";
    case "shortage":
      return shortageStep(order);
    case "cancelling":
      return "The cancellation is with the channel.";
    case "cancel_requested":
      return "The buyer asks to cancel: accept by cancelling the order, or answer in the Seller Center.";
    case "shipment_refused":
      return `The channel declined the shipment (${order.shipmentRefusal ?? "no reason"}): look at the order in the Seller Center.`;
    case "carrier":
      return "Ships with the seller's own carrier: hand it over and enter the tracking number.";
    case "no_package":
      return "The channel has named no package to ship: arrange the shipment in the Seller Center.";
    case "remorse":
      return "Paid. The buyer may still cancel; ships when the channel releases it.";
    case null:
      return plainNextStep(order.channelStatus);
  }
}

function shortageStep({ shortage, shipBy, lines }: OrderState): string {
  const until =
    shipBy === null || shortage?.by !== null ? "" : ` until ${shipBy}; then cancelling is proposed`;
  switch (shortage?.course) {
    case "wait":
    case "release_others": {
      const leaves = lines.some(({ stage }) => stage === "yielding" || stage === "set_aside")
        ? "; its other lines leave theirs to other orders meanwhile"
        : "";
      return `Waits for units in the fair queue${until}${leaves}.`;
    }
    case "propose_cancelling":
      return "Units are missing and cancelling is proposed: cancel the order, raise the stock, or let it wait.";
    case "overdue":
      return `Was to ship by ${shipBy ?? "now"} and units are missing, so cancelling is proposed: cancel the order, raise the stock, or let it wait.`;
    case "ask":
    case undefined:
      return "Waits for units in the fair queue: raise the stock, or cancel the order.";
  }
}

function plainNextStep(status: ChannelStatus): string {
  switch (status) {
    case "unpaid":
      return "Waits for payment; units are reserved.";
    case "on_hold":
    case "awaiting_shipment":
    case "partially_shipping":
      return "The shipment is being arranged with the channel.";
    case "awaiting_collection":
      return "Waits for the carrier.";
    case "in_transit":
      return "On its way to the buyer.";
    case "delivered":
      return "Delivered. Closes when the after-sales period is over.";
    case "completed":
    case "cancelled":
      return "Nothing: the order is closed.";
  }
}

/** Stages of a line that may have sold units without any being reserved: the stock has still to be asked, or to answer. */
const unreservedStages: readonly LineStage[] = ["new", "arranged"];

/**
 * SKUs of which a decision gives units up that were sold and not reserved: the line is short, or cancelled. Offers have left them
 * out, and no movement of stock says that they need not any more.
 *
 * @param before null when the order was not decided about yet.
 */
export function skusGivenUp(before: OrderState | null, after: OrderState): readonly SkuId[] {
  const stages = new Map(before?.lines.map(({ lineId, stage }) => [lineId, stage]));
  const givenUp = after.lines.filter(
    ({ lineId, stage }) =>
      unreservedStages.includes(stages.get(lineId) ?? "new") &&
      !unreservedStages.includes(stage) &&
      stage !== "held" &&
      stage !== "shipped",
  );
  return [...new Set(givenUp.flatMap(({ skuId }) => (skuId === null ? [] : [skuId])))];
}

export function orderSummaryOf(order: OrderState): OrderSummary {
  return summaryOf(order.channelStatus);
}

/** Stages in which nothing is to be done about a line's units any more. */
export const resolvedStages: readonly LineStage[] = ["shipped", "cancelled", "reversed", "untracked"];

/** True when our stock knows what has become of every unit of the order. */
export function isResolved(order: OrderState): boolean {
  return order.lines.every((line) => resolvedStages.includes(line.stage));
}

/** True when the channel has closed the order and every unit of it is resolved. */
export function isOver(order: OrderState): boolean {
  return isFinal(order.channelStatus) && isResolved(order);
}

/** The order with some of its lines in another stage. */
export function withStage(order: OrderState, lineIds: readonly string[], stage: LineStage): OrderState {
  const meant = new Set<string>(lineIds);
  return { ...order, lines: order.lines.map((line) => (meant.has(line.lineId) ? { ...line, stage } : line)) };
}
