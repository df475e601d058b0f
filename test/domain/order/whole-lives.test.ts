import { describe, expect, test } from "vitest";
import { asId } from "../../../src/domain/ids.ts";
import { holdOf } from "../../../src/domain/order/order.ts";
import { adjust, at, claim, reserve } from "../stock/stock-builders.ts";
import { aLine, contextOf, eventKinds, OrderAtWork, snapshot, Warehouse } from "./order-builders.ts";

test("a plain life: reserved, paid, released by the channel, shipped, delivered, completed", () => {
  const warehouse = new Warehouse({ mug: 5 });
  const order = new OrderAtWork(warehouse).tell(snapshot("unpaid"));
  expect(warehouse.numbers("mug")).toEqual({ onHand: 5, reserved: 1 });

  order.tell(snapshot("on_hold"));
  expect(holdOf(order.order)).toBe("remorse");

  order.tell(snapshot("awaiting_shipment")).arrange();
  expect(order.stages).toEqual(["shipped"]);
  expect(warehouse.numbers("mug")).toEqual({ onHand: 4, reserved: 0 });

  for (const status of ["awaiting_collection", "in_transit", "delivered", "completed"] as const) {
    order.tell(snapshot(status));
  }
  expect(warehouse.numbers("mug")).toEqual({ onHand: 4, reserved: 0 });
  expect(eventKinds(order.events)).toEqual([
    "order_received",
    "lines_reserved",
    "order_paid",
    "status_changed",
    "details_changed",
    "status_changed",
    "details_changed",
    "shipment_arranged",
    "lines_left",
    "lines_shipped",
    "status_changed",
    "status_changed",
    "status_changed",
    "status_changed",
  ]);
});

test("a life with skipped states books its units all the same", () => {
  const warehouse = new Warehouse({ mug: 5 });
  const order = new OrderAtWork(warehouse).tell(snapshot("unpaid")).tell(snapshot("delivered"));
  expect(order.stages).toEqual(["shipped"]);
  expect(warehouse.numbers("mug")).toEqual({ onHand: 4, reserved: 0 });
  expect(warehouse.of("mug").movements.map((movement) => movement.kind)).toEqual(["reserve", "ship"]);
});

test("arranged in the channel's own screens while we hold it back, an order still books its units", () => {
  const warehouse = new Warehouse({ mug: 1 });
  const order = new OrderAtWork(warehouse).tell(snapshot("awaiting_shipment", { buyerRequestsCancel: true }));
  expect(order.commands()).toEqual([]);
  order.tell(snapshot("awaiting_collection"));
  expect(order.events).toContainEqual({ kind: "lines_left", lineIds: ["1"], how: "seen" });
  expect(warehouse.numbers("mug")).toEqual({ onHand: 0, reserved: 0 });
});

test("an order with the seller's own carrier is left to the seller, also when half of it has gone", () => {
  const order = new OrderAtWork(new Warehouse({ mug: 2 }));
  const second = { packageId: asId<"ChannelPackage">("second") };
  const lines = [aLine("1"), aLine("2", second)];
  order.tell(snapshot("awaiting_shipment", { shipping: "seller", lines }));
  expect(order.commands()).toEqual([]);
  const halfGone = [aLine("1", { status: "in_transit" }), aLine("2", second)];
  order.tell(snapshot("partially_shipping", { shipping: "seller", lines: halfGone }));
  expect(order.stages).toEqual(["shipped", "held"]);
  expect(holdOf(order.order)).toBe("carrier");
  expect(order.commands()).toEqual([]);
});

describe("an order that is short", () => {
  const short = () => {
    const warehouse = new Warehouse({ mug: 0 });
    const order = new OrderAtWork(warehouse).tell(snapshot("awaiting_shipment"));
    expect(holdOf(order.order)).toBe("shortage");
    return { warehouse, order };
  };

  test("ships once the stock has served it", () => {
    const { warehouse, order } = short();
    warehouse.of("mug").do(adjust("count", 1));
    order.settle();
    expect(order.events.at(-1)).toEqual({ kind: "lines_reserved", lineIds: ["1"], fromQueue: true });
    order.arrange();
    expect(order.stages).toEqual(["shipped"]);
    expect(warehouse.numbers("mug")).toEqual({ onHand: 0, reserved: 0 });
  });

  test("leaves the queue when it is cancelled, and the next one is served", () => {
    const { warehouse, order } = short();
    const next = new OrderAtWork(warehouse);
    const later = snapshot("awaiting_shipment", { orderId: asId("next"), paidAt: at(9) });
    next.tell(later);
    order.tell(snapshot("cancelled"));
    warehouse.of("mug").do(adjust("count", 1));
    expect(next.settle().stages).toEqual(["held"]);
    expect(order.stages).toEqual(["cancelled"]);
  });

  test("and served just before it is cancelled gives its unit back", () => {
    const { warehouse, order } = short();
    warehouse.of("mug").do(adjust("count", 1));
    order.tell(snapshot("cancelled"));
    expect(warehouse.numbers("mug")).toEqual({ onHand: 1, reserved: 0 });
  });

  test("and shipped outside all the same explains the unit by a correction", () => {
    const { warehouse, order } = short();
    order.tell(snapshot("awaiting_collection"));
    expect(order.stages).toEqual(["shipped"]);
    expect(warehouse.of("mug").movements.map((movement) => [movement.kind, movement.newStock])).toEqual([
      ["channel_correction", 1],
      ["reserve", 1],
      ["ship", 0],
    ]);
  });

  test("moves up when it is paid: before an unpaid one that came first", () => {
    const warehouse = new Warehouse({ mug: 0 });
    const first = new OrderAtWork(warehouse).tell(snapshot("unpaid", { orderId: asId("first") }));
    const second = new OrderAtWork(warehouse).tell(
      snapshot("unpaid", { orderId: asId("second"), createdAt: at(3) }),
    );
    second.tell(snapshot("on_hold", { orderId: asId("second"), createdAt: at(3), paidAt: at(4) }));
    expect(second.events.at(-1)).toEqual({ kind: "lines_ranked", lineIds: ["1"], paidAt: at(4) });
    warehouse.of("mug").do(adjust("count", 1));
    expect([first.settle().stages, second.settle().stages]).toEqual([["short"], ["held"]]);
  });
});

test("two lines of which one is short wait together, and the order ships when both have their units", () => {
  const warehouse = new Warehouse({ mug: 1, plate: 0 });
  const lines = [aLine("1"), aLine("2", { channelSkuId: asId("plate") })];
  const order = new OrderAtWork(warehouse).tell(snapshot("awaiting_shipment", { lines })).arrange();
  expect(order.stages).toEqual(["held", "short"]);
  warehouse.of("plate").do(adjust("count", 1));
  expect(order.settle().arrange().stages).toEqual(["shipped", "shipped"]);
});

describe("the buyer asks to cancel", () => {
  const asks = () =>
    new OrderAtWork(new Warehouse({ mug: 1 })).tell(
      snapshot("awaiting_shipment", { buyerRequestsCancel: true }),
    );

  test("and a person accepts: the units are free when the channel says that it is cancelled", () => {
    const order = asks().cancel({ accepted: true });
    expect(holdOf(order.order)).toBe("cancelling");
    expect(order.stages).toEqual(["held"]);
    expect(order.tell(snapshot("cancelled")).stages).toEqual(["cancelled"]);
  });

  test("and takes it back: the order ships", () => {
    const order = asks();
    expect(order.arrange().stages).toEqual(["held"]);
    expect(order.tell(snapshot("awaiting_shipment", { updatedAt: at(9) })).arrange().stages).toEqual([
      "shipped",
    ]);
  });
});

test("a person's wish that the channel declines lets the order ship again", () => {
  const order = new OrderAtWork(new Warehouse({ mug: 1 })).tell(snapshot("awaiting_shipment")).cancel(null);
  expect(order.commands()).toEqual([{ kind: "cancel", reason: "Out of stock" }]);
  const declined = new OrderAtWork(new Warehouse({ mug: 1 }))
    .tell(snapshot("awaiting_shipment"))
    .cancel({ accepted: false, reason: "Too late" });
  expect(declined.arrange().stages).toEqual(["shipped"]);
});

test("a claim that was closed before it was asked for is asked for under its next generation", () => {
  const warehouse = new Warehouse({ mug: 1 });
  warehouse.of("mug").do({ kind: "release", claim: claim("order"), reason: "test" });
  const order = new OrderAtWork(warehouse).tell(snapshot("unpaid"));
  expect(order.order.lines).toMatchObject([{ stage: "held", generation: 2 }]);
});

test("an operation id used before for something else leaves the line short, where a person sees it", () => {
  const warehouse = new Warehouse({ mug: 1 });
  warehouse.of("mug").do(reserve("order", { quantity: 2 }));
  const order = new OrderAtWork(warehouse).tell(snapshot("awaiting_shipment"));
  expect(order.stages).toEqual(["short"]);
  expect(order.events).toContainEqual({
    kind: "stock_refused",
    lineId: "1",
    operation: "reserve",
    reason: "operation_id_reused",
  });
});

test("a SKU without any stock record is a shortage at first and untracked once it has left", () => {
  const order = new OrderAtWork(new Warehouse({})).tell(snapshot("awaiting_shipment"));
  expect(order.stages).toEqual(["short"]);
  expect(order.tell(snapshot("in_transit")).stages).toEqual(["untracked"]);
});

test("units come from the location that the channel names", () => {
  const news = snapshot("awaiting_shipment");
  const order = new OrderAtWork(new Warehouse({ mug: 1 }));
  order.hear(news, contextOf(news, { locationId: asId("elsewhere") }));
  expect(order.commands()).toMatchObject([{ operation: { kind: "reserve", locationId: "elsewhere" } }]);
  expect(order.settle().stages).toEqual(["short"]);
});
