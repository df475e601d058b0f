import { describe, expect, test } from "vitest";
import { asId } from "../../../src/domain/ids.ts";
import { claimOf } from "../../../src/domain/order/commands.ts";
import { takeShipment } from "../../../src/domain/order/decide.ts";
import { needsAttention, nextStepOf } from "../../../src/domain/order/order.ts";
import {
  chooseCourse,
  type ShortagePolicy,
  shortagePolicies,
  takeShortage,
  waitsUntil,
} from "../../../src/domain/order/shortage.ts";
import { adjust, at, claim, reserve } from "../stock/stock-builders.ts";
import { aLine, eventKinds, OrderAtWork, orderIn, orderLine, snapshot, Warehouse } from "./order-builders.ts";

/** A paid order of a mug and a plate, of which there are so many; it should ship by minute 30. */
function shortOrder(policy: ShortagePolicy, units: { mug: number; plate: number }) {
  const warehouse = new Warehouse(units);
  const order = new OrderAtWork(warehouse);
  order.policy = policy;
  order.now = at(3);
  const news = snapshot("awaiting_shipment", {
    paidAt: at(2),
    shipBy: at(30),
    lines: [
      aLine("1", { channelSkuId: asId("mug"), status: "awaiting_shipment" }),
      aLine("2", { channelSkuId: asId("plate"), status: "awaiting_shipment" }),
    ],
  });
  return { warehouse, order: order.tell(news), news };
}

describe("what is done about a paid order that is short", () => {
  test("by policy `ask`: it keeps what it has, and a person must act", () => {
    const { order } = shortOrder("ask", { mug: 1, plate: 0 });
    expect(order.stages).toEqual(["held", "short"]);
    expect(needsAttention(order.order)).toBe(true);
    expect(waitsUntil(order.order)).toBeNull();
  });

  test("by policy `wait`: nobody need act until it should have shipped, then cancelling is proposed", () => {
    const { order } = shortOrder("wait", { mug: 1, plate: 0 });
    expect(order.stages).toEqual(["held", "short"]);
    expect(needsAttention(order.order)).toBe(false);
    expect(waitsUntil(order.order)).toBe(at(30));
    order.now = at(29);
    expect(order.settle().order.shortage?.course).toBe("wait");
    order.now = at(30);
    order.settle();
    expect(order.order.shortage).toEqual({ course: "overdue", by: null });
    expect(needsAttention(order.order)).toBe(true);
    expect(nextStepOf(order.order)).toMatch(/Was to ship by .*cancelling is proposed/);
    expect(order.stages).toEqual(["held", "short"]);
  });

  test("by policy `release_others`: its other lines serve others, and are asked for again when nothing is missing", () => {
    const { order, warehouse } = shortOrder("release_others", { mug: 1, plate: 0 });
    expect(order.stages).toEqual(["set_aside", "short"]);
    expect(warehouse.numbers("mug")).toEqual({ onHand: 1, reserved: 0 });
    expect(needsAttention(order.order)).toBe(false);
    warehouse.of("plate").do(adjust("found", 1));
    expect(order.settle().stages).toEqual(["held", "held"]);
    expect(warehouse.numbers("mug")).toEqual({ onHand: 1, reserved: 1 });
    expect(order.order.shortage).toBeNull();
    expect(eventKinds(order.events)).toEqual(
      expect.arrayContaining(["lines_yielding", "lines_set_aside", "lines_asked_again"]),
    );
  });

  test("a line that was released once is not released again: what was served stays", () => {
    const { order, warehouse } = shortOrder("release_others", { mug: 1, plate: 0 });
    warehouse.of("mug").do({
      kind: "reserve",
      claim: claim("other"),
      quantity: 1,
      rank: { paidAt: at(9), orderedAt: at(9) },
      locationId: null,
    });
    warehouse.of("plate").do(adjust("found", 1));
    // The mug went to somebody else meanwhile: now that is what is missing.
    expect(order.settle().stages).toEqual(["short", "held"]);
    expect(order.settle().stages).toEqual(["short", "held"]);
  });

  test("by policy `propose_cancelling`: a person is asked to cancel at once", () => {
    const { order } = shortOrder("propose_cancelling", { mug: 0, plate: 1 });
    expect(order.stages).toEqual(["short", "held"]);
    expect(needsAttention(order.order)).toBe(true);
    expect(nextStepOf(order.order)).toMatch(/cancelling is proposed/);
  });

  test.each(shortagePolicies)("an order that is not paid yet has no course, by policy `%s`", (policy) => {
    const unpaid = orderIn("unpaid", { lines: [orderLine("short")] });
    expect(takeShortage(unpaid, { policy, now: at(99) })).toEqual({ state: unpaid, events: [] });
    expect(chooseCourse(unpaid, { course: "wait", by: null })).toMatchObject({ refused: "not_paid_yet" });
  });

  test.each(shortagePolicies)("an order that lacks nothing is left alone, by policy `%s`", (policy) => {
    const order = orderIn("awaiting_shipment");
    expect(takeShortage(order, { policy, now: at(99) })).toEqual({ state: order, events: [] });
    expect(chooseCourse(order, { course: "wait", by: null })).toMatchObject({ refused: "nothing_missing" });
  });
});

describe("a person decides otherwise", () => {
  test("to wait, and then it waits without an end", () => {
    const { order } = shortOrder("propose_cancelling", { mug: 1, plate: 0 });
    order.choose("wait").now = at(99);
    expect(order.settle().order.shortage?.course).toBe("wait");
  });

  test("to keep what there is: lines that were set aside are asked for again", () => {
    const { order, warehouse } = shortOrder("release_others", { mug: 1, plate: 0 });
    expect(order.choose("ask").settle().stages).toEqual(["held", "short"]);
    expect(warehouse.numbers("mug")).toEqual({ onHand: 1, reserved: 1 });
  });

  test("to release the others, also a second time", () => {
    const { order } = shortOrder("release_others", { mug: 1, plate: 0 });
    order.choose("ask").settle();
    expect(order.choose("release_others").settle().stages).toEqual(["set_aside", "short"]);
  });
});

test("an order that is cancelled, or leaves, while lines are set aside takes no unit that is not its own", () => {
  const cancelled = shortOrder("release_others", { mug: 1, plate: 0 });
  const over = cancelled.order.tell({ ...cancelled.news, status: "cancelled", updatedAt: at(9) });
  expect(over.stages).toEqual(["cancelled", "cancelled"]);
  expect(cancelled.warehouse.numbers("mug")).toEqual({ onHand: 1, reserved: 0 });

  const gone = shortOrder("release_others", { mug: 1, plate: 0 });
  const left = gone.order.tell({ ...gone.news, status: "in_transit", updatedAt: at(9) });
  expect(left.stages).toEqual(["shipped", "shipped"]);
  expect(gone.warehouse.numbers("mug")).toEqual({ onHand: 0, reserved: 0 });
  expect(gone.warehouse.numbers("plate")).toEqual({ onHand: 0, reserved: 0 });
});

describe("a line that leaves while its unit is being given to others", () => {
  /** The decision is made, and the stock has not been told. */
  function yieldingOrder() {
    const made = shortOrder("ask", { mug: 1, plate: 0 });
    const { order } = made;
    order.choose("release_others");
    order.state = takeShortage(order.order, { policy: "ask", now: order.now }).state;
    expect(order.stages).toEqual(["yielding", "short"]);
    const leave = () => order.tell({ ...made.news, status: "in_transit", updatedAt: at(9) });
    return { ...made, leave };
  }

  test("takes it along when the stock has not heard of it yet", () => {
    const { warehouse, leave } = yieldingOrder();
    expect(leave().stages).toEqual(["shipped", "shipped"]);
    expect(warehouse.numbers("mug")).toEqual({ onHand: 0, reserved: 0 });
    expect(warehouse.of("mug").movements.map(({ kind }) => kind)).toEqual(["reserve", "ship"]);
  });

  test("takes one along when it is free already and the answer was lost", () => {
    const { order, warehouse, leave } = yieldingOrder();
    order.askStock({ answersAreLost: true });
    expect(warehouse.numbers("mug")).toEqual({ onHand: 1, reserved: 0 });
    expect(leave().stages).toEqual(["shipped", "shipped"]);
    expect(warehouse.numbers("mug")).toEqual({ onHand: 0, reserved: 0 });
  });

  test("is explained by a correction when somebody else has been promised it by then", () => {
    const { order, warehouse, leave } = yieldingOrder();
    order.askStock({ answersAreLost: true });
    warehouse.of("mug").do(reserve("other"));
    expect(leave().stages).toEqual(["shipped", "shipped"]);
    expect(warehouse.numbers("mug")).toEqual({ onHand: 1, reserved: 1 });
    expect(warehouse.of("mug").movements.map(({ kind }) => kind)).toContain("channel_correction");
  });

  test("goes with its package when the channel has just been asked to fetch that", () => {
    const { order } = yieldingOrder();
    const packageId = asId<"ChannelPackage">("package-1");
    const lines = order.order.lines.map((line) => (line.lineId === "1" ? { ...line, packageId } : line));
    const asked = { ...order.order, lines };
    const { state } = takeShipment(asked, { arranged: true, packageIds: [packageId] });
    expect(state.lines.map(({ stage }) => stage)).toEqual(["arranged", "short"]);
  });
});

test("a line that was set aside and leaves by itself takes its unit with it", () => {
  const { order, warehouse, news } = shortOrder("release_others", { mug: 1, plate: 0 });
  expect(order.stages).toEqual(["set_aside", "short"]);
  const [first, second] = news.lines;
  order.tell({
    ...news,
    status: "partially_shipping",
    updatedAt: at(9),
    lines: [{ ...first!, status: "awaiting_collection" }, second!],
  });
  expect(order.stages).toEqual(["shipped", "short"]);
  expect(warehouse.numbers("mug")).toEqual({ onHand: 0, reserved: 0 });
});

test("a line that was set aside while the channel arranged its shipment leaves all the same", () => {
  const { order, warehouse } = shortOrder("release_others", { mug: 1, plate: 1 });
  const wanted = order.commands();
  expect(wanted).toMatchObject([{ kind: "ship" }]);
  const plate = { claim: claimOf(order.order, order.order.lines[1]!), quantity: 1, locationId: null };
  warehouse.of("plate").do({
    kind: "count",
    countId: "broken",
    onHand: 0,
    reason: "broken",
    actorId: null,
    expectedVersion: null,
    locationId: null,
    leaveShort: [{ ...plate, rank: { paidAt: at(2), orderedAt: at(1) } }],
  });
  expect(order.settle().stages).toEqual(["set_aside", "short"]);
  const arranged = { arranged: true, packageIds: [asId<"ChannelPackage">("package")] } as const;
  const { state } = takeShipment(order.order, arranged);
  expect(state.lines.map(({ stage, generation }) => [stage, generation])).toEqual([
    ["arranged", 2],
    ["short", 2],
  ]);
});
