import type { Cancellation, CancelRole, Order, OrderStatus, ParcelStatus, StayDurations } from "./records.ts";
import { notShippable, type Refusal } from "./refusal.ts";

/** The rules of an order's life as tables and plain questions: how long, from where to where, who may. */

const minute = 60_000;
const hour = 60 * minute;
const day = 24 * hour;

/** What ends a state by itself, and after how long in TikTok's world. */
export const stays: Readonly<
  Partial<Record<OrderStatus, { move: Move; member: keyof StayDurations; milliseconds: number }>>
> = {
  UNPAID: { move: "pay", member: "unpaidMs", milliseconds: 3 * minute },
  ON_HOLD: { move: "release", member: "onHoldMs", milliseconds: hour },
  AWAITING_SHIPMENT: { move: "cancel", member: "shipmentMs", milliseconds: 4 * day },
  AWAITING_COLLECTION: { move: "collect", member: "collectionMs", milliseconds: 4 * hour },
  IN_TRANSIT: { move: "deliver", member: "transitMs", milliseconds: day },
  DELIVERED: { move: "complete", member: "completedMs", milliseconds: 3 * day },
};

/** Every move that is not the seller's, from where and to where. */
export const moves = {
  pay: { from: ["UNPAID"], to: "ON_HOLD" },
  release: { from: ["ON_HOLD"], to: "AWAITING_SHIPMENT" },
  collect: { from: ["AWAITING_COLLECTION"], to: "IN_TRANSIT" },
  deliver: { from: ["IN_TRANSIT"], to: "DELIVERED" },
  complete: { from: ["DELIVERED"], to: "COMPLETED" },
  cancel: {
    from: [
      "UNPAID",
      "ON_HOLD",
      "AWAITING_SHIPMENT",
      "PARTIALLY_SHIPPING",
      "AWAITING_COLLECTION",
      "IN_TRANSIT",
    ],
    to: "CANCELLED",
  },
} as const satisfies Record<string, { from: readonly OrderStatus[]; to: OrderStatus }>;
export type Move = keyof typeof moves;

/** What an order's new status makes of its parcels. */
export const parcelStatuses: Partial<Record<OrderStatus, ParcelStatus>> = {
  IN_TRANSIT: "FULFILLING",
  DELIVERED: "COMPLETED",
  CANCELLED: "CANCELLED",
};

/** From where the seller may cancel; unpaid orders are the buyer's. */
export const sellerCancels: ReadonlySet<OrderStatus> = new Set(["ON_HOLD", "AWAITING_SHIPMENT"]);
/** How long the seller has to answer a buyer's request before it is granted. */
export const answerMilliseconds = 48 * hour;
/** Times from the end of the hold; TikTok counts them in business days. */
export const deadlineMilliseconds = { readyToShip: 2 * day, carrierPickUp: 3 * day, delivery: 7 * day };

/** Why nothing of an order may be shipped now, or null. */
export function whyNotShippable(order: Order): Refusal | null {
  if (order.status !== "AWAITING_SHIPMENT" && order.status !== "PARTIALLY_SHIPPING") {
    return notShippable(order.status);
  }
  return isPending(order.cancellation) ? notShippable(`${order.status} with a cancellation request`) : null;
}

/** Whether a cancellation waits for the seller's answer. */
export function isPending(cancellation: Cancellation | null): cancellation is Cancellation {
  return cancellation?.status === "CANCELLATION_REQUEST_PENDING";
}

/** The reason given when nobody gave one. */
export function cancelReason(order: Order, by: CancelRole): string {
  if (by === "BUYER") return "buyer_changed_their_mind";
  return order.status === "AWAITING_SHIPMENT" ? "seller_missed_ship_by_time" : "cancelled_by_platform";
}

/** Whole Unix seconds. */
export function seconds(milliseconds: number): number {
  return Math.floor(milliseconds / 1000);
}
