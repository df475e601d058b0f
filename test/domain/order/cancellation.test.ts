import { describe, expect, test } from "vitest";
import { type ChannelStatus, channelStatuses } from "../../../src/domain/order/channel-order.ts";
import { commandsFor } from "../../../src/domain/order/commands.ts";
import { takeSnapshot } from "../../../src/domain/order/decide.ts";
import { type LineStage, lineStages } from "../../../src/domain/order/order.ts";
import { isLegalMove } from "../../../src/domain/order/transitions.ts";
import {
  aLine,
  contextOf,
  eventKinds,
  OrderAtWork,
  orderIn,
  orderLine,
  snapshot,
  stagesOf,
  Warehouse,
} from "./order-builders.ts";

/** Where a line goes when the channel says that it is cancelled. */
const cancelled: readonly (readonly [
  stage: LineStage,
  beforeHandOver: LineStage,
  afterHandOver: LineStage,
])[] = [
  ["new", "closing", "closing"],
  ["held", "closing", "closing"],
  ["short", "closing", "closing"],
  ["yielding", "closing", "closing"],
  ["set_aside", "cancelled", "cancelled"],
  ["arranged", "closing", "arranged"],
  ["shipped", "reversing", "shipped"],
  ["closing", "closing", "closing"],
  ["cancelled", "cancelled", "cancelled"],
  ["reversing", "reversing", "reversing"],
  ["reversed", "reversed", "reversed"],
  ["untracked", "untracked", "untracked"],
];
const handedOver: readonly ChannelStatus[] = ["in_transit", "delivered", "completed"];

test("the table of cancellations names every stage", () => {
  expect(cancelled.map(([stage]) => stage)).toEqual(lineStages);
});

describe.each(channelStatuses.filter((status) => isLegalMove(status, "cancelled")))(
  "an order that is %s is cancelled",
  (status) => {
    test.each(cancelled)("a line that is %s", (stage, beforeHandOver, afterHandOver) => {
      const expected = handedOver.includes(status) ? afterHandOver : beforeHandOver;
      const news = snapshot("cancelled");
      const { state, events } = takeSnapshot(
        orderIn(status, { lines: [orderLine(stage)] }),
        news,
        contextOf(news),
      );
      expect(stagesOf(state)).toEqual([expected]);
      expect(eventKinds(events).includes("lines_cancelled")).toBe(expected !== stage);
    });
  },
);

describe.each(["awaiting_shipment", "partially_shipping", "awaiting_collection", "in_transit"] as const)(
  "one line of two is cancelled while the order stays %s",
  (status) => {
    test.each(cancelled)("a line that is %s", (stage, beforeHandOver, afterHandOver) => {
      const order = orderIn(status, {
        lines: [
          orderLine(stage),
          orderLine("shipped", { lineId: aLine("2").lineId, packageId: aLine("2").packageId }),
        ],
      });
      const news = snapshot(status, {
        lines: [aLine("1", { status: "cancelled" }), aLine("2", { status })],
      });
      expect(stagesOf(takeSnapshot(order, news, contextOf(news)).state)).toEqual([
        handedOver.includes(status) ? afterHandOver : beforeHandOver,
        "shipped",
      ]);
    });
  },
);

test("a cancelled line that the channel no longer shows is still resolved", () => {
  const order = orderIn("awaiting_shipment", { lines: [orderLine("held")] });
  const news = snapshot("cancelled", { lines: [] });
  expect(stagesOf(takeSnapshot(order, news, contextOf(news)).state)).toEqual(["closing"]);
});

test("a line of a SKU we never knew has nothing to free: it is cancelled at once", () => {
  const order = orderIn("awaiting_shipment", { lines: [orderLine("new", { skuId: null })] });
  const news = snapshot("cancelled");
  const { state } = takeSnapshot(order, news, contextOf(news, { known: [] }));
  expect(stagesOf(state)).toEqual(["cancelled"]);
  expect(commandsFor(state)).toEqual([]);
});

test("cancelled on its way, an order keeps its units gone however often the news are repeated", () => {
  const warehouse = new Warehouse({ mug: 3 });
  const order = new OrderAtWork(warehouse).tell(snapshot("awaiting_shipment")).arrange();
  order.tell(snapshot("in_transit")).tell(snapshot("cancelled"));
  for (const trackingNumber of ["T1", "T2"]) order.tell(snapshot("cancelled", { trackingNumber }));
  expect(order.stages).toEqual(["shipped"]);
  expect(warehouse.numbers("mug")).toEqual({ onHand: 2, reserved: 0 });
});

test("first seen on its way and cancelled before the stock was told, an order's units are gone", () => {
  const warehouse = new Warehouse({ mug: 3 });
  const order = new OrderAtWork(warehouse).hear(snapshot("in_transit")).tell(snapshot("cancelled"));
  expect(order.stages).toEqual(["shipped"]);
  expect(warehouse.numbers("mug")).toEqual({ onHand: 2, reserved: 0 });
});

describe("cancelled between arranging and the stock's answer", () => {
  test.each([
    ["the stock was not told yet, so the units are freed", false, ["cancelled"]],
    ["the stock has booked the shipment, so it is reversed", true, ["reversed"]],
  ] as const)("%s", (_, told, stages) => {
    const warehouse = new Warehouse({ mug: 3 });
    const order = new OrderAtWork(warehouse).tell(snapshot("awaiting_shipment"));
    order.hear(snapshot("awaiting_collection"));
    if (told) order.askStock({ answersAreLost: true });
    order.tell(snapshot("cancelled"));
    expect(order.stages).toEqual(stages);
    expect(warehouse.numbers("mug")).toEqual({ onHand: 3, reserved: 0 });
  });
});

test("one cancelled line gives its unit back and the rest of the order ships", () => {
  const warehouse = new Warehouse({ mug: 2 });
  const lines = [aLine("1"), aLine("2")];
  const order = new OrderAtWork(warehouse).tell(snapshot("on_hold", { lines }));
  order.tell(snapshot("awaiting_shipment", { lines: [aLine("1", { status: "cancelled" }), aLine("2")] }));
  expect(order.stages).toEqual(["cancelled", "held"]);
  expect(warehouse.numbers("mug")).toEqual({ onHand: 2, reserved: 1 });
  order.arrange();
  expect(order.stages).toEqual(["cancelled", "shipped"]);
  expect(warehouse.numbers("mug")).toEqual({ onHand: 1, reserved: 0 });
});
