import { asId } from "../src/domain/ids.ts";
import { type ChannelOrder, type ChannelStatus, channelStatuses } from "../src/domain/order/channel-order.ts";
import { takeSnapshot } from "../src/domain/order/decide.ts";
import { takeStockAnswers } from "../src/domain/order/stock-answers.ts";
import {
  type Hold,
  holdOf,
  type LineStage,
  lineStages,
  needsAttention,
  nextStepOf,
  type OrderState,
} from "../src/domain/order/order.ts";
import { shortagePolicies } from "../src/domain/order/shortage.ts";
import { isArranged, isLegalMove, lifecycleDiagram, transitions } from "../src/domain/order/transitions.ts";

/**
 * The page docs/order-lifecycle.md. States, moves, holds and what a cancellation does to the units are asked of the
 * domain itself; only what the domain cannot know (who acts in the world) is written here.
 */
export function orderLifecyclePage(): string {
  return `${[
    "<!-- Made by `npm run docs` from src/domain/order. Change the domain, not this page. -->",
    "# The life of an order",
    introduction,
    "## States",
    table(
      ["State", "Shown as", "Meaning", "Who moves it on"],
      channelStatuses.map((status) => [
        `\`${status}\``,
        transitions[status].summary,
        transitions[status].meaning,
        movers[status],
      ]),
    ),
    "## The way through them",
    "The diagram shows the plain life and where it can be cancelled. Skipped states are left out of it; the table below has them.",
    fenced("mermaid", lifecycleDiagram()),
    "## Legal moves",
    "Rows are where an order is, columns what the channel says next. News may be lost, so a state may be skipped; no order goes back.",
    moves(),
    "## The units of a line",
    "Each line of an order has a stage of its own, because lines can be cancelled, short or packed apart.",
    table(
      ["Stage", "Its units", "What the order asks of the stock"],
      lineStages.map((stage) => [`\`${stage}\``, units[stage], askedOfStock[stage]]),
    ),
    "### When the channel says that a line is cancelled",
    cancellationText,
    table(
      ["The order was", "Its line was", "The units"],
      channelStatuses.filter((status) => isLegalMove(status, "cancelled")).map(cancellationRow),
    ),
    "## Holds",
    "A hold is the reason why an order with something left to ship does not ship. Only the first reason that applies is shown, in this order.",
    table(
      ["Hold", "A person must act", "Next step"],
      holds.map((hold) => [
        `\`${hold}\``,
        needsAttention(example(hold)) ? "yes" : "no",
        nextStepOf(example(hold)),
      ]),
    ),
    "### When units are missing",
    shortageText,
    table(
      ["Course", "A person must act", "Next step"],
      courses.map((course) => {
        const order: OrderState = {
          ...example("shortage"),
          lines: [lineIn("short"), ...(course === "release_others" ? [lineIn("set_aside")] : [])],
          shipBy: "2026-01-03T00:00:00.000Z",
          shortage: { course, by: null },
        };
        return [`\`${course}\``, needsAttention(order) ? "yes" : "no", nextStepOf(order)];
      }),
    ),
    "## Next steps without a hold",
    table(
      ["State", "Next step"],
      channelStatuses
        .filter((status) => holdOf(orderIn(status, "held")) === null)
        .map((status) => [`\`${status}\``, nextStepOf(orderIn(status, "held"))]),
    ),
  ].join("\n\n")}\n`;
}

const introduction = `The channel decides what state an order is in. We fetch the order whenever something hints that it changed, compare it
with what we know, and do what follows. News that repeat what is known change nothing; news that would go back are noted
in the order's timeline as \`news_refused\` and change nothing either.`;

const cancellationText = `Until the carrier has the parcel, the units of a cancelled line return to the shelf by themselves. After that they are
gone until somebody has inspected what came back.`;

const courses = [...shortagePolicies, "overdue"] as const;
const shortageText = `What is done about a paid order that is short is the seller's policy (\`orders shortage-policy\`), unless a person decides otherwise
about the order (\`orders shortage\`). Cancelling is only ever proposed: a person cancels the order, by one command. An order that waits becomes
\`overdue\` when it should have shipped; one that a person lets wait does not. \`release_others\` releases the other lines once: they
are asked for again, as their next generation, when nothing is missing any more or a person keeps what there is.`;

const movers: Readonly<Record<ChannelStatus, string>> = {
  unpaid: "The buyer pays, or the channel gives up waiting.",
  on_hold: "The channel, when the buyer can no longer change their mind.",
  awaiting_shipment: "We do, by arranging the shipment of each package that has all its units.",
  partially_shipping: "We do, by arranging the packages that are left.",
  awaiting_collection: "The carrier collects the parcel.",
  in_transit: "The carrier delivers it.",
  delivered: "Time: the after-sales period ends.",
  completed: "Nobody.",
  cancelled: "Nobody.",
};

const units: Readonly<Record<LineStage, string>> = {
  new: "Not asked for yet.",
  held: "Promised to this line: counted as reserved.",
  short: "Not there. The line waits in the SKU's fair queue.",
  yielding: "About to be freed for other orders, since another line of its order is short.",
  set_aside:
    "Free for others. Asked for again when nothing of the order is missing any more, or a person keeps what there is.",
  arranged: "About to leave; the stock is being told.",
  shipped: "Gone from the shelf: on hand and reserved have both fallen.",
  closing: "About to be freed.",
  cancelled: "Free for others.",
  reversing: "About to be counted as on hand again.",
  reversed: "On hand again, as they never went out of the door.",
  untracked:
    "Never ours to count: they left before their stock was opened, or the stock refused to book them and the timeline says why.",
};

const askedOfStock: Readonly<Record<LineStage, string>> = {
  new: "reserve",
  held: "nothing",
  short: "a better place in the queue, once it is paid",
  yielding: "release",
  set_aside: "nothing",
  arranged: "ship",
  shipped: "nothing",
  closing: "release",
  cancelled: "nothing",
  reversing: "reverse",
  reversed: "nothing",
  untracked: "nothing",
};

function moves(): string {
  const mark = (from: ChannelStatus, to: ChannelStatus) =>
    from === to ? "=" : isLegalMove(from, to) ? "yes" : "";
  return table(
    ["", ...channelStatuses.map((status) => `\`${status}\``)],
    channelStatuses.map((from) => [`\`${from}\``, ...channelStatuses.map((to) => mark(from, to))]),
  );
}

function cancellationRow(status: ChannelStatus): readonly string[] {
  const before: LineStage = isArranged(status) ? "shipped" : "held";
  const { state } = takeSnapshot(orderIn(status, before), cancelledOrder, context);
  const operation = state.lines[0]?.stage === "reversing" ? "reverse" : "release";
  const outcome = operation === "reverse" ? "reversed" : "released";
  const settled = takeStockAnswers(state, [
    { lineId: "1", generation: 1, operation, answer: { outcome }, paidAt: null },
  ]);
  const after = settled.state.lines[0]?.stage ?? before;
  return [`\`${status}\``, `\`${before}\``, `\`${after}\`: ${units[after]}`];
}

/** In the order of `holdOf`; the record makes a forgotten one a compile error. */
const causes: Readonly<Record<Hold, Partial<OrderState>>> = {
  unknown_sku: { lines: [{ ...lineIn("new"), skuId: null }] },
  cancelling: { cancelRequest: { state: "requested", reason: "", by: null } },
  shortage: { lines: [lineIn("short")] },
  cancel_requested: { buyerRequestsCancel: true },
  shipment_refused: { shipmentRefusal: "the channel's words" },
  remorse: { channelOnHold: true },
  carrier: { shipping: "seller" },
  no_package: { lines: [{ ...lineIn("held"), packageId: null }] },
};
const holds = Object.keys(causes) as readonly Hold[];

function example(hold: Hold): OrderState {
  const order = { ...orderIn("awaiting_shipment", "held"), ...causes[hold] };
  if (holdOf(order) !== hold) throw new Error(`The example of ${hold} is held by ${String(holdOf(order))}`);
  return order;
}

function lineIn(stage: LineStage): OrderState["lines"][number] {
  return {
    lineId: asId("1"),
    skuId: asId("sku"),
    channelSkuId: asId("sku"),
    quantity: 1,
    packageId: asId("package"),
    stage,
    generation: 1,
    rankedPaidAt: null,
  };
}

function orderIn(channelStatus: ChannelStatus, stage: LineStage): OrderState {
  return {
    orderRef: "shop/order",
    channelStatus,
    channelOnHold: false,
    buyerRequestsCancel: false,
    shipping: "channel",
    locationId: null,
    orderedAt: "2026-01-01T00:00:00.000Z",
    paidAt: null,
    shipBy: null,
    cancelBy: null,
    trackingNumber: null,
    shipmentRefusal: null,
    cancelRequest: null,
    shortage: null,
    othersReleased: false,
    lines: [lineIn(stage)],
  };
}

const cancelledOrder: ChannelOrder = {
  orderId: asId("order"),
  status: "cancelled",
  onHold: false,
  createdAt: "2026-01-01T00:00:00.000Z",
  updatedAt: "2026-01-01T00:00:00.000Z",
  paidAt: null,
  fulfilledBy: "seller",
  shipping: "channel",
  warehouseId: null,
  shipBy: null,
  cancelBy: null,
  cancelReason: null,
  buyerRequestsCancel: false,
  trackingNumber: null,
  currency: "GBP",
  totalMinor: 0,
  lines: [],
};
const context = { orderRef: "shop/order", skuIds: new Map(), locationId: null, stockOpenedAt: null };

function table(header: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]) => `| ${cells.join(" | ")} |`;
  return [line(header), line(header.map(() => "---")), ...rows.map(line)].join("\n");
}

function fenced(language: string, text: string): string {
  return ["```" + language, text, "```"].join("\n");
}
