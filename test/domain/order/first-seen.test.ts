import { describe, expect, test } from "vitest";
import { channelStatuses } from "../../../src/domain/order/channel-order.ts";
import { commandsFor } from "../../../src/domain/order/commands.ts";
import { receiveOrder, takeSnapshot } from "../../../src/domain/order/decide.ts";
import { asId } from "../../../src/domain/ids.ts";
import { at } from "../stock/stock-builders.ts";
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

describe("an order first seen", () => {
  test.each([
    // status                 ordered before the opening  after it     shop not opened yet
    ["unpaid", "new", "new", "new"],
    ["on_hold", "new", "new", "new"],
    ["awaiting_shipment", "new", "new", "new"],
    ["partially_shipping", "new", "new", "new"],
    ["awaiting_collection", "untracked", "arranged", "arranged"],
    ["in_transit", "untracked", "arranged", "arranged"],
    ["delivered", "untracked", "arranged", "arranged"],
    ["completed", "untracked", "arranged", "arranged"],
    ["cancelled", "closing", "closing", "closing"],
  ] as const)("as %s", (status, beforeOpening, afterOpening, notOpened) => {
    const seen = snapshot(status, { createdAt: at(10), lines: [aLine("1", { status })] });
    const openedAt = (stockOpenedAt: string | null) =>
      stagesOf(receiveOrder(seen, contextOf(seen, { stockOpenedAt })).state)[0];
    expect([openedAt(at(20)), openedAt(at(5)), openedAt(null)]).toEqual([
      beforeOpening,
      afterOpening,
      notOpened,
    ]);
  });

  test.each(channelStatuses)("as %s is received with what the channel says of it", (status) => {
    const seen = snapshot(status, {
      shipBy: at(30),
      cancelBy: at(40),
      trackingNumber: "T1",
      shipping: "seller",
      buyerRequestsCancel: true,
    });
    const { state, events } = receiveOrder(seen, contextOf(seen, { locationId: asId("home") }));
    expect(state).toMatchObject({
      channelStatus: status,
      shipBy: at(30),
      cancelBy: at(40),
      trackingNumber: "T1",
      shipping: "seller",
      buyerRequestsCancel: true,
      locationId: "home",
      orderedAt: at(1),
    });
    expect(events[0]).toEqual({ kind: "order_received", status, lines: 1 });
  });

  test("with a line cancelled frees that line and reserves the others", () => {
    const lines = [aLine("1", { status: "cancelled" }), aLine("2", { status: "on_hold" })];
    const seen = snapshot("on_hold", { lines });
    expect(stagesOf(receiveOrder(seen, contextOf(seen)).state)).toEqual(["closing", "new"]);
  });

  test("after it had left takes its units from the stock, though they were never reserved", () => {
    const warehouse = new Warehouse({ mug: 2 });
    const order = new OrderAtWork(warehouse).tell(snapshot("in_transit"));
    expect(order.stages).toEqual(["shipped"]);
    expect(warehouse.numbers("mug")).toEqual({ onHand: 1, reserved: 0 });
  });

  test("after it had left before the stock was opened never touches the stock", () => {
    const warehouse = new Warehouse({ mug: 2 });
    const seen = snapshot("in_transit");
    const order = new OrderAtWork(warehouse).tell(seen, contextOf(seen, { stockOpenedAt: at(20) }));
    for (const status of ["delivered", "completed"] as const) order.tell(snapshot(status));
    expect(order.stages).toEqual(["untracked"]);
    expect(warehouse.of("mug").movements).toEqual([]);
  });
});

describe("a line that is added to an order", () => {
  test.each(["unpaid", "awaiting_shipment"] as const)("that is %s gets units of its own", (status) => {
    const warehouse = new Warehouse({ mug: 3 });
    const order = new OrderAtWork(warehouse).tell(snapshot(status, { lines: [aLine("1")] }));
    expect([order.stages, warehouse.numbers("mug")]).toEqual([["held"], { onHand: 3, reserved: 1 }]);
    order.tell(snapshot(status, { lines: [aLine("1"), aLine("2")], updatedAt: at(5) }));
    expect([order.stages, warehouse.numbers("mug")]).toEqual([["held", "held"], { onHand: 3, reserved: 2 }]);
  });

  test("waits like every other when its units are gone, and the order with it", () => {
    const warehouse = new Warehouse({ mug: 1 });
    const order = new OrderAtWork(warehouse).tell(snapshot("awaiting_shipment", { lines: [aLine("1")] }));
    order.tell(snapshot("awaiting_shipment", { lines: [aLine("1"), aLine("2")], updatedAt: at(5) }));
    expect([order.stages, warehouse.numbers("mug")]).toEqual([["held", "short"], { onHand: 1, reserved: 1 }]);
  });
});

describe("an order that the channel fulfils from its own warehouse", () => {
  test.each(channelStatuses)("never touches our stock, first seen as %s", (status) => {
    const seen = snapshot(status, {
      fulfilledBy: "channel",
      lines: [aLine("1", { status }), aLine("2", { status })],
    });
    const { state } = receiveOrder(seen, contextOf(seen, {}));
    expect(stagesOf(state)).toEqual(["untracked", "untracked"]);
    expect(commandsFor(state)).toEqual([]);
  });

  test("is followed to its end, with lines that are added later untracked too", () => {
    const first = snapshot("awaiting_shipment", { fulfilledBy: "channel" });
    const { state } = receiveOrder(first, contextOf(first, {}));
    const later = snapshot("cancelled", { fulfilledBy: "channel", lines: [aLine("1"), aLine("2")] });
    const ended = takeSnapshot(state, later, contextOf(later, {})).state;
    expect(ended.channelStatus).toBe("cancelled");
    expect(stagesOf(ended)).toEqual(["untracked", "untracked"]);
    expect(commandsFor(ended)).toEqual([]);
  });
});

describe("a SKU that is not in the catalogue", () => {
  const unknown = (status: "unpaid" | "awaiting_shipment" | "awaiting_collection") => {
    const news = snapshot(status);
    return [news, contextOf(news, { known: [] })] as const;
  };

  test("asks nothing of anybody until it is known, then its units are reserved", () => {
    const warehouse = new Warehouse({ mug: 1 });
    const order = new OrderAtWork(warehouse).tell(...unknown("awaiting_shipment"));
    expect(order.commands()).toEqual([]);
    order.tell(snapshot("awaiting_shipment", { updatedAt: at(5) }));
    expect(order.stages).toEqual(["held"]);
    expect(order.events).toContainEqual({ kind: "details_changed", changed: ["lines"] });
  });

  test("that leaves unknown is not taken from stock that is opened later without it", () => {
    const warehouse = new Warehouse({ mug: 4 });
    const order = new OrderAtWork(warehouse)
      .tell(...unknown("unpaid"))
      .tell(...unknown("awaiting_collection"));
    expect(order.stages).toEqual(["untracked"]);
    expect(order.events.at(-1)).toEqual({ kind: "lines_untracked", lineIds: ["1"] });
    order.tell(snapshot("in_transit")).tell(snapshot("completed"));
    expect(warehouse.of("mug").movements).toEqual([]);
  });
});

describe("news of an order", () => {
  const known = orderIn("awaiting_shipment");
  const tell = (overrides: Parameters<typeof snapshot>[1]) => {
    const news = snapshot("awaiting_shipment", overrides);
    return takeSnapshot(known, news, contextOf(news));
  };

  test.each([
    ["channelOnHold", { onHold: true }],
    ["buyerRequestsCancel", { buyerRequestsCancel: true }],
    ["shipBy", { shipBy: at(30) }],
    ["cancelBy", { cancelBy: at(40) }],
    ["trackingNumber", { trackingNumber: "T1" }],
    ["lines", { lines: [aLine("1", { packageId: asId("other") })] }],
    ["lines", { lines: [aLine("1"), aLine("2")] }],
  ] as const)("changing %s says so and nothing else", (name, overrides) => {
    expect(tell(overrides).events).toEqual([{ kind: "details_changed", changed: [name] }]);
  });

  test("forget no deadline, tracking number or package that was known", () => {
    const rich = takeSnapshot(
      known,
      snapshot("awaiting_shipment", { shipBy: at(30), cancelBy: at(40), trackingNumber: "T1" }),
      contextOf(snapshot("awaiting_shipment")),
    ).state;
    const poor = snapshot("awaiting_shipment", { lines: [aLine("1", { packageId: null })] });
    expect(takeSnapshot(rich, poor, contextOf(poor))).toEqual({ state: rich, events: [] });
  });

  test("with the lines in another order are no news", () => {
    const lines = [aLine("2"), aLine("1")];
    const order = orderIn("awaiting_shipment", {
      lines: [orderLine("held"), orderLine("held", { lineId: asId("2") })],
    });
    const news = snapshot("awaiting_shipment", { lines });
    expect(takeSnapshot(order, news, contextOf(news)).events).toEqual([]);
  });

  test("keep a line that is no longer shown", () => {
    const { state, events } = tell({ lines: [aLine("2")] });
    expect(state.lines.map((line) => [line.lineId, line.stage])).toEqual([
      ["2", "new"],
      ["1", "held"],
    ]);
    expect(events).toEqual([{ kind: "details_changed", changed: ["lines"] }]);
  });

  test("of the payment are noted once, with its time", () => {
    const unpaid = orderIn("unpaid");
    const news = snapshot("on_hold");
    const once = takeSnapshot(unpaid, news, contextOf(news));
    expect(once.events[0]).toEqual({ kind: "order_paid", paidAt: at(2) });
    const later = snapshot("awaiting_shipment", { paidAt: at(9) });
    const twice = takeSnapshot(once.state, later, contextOf(later));
    expect(eventKinds(twice.events)).not.toContain("order_paid");
    expect(twice.state.paidAt).toBe(at(2));
  });

  test("that some lines are arranged let those leave and keep the others", () => {
    const order = orderIn("awaiting_shipment", {
      lines: [orderLine("held"), orderLine("held", { lineId: asId("2"), packageId: asId("second") })],
    });
    const news = snapshot("partially_shipping", {
      lines: [
        aLine("1", { status: "awaiting_collection" }),
        aLine("2", { status: "awaiting_shipment", packageId: asId("second") }),
      ],
    });
    const { state } = takeSnapshot(order, news, contextOf(news));
    expect(stagesOf(state)).toEqual(["arranged", "held"]);
    expect(commandsFor(state)).toMatchObject([
      { kind: "stock", lineId: "1", operation: { kind: "ship" } },
      { kind: "ship", packageIds: ["second"] },
    ]);
  });

  test("clear the reason for which the channel declined the last shipment, so that it is tried again", () => {
    const declined = orderIn("awaiting_shipment", { shipmentRefusal: "Address is incomplete" });
    expect(commandsFor(declined)).toEqual([]);
    const news = snapshot("awaiting_shipment");
    expect(commandsFor(takeSnapshot(declined, news, contextOf(news)).state)).toMatchObject([
      { kind: "ship" },
    ]);
  });
});
