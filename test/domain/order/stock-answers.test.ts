import { describe, expect, test } from "vitest";
import { asId } from "../../../src/domain/ids.ts";
import { commandsFor } from "../../../src/domain/order/commands.ts";
import { type LineAnswer, takeServed, takeStockAnswers } from "../../../src/domain/order/stock-answers.ts";
import { type LineStage, lineStages, type OrderState } from "../../../src/domain/order/order.ts";
import type { StockAnswer, StockRefusalReason } from "../../../src/domain/stock/operation.ts";
import { at } from "../stock/stock-builders.ts";
import { eventKinds, orderIn, orderLine, stagesOf } from "./order-builders.ts";

type Operation = LineAnswer["operation"];

function answered(
  order: OrderState,
  operation: Operation,
  answer: StockAnswer,
  overrides: Partial<LineAnswer> = {},
) {
  return takeStockAnswers(order, [
    { lineId: "1", generation: 1, operation, answer, paidAt: null, ...overrides },
  ]);
}

const orderWith = (stage: LineStage) => orderIn("awaiting_shipment", { lines: [orderLine(stage)] });

/** What a line in each stage becomes by each answer; a dot leaves it as it is. */
const answers = `
  stage      reserved  short  released   withdrawn  closed     shipped  reversed
  new        held      short  .          .          .          .        .
  held       .         .      .          .          .          .        .
  short      held      .      .          .          .          .        .
  yielding   .         .      set_aside  set_aside  set_aside  .        .
  set_aside  .         .      .          .          .          .        .
  arranged   .         .      .          .          .          shipped  .
  shipped    .         .      .          .          .          .        .
  closing    .         .      cancelled  cancelled  cancelled  .        .
  cancelled  .         .      .          .          .          .        .
  reversing  .         .      .          .          .          .        reversed
  reversed   .         .      .          .          .          .        .
  untracked  .         .      .          .          .          .        .
`;
const operationOf: Readonly<Record<string, Operation>> = {
  reserved: "reserve",
  short: "reserve",
  released: "release",
  withdrawn: "release",
  closed: "release",
  shipped: "ship",
  reversed: "reverse",
};

/** The same for refusals: what was asked, why it was refused. */
const refusals = `
  stage      reserve:claim_closed  reserve:poisoned  rank:poisoned  release:already_shipped  release:poisoned  ship:nothing_held  ship:unknown_location  ship:poisoned  reverse:not_shipped  reverse:poisoned
  new        new                   short             .              .                        .                 .                  .                      .              .                    .
  held       .                     .                 .              .                        .                 .                  .                      .              .                    .
  short      .                     .                 .              .                        .                 .                  .                      .              .                    .
  yielding   .                     .                 .              shipped                  held              .                  .                      .              .                    .
  set_aside  .                     .                 .              .                        .                 .                  .                      .              .                    .
  arranged   .                     .                 .              .                        .                 untracked          untracked              untracked      .                    .
  shipped    .                     .                 .              .                        .                 .                  .                      .              .                    .
  closing    .                     .                 .              reversing                cancelled         .                  .                      .              .                    .
  cancelled  .                     .                 .              .                        .                 .                  .                      .              .                    .
  reversing  .                     .                 .              .                        .                 .                  .                      .              reversed             reversed
  reversed   .                     .                 .              .                        .                 .                  .                      .              .                    .
  untracked  .                     .                 .              .                        .                 .                  .                      .              .                    .
`;

function rowsOf(table: string) {
  const [header, ...rows] = table
    .trim()
    .split("\n")
    .map((row) => row.trim().split(/\s+/));
  return rows.flatMap(([stage, ...cells]) =>
    cells.map((cell, index) => ({
      stage: stage as LineStage,
      told: header![index + 1]!,
      becomes: (cell === "." ? stage : cell) as LineStage,
    })),
  );
}

test("both tables name every stage", () => {
  for (const table of [answers, refusals]) {
    expect([...new Set(rowsOf(table).map(({ stage }) => stage))]).toEqual(lineStages);
  }
});

test.each(rowsOf(answers))("$stage, told $told, is $becomes", ({ stage, told, becomes }) => {
  const order = orderWith(stage);
  const answer = { outcome: told, locationId: asId<"Location">("home") } as StockAnswer;
  const { state, events } = answered(order, operationOf[told]!, answer);
  expect(stagesOf(state)).toEqual([becomes]);
  if (becomes === stage) expect({ state, events }).toEqual({ state: order, events: [] });
  else expect(events).toHaveLength(1);
});

test.each(rowsOf(refusals))("$stage, refused $told, is $becomes", ({ stage, told, becomes }) => {
  const [operation, reason] = told.split(":") as [Operation, StockRefusalReason];
  const { state, events } = answered(orderWith(stage), operation, { outcome: "refused", reason });
  expect(stagesOf(state)).toEqual([becomes]);
  expect(events).toEqual([{ kind: "stock_refused", lineId: "1", operation, reason }]);
});

describe("a refusal is never asked about again in the same words", () => {
  const asked: readonly (readonly [LineStage, Operation])[] = [
    ["new", "reserve"],
    ["short", "rank"],
    ["closing", "release"],
    ["yielding", "release"],
    ["arranged", "ship"],
    ["reversing", "reverse"],
  ];
  const reasons: readonly StockRefusalReason[] = [
    "claim_closed",
    "nothing_held",
    "already_shipped",
    "not_shipped",
    "below_reserved",
    "below_zero",
    "unknown_location",
    "operation_id_reused",
    "poisoned",
  ];
  test.each(asked.flatMap(([stage, operation]) => reasons.map((reason) => ({ stage, operation, reason }))))(
    "$operation of a line that is $stage, refused as $reason",
    ({ stage, operation, reason }) => {
      const order = orderWith(stage);
      const before = commandsFor(order);
      expect(before).toMatchObject([{ kind: "stock", operation: { kind: operation } }]);
      const { state } = answered(order, operation, { outcome: "refused", reason }, { paidAt: order.paidAt });
      expect(commandsFor(state)).not.toContainEqual(before[0]);
    },
  );
});

describe("an answer", () => {
  const reserved: StockAnswer = { outcome: "reserved" };

  test("to an older asking changes nothing", () => {
    const order = orderIn("awaiting_shipment", { lines: [orderLine("new", { generation: 2 })] });
    expect(answered(order, "reserve", reserved)).toEqual({ state: order, events: [] });
  });

  test("for a line that the order does not have changes nothing", () => {
    const order = orderWith("new");
    expect(answered(order, "reserve", reserved, { lineId: "9" })).toEqual({ state: order, events: [] });
  });

  test.each([{ outcome: "opened" }, { outcome: "adjusted", onHand: 1, available: 1 }] as const)(
    "$outcome is nothing an order asks for and changes nothing",
    (answer) => {
      const order = orderWith("new");
      expect(answered(order, "reserve", answer)).toEqual({ state: order, events: [] });
    },
  );

  test("about several lines is one entry of the timeline for each kind", () => {
    const ids = ["1", "2", "3"].map((id) => asId<"ChannelLine">(id));
    const order = orderIn("unpaid", { lines: ids.map((lineId) => orderLine("new", { lineId })) });
    const told = (lineId: string, answer: StockAnswer): LineAnswer => ({
      lineId,
      generation: 1,
      operation: "reserve",
      answer,
      paidAt: null,
    });
    expect(
      takeStockAnswers(order, [told("1", reserved), told("2", { outcome: "short" }), told("3", reserved)])
        .events,
    ).toEqual([
      { kind: "lines_reserved", lineIds: ["1", "3"], fromQueue: false },
      { kind: "lines_short", lineIds: ["2"] },
    ]);
  });

  test("that a closed claim cannot be reserved asks anew under the next generation", () => {
    const { state } = answered(orderWith("new"), "reserve", { outcome: "refused", reason: "claim_closed" });
    expect(commandsFor(state)).toMatchObject([
      { kind: "stock", operation: { kind: "reserve", claim: { generation: 2 } } },
    ]);
  });
});

describe("the turn of a line that is short", () => {
  const unpaid = orderIn("unpaid", { lines: [orderLine("short")] });
  const paid = { ...unpaid, paidAt: at(5) };

  test("rises when the order is paid, once", () => {
    expect(commandsFor(unpaid)).toEqual([]);
    expect(commandsFor(paid)).toMatchObject([{ operation: { kind: "rank", paidAt: at(5) } }]);
    const { state, events } = answered(paid, "rank", { outcome: "ranked" }, { paidAt: at(5) });
    expect(events).toEqual([{ kind: "lines_ranked", lineIds: ["1"], paidAt: at(5) }]);
    expect(commandsFor(state)).toEqual([]);
  });

  test("needs no second word when the payment was known as it was asked for", () => {
    const order = orderIn("awaiting_shipment", { lines: [orderLine("new")] });
    const { state } = answered(order, "reserve", { outcome: "short" }, { paidAt: order.paidAt });
    expect(commandsFor(state)).toEqual([]);
  });

  test.each(lineStages.filter((stage) => stage !== "short"))(
    "is no longer of interest when it is %s",
    (stage) => {
      const order = orderWith(stage);
      expect(answered(order, "rank", { outcome: "ranked" }, { paidAt: at(5) })).toEqual({
        state: order,
        events: [],
      });
    },
  );

  test("comes when the stock has reserved for it, and for no other asking", () => {
    const served = takeServed(paid, new Set([asId<"Reservation">("shop/order/1/1")]));
    expect(stagesOf(served.state)).toEqual(["held"]);
    expect(served.events).toEqual([{ kind: "lines_reserved", lineIds: ["1"], fromQueue: true }]);
    const other = takeServed(paid, new Set([asId<"Reservation">("shop/order/1/2")]));
    expect(other).toEqual({ state: paid, events: [] });
    expect(
      eventKinds(takeServed(served.state, new Set([asId<"Reservation">("shop/order/1/1")])).events),
    ).toEqual([]);
  });
});
