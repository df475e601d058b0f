import { type ChannelStatus, channelStatuses } from "./channel-order.ts";

/** The six states that sellers see, as a summary of what the channel says. */
export type OrderSummary = "pending" | "processing" | "fulfilled" | "delivered" | "cancelled" | "returned";

/** What a state means for the work: where it can go from there, and who moves it. */
interface StateRow {
  readonly summary: OrderSummary;
  readonly meaning: string;
  readonly next: readonly ChannelStatus[];
}

/**
 * The legal moves of an order, one row a state. News get lost and arrive late, so a state may be skipped, but never gone
 * back to; `completed` and `cancelled` are final. The diagram in docs/order-lifecycle.md is made from this table.
 */
export const transitions: Readonly<Record<ChannelStatus, StateRow>> = {
  unpaid: {
    summary: "pending",
    meaning: "Placed, not paid. Units are reserved from here on.",
    next: [
      "on_hold",
      "awaiting_shipment",
      "partially_shipping",
      "awaiting_collection",
      "in_transit",
      "delivered",
      "completed",
      "cancelled",
    ],
  },
  on_hold: {
    summary: "pending",
    meaning: "Paid; the buyer may still change their mind. Must not be shipped.",
    next: [
      "awaiting_shipment",
      "partially_shipping",
      "awaiting_collection",
      "in_transit",
      "delivered",
      "completed",
      "cancelled",
    ],
  },
  awaiting_shipment: {
    summary: "processing",
    meaning: "To be shipped by us.",
    next: ["partially_shipping", "awaiting_collection", "in_transit", "delivered", "completed", "cancelled"],
  },
  partially_shipping: {
    summary: "processing",
    meaning: "Some packages are arranged, some are not.",
    next: ["awaiting_collection", "in_transit", "delivered", "completed", "cancelled"],
  },
  awaiting_collection: {
    summary: "fulfilled",
    meaning: "Shipment arranged; the carrier has not taken it yet.",
    next: ["in_transit", "delivered", "completed", "cancelled"],
  },
  in_transit: {
    summary: "fulfilled",
    meaning: "With the carrier.",
    next: ["delivered", "completed", "cancelled"],
  },
  delivered: { summary: "delivered", meaning: "With the buyer; returns are possible.", next: ["completed"] },
  completed: { summary: "delivered", meaning: "The after-sales period is over.", next: [] },
  cancelled: { summary: "cancelled", meaning: "Every line is cancelled.", next: [] },
};

export function isLegalMove(from: ChannelStatus, to: ChannelStatus): boolean {
  return transitions[from].next.includes(to);
}

export function isFinal(status: ChannelStatus): boolean {
  return transitions[status].next.length === 0;
}

export function summaryOf(status: ChannelStatus): OrderSummary {
  return transitions[status].summary;
}

/** True while the channel expects a shipment from the seller. */
export function isToBeShipped(status: ChannelStatus): boolean {
  return status === "awaiting_shipment" || status === "partially_shipping";
}

/** True from the moment the shipment is arranged: units have left the shelf, or are about to without us. */
export function isArranged(status: ChannelStatus): boolean {
  return (
    status === "awaiting_collection" ||
    status === "in_transit" ||
    status === "delivered" ||
    status === "completed"
  );
}

/** True once the carrier has the parcel: what is cancelled from here on does not come back by itself. */
export function isHandedOver(status: ChannelStatus): boolean {
  return status === "in_transit" || status === "delivered" || status === "completed";
}

/** In these the channel counts an order's units as committed, whether they have left us or not. */
export const committedStatuses: readonly ChannelStatus[] = channelStatuses.filter(
  (status) => status !== "cancelled" && !isHandedOver(status),
);

/** The life of an order as a Mermaid diagram, for the documentation. */
export function lifecycleDiagram(): string {
  const plainLife: readonly (readonly [ChannelStatus, ChannelStatus])[] = [
    ["unpaid", "on_hold"],
    ["on_hold", "awaiting_shipment"],
    ["awaiting_shipment", "partially_shipping"],
    ["awaiting_shipment", "awaiting_collection"],
    ["partially_shipping", "awaiting_collection"],
    ["awaiting_collection", "in_transit"],
    ["in_transit", "delivered"],
    ["delivered", "completed"],
  ];
  const cancellations = channelStatuses
    .filter((status) => isLegalMove(status, "cancelled"))
    .map((status) => [status, "cancelled"] as const);
  const arrows = [...plainLife, ...cancellations].map(([from, to]) => `  ${from} --> ${to}`);
  return [
    "stateDiagram-v2",
    "  [*] --> unpaid",
    ...arrows,
    "  completed --> [*]",
    "  cancelled --> [*]",
  ].join("\n");
}
