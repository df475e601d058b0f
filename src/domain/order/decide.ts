import type { Decision, Refusal } from "../decision.ts";
import type { ChannelPackageId, ChannelSkuId, LocationId, SkuId, UserId } from "../ids.ts";
import type { ChannelLine, ChannelOrder, ChannelStatus } from "./channel-order.ts";
import type { OrderEvent } from "./events.ts";
import { type LineStage, type OrderLine, type OrderState, withStage } from "./order.ts";
import { isArranged, isFinal, isHandedOver, isLegalMove } from "./transitions.ts";

export type OrderDecision = Decision<OrderState, OrderEvent>;

/** What the product knows that the channel's order does not say. */
export interface SnapshotContext {
  readonly orderRef: string;
  /** Ours for the channel's SKU numbers; a SKU that is missing is unknown. */
  readonly skuIds: ReadonlyMap<ChannelSkuId, SkuId>;
  readonly locationId: LocationId | null;
  /** When the shop's stock was opened; what had left by then is not in it. Null before the opening. */
  readonly stockOpenedAt: string | null;
}

/** An order seen for the first time. */
export function receiveOrder(snapshot: ChannelOrder, context: SnapshotContext): OrderDecision {
  const fresh: OrderState = {
    orderRef: context.orderRef,
    channelStatus: snapshot.status,
    channelOnHold: snapshot.onHold,
    buyerRequestsCancel: snapshot.buyerRequestsCancel,
    shipping: snapshot.shipping,
    locationId: context.locationId,
    orderedAt: snapshot.createdAt,
    paidAt: snapshot.paidAt,
    shipBy: snapshot.shipBy,
    cancelBy: snapshot.cancelBy,
    trackingNumber: snapshot.trackingNumber,
    shipmentRefusal: null,
    cancelRequest: null,
    shortage: null,
    othersReleased: false,
    lines: snapshot.lines.map((line) => newLine(line, snapshot, context)),
  };
  const received: OrderEvent = {
    kind: "order_received",
    status: snapshot.status,
    lines: snapshot.lines.length,
  };
  const leftBeforeOpening =
    isArranged(snapshot.status) &&
    context.stockOpenedAt !== null &&
    snapshot.createdAt <= context.stockOpenedAt;
  if (leftBeforeOpening || snapshot.fulfilledBy === "channel") {
    return {
      state: { ...fresh, lines: fresh.lines.map((line) => ({ ...line, stage: "untracked" })) },
      events: [received, { kind: "lines_untracked", lineIds: fresh.lines.map((line) => line.lineId) }],
    };
  }
  const cancelled = cancelLines(fresh, cancelledIn(snapshot), snapshot.status);
  const left = noteLeaving(cancelled.state, snapshot);
  return { state: left.state, events: [received, ...cancelled.events, ...left.events] };
}

function newLine(line: ChannelLine, snapshot: ChannelOrder, context: SnapshotContext): OrderLine {
  return {
    lineId: line.lineId,
    skuId: context.skuIds.get(line.channelSkuId) ?? null,
    channelSkuId: line.channelSkuId,
    quantity: line.quantity,
    packageId: line.packageId,
    stage: snapshot.fulfilledBy === "channel" ? "untracked" : "new",
    generation: 1,
    rankedPaidAt: null,
  };
}

/** Compares what the channel says now with what is known. Nothing new gives no events; an impossible move is refused. */
export function takeSnapshot(
  order: OrderState,
  snapshot: ChannelOrder,
  context: SnapshotContext,
): OrderDecision {
  const moves = snapshot.status !== order.channelStatus;
  if (moves && !isLegalMove(order.channelStatus, snapshot.status)) {
    return {
      state: order,
      events: [{ kind: "news_refused", from: order.channelStatus, to: snapshot.status }],
    };
  }
  const events: OrderEvent[] = [];
  if (order.paidAt === null && snapshot.paidAt !== null)
    events.push({ kind: "order_paid", paidAt: snapshot.paidAt });
  if (moves) events.push({ kind: "status_changed", from: order.channelStatus, to: snapshot.status });

  const detailed = takeDetails(order, snapshot, context);
  events.push(...detailed.events);
  const moved: OrderState = { ...detailed.state, channelStatus: snapshot.status };
  const cancelled = cancelLines(moved, cancelledIn(snapshot), order.channelStatus);
  const left = noteLeaving(cancelled.state, snapshot);
  return { state: left.state, events: [...events, ...cancelled.events, ...left.events] };
}

function takeDetails(order: OrderState, snapshot: ChannelOrder, context: SnapshotContext): OrderDecision {
  const known = new Map(order.lines.map((line) => [line.lineId, line]));
  const lines = snapshot.lines.map((line) => {
    const ours = known.get(line.lineId);
    if (ours === undefined) return newLine(line, snapshot, context);
    const skuId = ours.skuId ?? context.skuIds.get(line.channelSkuId) ?? null;
    const packageId = line.packageId ?? ours.packageId;
    return skuId === ours.skuId && packageId === ours.packageId ? ours : { ...ours, skuId, packageId };
  });
  const given = new Set(snapshot.lines.map((line) => line.lineId));
  const next: OrderState = {
    ...order,
    channelOnHold: snapshot.onHold,
    buyerRequestsCancel: snapshot.buyerRequestsCancel,
    paidAt: order.paidAt ?? snapshot.paidAt,
    shipBy: snapshot.shipBy ?? order.shipBy,
    cancelBy: snapshot.cancelBy ?? order.cancelBy,
    trackingNumber: snapshot.trackingNumber ?? order.trackingNumber,
    shipmentRefusal: null,
    // A line that the channel no longer shows is kept: what was promised for it must still be resolved.
    lines: [...lines, ...order.lines.filter((line) => !given.has(line.lineId))],
  };
  const compared = ["channelOnHold", "buyerRequestsCancel", "shipBy", "cancelBy", "trackingNumber"] as const;
  const changed: string[] = compared.filter((name) => next[name] !== order[name]);
  if (next.lines.some((line) => !order.lines.includes(line))) changed.push("lines");
  return { state: next, events: changed.length === 0 ? [] : [{ kind: "details_changed", changed }] };
}

function cancelledIn(snapshot: ChannelOrder): ReadonlySet<string> {
  return new Set(
    snapshot.lines
      .filter((line) => snapshot.status === "cancelled" || line.status === "cancelled")
      .map((line) => line.lineId),
  );
}

/**
 * Until the hand-over the units are freed, or come back when the stock has booked them as shipped; after it they do not.
 * An order that was cancelled before has had its lines settled then: the news repeated says nothing of the hand-over.
 */
function cancelLines(
  order: OrderState,
  cancelled: ReadonlySet<string>,
  before: ChannelStatus,
): OrderDecision {
  const whole = order.channelStatus === "cancelled";
  const goneForGood = isHandedOver(before) || before === "cancelled";
  const closed: string[] = [];
  const lines = order.lines.map((line) => {
    if (!whole && !cancelled.has(line.lineId)) return line;
    const stage = stageWhenCancelled(line, goneForGood);
    if (stage === line.stage) return line;
    closed.push(line.lineId);
    return { ...line, stage };
  });
  return closed.length === 0
    ? { state: order, events: [] }
    : { state: { ...order, lines }, events: [{ kind: "lines_cancelled", lineIds: closed }] };
}

function stageWhenCancelled({ stage, skuId }: OrderLine, goneForGood: boolean): LineStage {
  switch (stage) {
    case "new":
    case "held":
    case "short":
      // Nothing was ever asked of the stock for an unknown SKU, so there is nothing to free.
      return skuId === null ? "cancelled" : "closing";
    case "yielding":
      return "closing";
    case "set_aside":
      return "cancelled";
    case "arranged":
      // Whether the stock was told of the shipment is open: asked to release, it says so, and the line is reversed then.
      return goneForGood ? "arranged" : "closing";
    case "shipped":
      return goneForGood ? "shipped" : "reversing";
    case "closing":
    case "cancelled":
    case "reversing":
    case "reversed":
    case "untracked":
      return stage;
  }
}

/**
 * The channel says that it leaves, the whole order or a line: what still waits for that goes with it. A SKU that is
 * unknown by then is opened without the units that left, so they are not taken from its stock.
 */
function noteLeaving(order: OrderState, snapshot: ChannelOrder): OrderDecision {
  const whole = isArranged(snapshot.status);
  const arranged = new Set<string>(
    snapshot.lines.filter((line) => isArranged(line.status)).map((line) => line.lineId),
  );
  const leaving = order.lines.filter(
    (line) =>
      ["new", "held", "short", "yielding", "set_aside"].includes(line.stage) &&
      (whole || arranged.has(line.lineId)),
  );
  const ours = leaving.filter((line) => line.skuId !== null).map((line) => line.lineId);
  const unknown = leaving.filter((line) => line.skuId === null).map((line) => line.lineId);
  const events: OrderEvent[] = [];
  if (ours.length > 0) events.push({ kind: "lines_left", lineIds: ours, how: "seen" });
  if (unknown.length > 0) events.push({ kind: "lines_untracked", lineIds: unknown });
  if (leaving.length === 0) return { state: order, events };
  return { state: withStage(leave(order, ours), unknown, "untracked"), events };
}

/**
 * What was set aside leaves under the claim that it would have been asked for again by; what is still yielding under the one
 * that may hold its units yet. If these were free already, the stock says so and the next claim is asked for.
 */
function leave(order: OrderState, lineIds: readonly string[]): OrderState {
  const lines = order.lines.map((line) =>
    line.stage === "set_aside" && lineIds.includes(line.lineId)
      ? { ...line, generation: line.generation + 1 }
      : line,
  );
  return withStage({ ...order, lines }, lineIds, "arranged");
}

/** What the channel said to our shipment. */
export type ShipmentResult =
  | { readonly arranged: true; readonly packageIds: readonly ChannelPackageId[] }
  | { readonly arranged: false; readonly reason: string };

export function takeShipment(order: OrderState, result: ShipmentResult): OrderDecision {
  if (!result.arranged) {
    if (order.shipmentRefusal === result.reason || isFinal(order.channelStatus))
      return { state: order, events: [] };
    return {
      state: { ...order, shipmentRefusal: result.reason },
      events: [{ kind: "shipment_refused", reason: result.reason }],
    };
  }
  const packages = new Set(result.packageIds);
  // Its units may have been left to others while the channel was asked.
  const leaving = order.lines.filter(
    (line) =>
      (line.stage === "held" || line.stage === "yielding" || line.stage === "set_aside") &&
      line.packageId !== null &&
      packages.has(line.packageId),
  );
  if (leaving.length === 0) return { state: order, events: [] };
  const lineIds = leaving.map((line) => line.lineId);
  return {
    state: leave({ ...order, shipmentRefusal: null }, lineIds),
    events: [
      { kind: "shipment_arranged", packageIds: result.packageIds },
      { kind: "lines_left", lineIds, how: "arranged" },
    ],
  };
}

export type CancelRefusal = "already_closed" | "not_paid_yet" | "already_left" | "already_requested";

/**
 * A person wants the order cancelled. The channel decides; what it allows a seller is known: not before payment, and not
 * after hand-over (TikTok Shop, return and cancel overview).
 */
export function requestCancel(
  order: OrderState,
  wish: { readonly reason: string; readonly by: UserId | null },
): OrderDecision | Refusal<CancelRefusal> {
  if (isFinal(order.channelStatus)) {
    return { refused: "already_closed", explanation: `The order is ${order.channelStatus} already.` };
  }
  if (order.channelStatus === "unpaid") {
    return {
      refused: "not_paid_yet",
      explanation:
        "A seller cannot cancel an order before it is paid; the channel cancels it by itself if it never is.",
    };
  }
  if (isHandedOver(order.channelStatus)) {
    return {
      refused: "already_left",
      explanation: "The carrier has the parcel: the buyer can ask for a return.",
    };
  }
  const pending = order.cancelRequest;
  if (pending?.state === "requested" && pending.reason === wish.reason && pending.by === wish.by) {
    // The same wish told again, as after a crash: it is on its way.
    return { state: order, events: [] };
  }
  if (pending !== null && pending.state !== "refused") {
    return { refused: "already_requested", explanation: "The cancellation is with the channel already." };
  }
  return {
    state: { ...order, cancelRequest: { state: "requested", ...wish } },
    events: [{ kind: "cancel_requested", ...wish }],
  };
}

/** What the channel said to the cancellation. Units are freed when the order's news says that it is cancelled. */
export function takeCancelAnswer(
  order: OrderState,
  answer: { readonly accepted: true } | { readonly accepted: false; readonly reason: string },
): OrderDecision {
  if (order.cancelRequest?.state !== "requested") return { state: order, events: [] };
  return {
    state: {
      ...order,
      cancelRequest: { ...order.cancelRequest, state: answer.accepted ? "accepted" : "refused" },
    },
    events: [
      answer.accepted ? { kind: "cancel_accepted" } : { kind: "cancel_refused", reason: answer.reason },
    ],
  };
}
