import { describe, expect, test } from "vitest";
import { asId } from "../../../src/domain/ids.ts";
import { operationIdOf, type StockOperation } from "../../../src/domain/stock/operation.ts";
import {
  adjust,
  at,
  claim,
  level,
  release,
  reserve,
  reverse,
  ship,
  StockInMemory,
} from "./stock-builders.ts";

describe("reserving", () => {
  test("promises what there is and leaves the rest waiting, in one batch", () => {
    const stock = new StockInMemory([level(2)]);
    const { answers } = stock.do(
      reserve("a", { paid: 1 }),
      reserve("b", { paid: 2 }),
      reserve("c", { paid: 3 }),
    );
    expect(answers.map((answer) => answer.outcome)).toEqual(["reserved", "reserved", "short"]);
    expect(stock.levels[0]).toMatchObject({ onHand: 2, reserved: 2, version: 1, lastSequence: 2 });
  });

  test("never accepts two lines of one order that together exceed the stock", () => {
    const stock = new StockInMemory([level(3)]);
    const { answers } = stock.do(
      reserve("a", { line: "1", quantity: 2 }),
      reserve("a", { line: "2", quantity: 2 }),
    );
    expect(answers.map((answer) => answer.outcome)).toEqual(["reserved", "short"]);
  });

  test("serves the earlier payment first although it came later, within one batch", () => {
    const stock = new StockInMemory([level(1)]);
    const { answers } = stock.do(
      reserve("late", { paid: 9 }),
      reserve("unpaid", { ordered: 0 }),
      reserve("early", { paid: 1 }),
    );
    expect(answers.map((answer) => answer.outcome)).toEqual(["short", "short", "reserved"]);
  });

  test("answers a repeated request with its first answer and moves nothing", () => {
    const stock = new StockInMemory([level(1)]);
    const first = stock.do(reserve("a"), reserve("a"));
    const again = stock.do(reserve("a"));
    expect([...first.answers, ...again.answers].map((answer) => answer.outcome)).toEqual([
      "reserved",
      "reserved",
      "reserved",
    ]);
    expect(stock.movements).toHaveLength(1);
    expect(stock.levels[0]?.version).toBe(1);
  });

  test.each(["in one batch", "in two batches"])("refuses the same id with another quantity, %s", (how) => {
    const stock = new StockInMemory([level(5)]);
    const outcomes =
      how === "in one batch"
        ? stock.do(reserve("a"), reserve("a", { quantity: 2 })).answers
        : [...stock.do(reserve("a")).answers, ...stock.do(reserve("a", { quantity: 2 })).answers];
    expect(outcomes[1]).toEqual({ outcome: "refused", reason: "operation_id_reused" });
    expect(stock.levels[0]?.reserved).toBe(1);
  });

  test("takes the units from the location that is asked for and from no other", () => {
    const north = asId<"Location">("north");
    const stock = new StockInMemory([level(5), level(1, 0, north)]);
    const { answers } = stock.do(
      { ...reserve("a"), locationId: north },
      { ...reserve("b"), locationId: north },
      reserve("c"),
    );
    expect(answers.map((answer) => answer.outcome)).toEqual(["reserved", "short", "reserved"]);
    expect(stock.levels.map((each) => each.reserved)).toEqual([1, 1]);
  });
});

describe("the fair queue", () => {
  test("gives freed units to those who wait before newcomers, also within one batch", () => {
    const stock = new StockInMemory([level(1)]);
    stock.do(reserve("holder", { paid: 1 }));
    stock.do(reserve("waiting", { paid: 2 }));
    const { answers, served } = stock.do(reserve("newcomer", { paid: 3 }), release("holder"));
    expect(answers.map((answer) => answer.outcome)).toEqual(["short", "released"]);
    expect(served.map((each) => each.claim.orderRef)).toEqual(["shop/waiting"]);
  });

  test("serves exactly as many as were added, in the order of payment", () => {
    const stock = new StockInMemory([level(0)]);
    stock.do(...[5, 3, 9, 1, 7].map((paid) => reserve(`order-${paid}`, { paid })));
    const { served } = stock.do(adjust("count", 3));
    expect(served.map((each) => each.claim.orderRef)).toEqual([
      "shop/order-1",
      "shop/order-3",
      "shop/order-5",
    ]);
  });

  test("moves an order up when it is paid", () => {
    const stock = new StockInMemory([level(0)]);
    stock.do(reserve("unpaid-early", { ordered: 1 }), reserve("unpaid-late", { ordered: 2 }));
    stock.do({ kind: "rank", claim: claim("unpaid-late"), paidAt: at(30) });
    const { served } = stock.do(adjust("count", 1));
    expect(served.map((each) => each.claim.orderRef)).toEqual(["shop/unpaid-late"]);
  });

  test("lets nobody overtake an order that wants more than there is", () => {
    const stock = new StockInMemory([level(0)]);
    stock.do(reserve("large", { quantity: 3, paid: 1 }), reserve("small", { paid: 2 }));
    expect(stock.do(adjust("first", 2)).served).toEqual([]);
    expect(stock.do(adjust("second", 2)).served.map((each) => each.claim.orderRef)).toEqual([
      "shop/large",
      "shop/small",
    ]);
  });

  test("asks for no comparison for a sale that the other shops were told of when it came, but when it was served later", () => {
    const stock = new StockInMemory([level(1)], 1000, true);
    for (const order of ["told", "waits"]) stock.announced.add(operationIdOf(reserve(order, { paid: 1 })));
    expect(stock.do(reserve("told", { paid: 1 }), reserve("waits", { paid: 2 })).offerChange).toBeNull();
    expect(stock.do(adjust("count", 3), reserve("untold", { paid: 3 })).offerChange).toEqual({
      soldBy: null,
    });
    expect(stock.do(reserve("untold too", { paid: 4 })).offerChange).toEqual({ soldBy: "shop" });
  });

  test("serves nobody behind the part of the queue that it has seen, and says that more may be due", () => {
    const stock = new StockInMemory([level(0)], 2);
    stock.do(...[1, 2, 3, 4].map((paid) => reserve(`order-${paid}`, { paid })));
    const result = stock.do(adjust("count", 3), reserve("newcomer", { paid: 9 }));
    expect(result.served.map((each) => each.claim.orderRef)).toEqual(["shop/order-1", "shop/order-2"]);
    expect(result.queueRemains).toBe(true);
    expect(stock.do().served.map((each) => each.claim.orderRef)).toEqual(["shop/order-3"]);
  });

  test("asks for the channels to be compared when someone who waited is served or withdrawn, and not on plain sales", () => {
    const stock = new StockInMemory([level(1)]);
    expect(
      stock.do(reserve("holder", { paid: 1 }), reserve("a", { paid: 2 }), reserve("b", { paid: 3 }))
        .offerChange,
    ).toBeNull();
    expect(stock.do(release("holder")).offerChange).toEqual({ soldBy: null });
    expect(stock.do(release("b")).offerChange).toEqual({ soldBy: null });
  });

  test("forgets a claim that is withdrawn while it waits", () => {
    const stock = new StockInMemory([level(0)]);
    stock.do(reserve("a", { paid: 1 }), reserve("b", { paid: 2 }));
    expect(stock.do(release("a")).answers).toEqual([{ outcome: "withdrawn" }]);
    expect(stock.do(adjust("count", 1)).served.map((each) => each.claim.orderRef)).toEqual(["shop/b"]);
  });
});

describe("releasing, shipping, reversing", () => {
  test("frees a held unit exactly once", () => {
    const stock = new StockInMemory([level(1)]);
    stock.do(reserve("a"));
    stock.do(release("a"));
    stock.do(release("a"));
    expect(stock.levels[0]).toMatchObject({ onHand: 1, reserved: 0 });
    expect(stock.movements.map((movement) => movement.kind)).toEqual(["reserve", "release"]);
  });

  test.each(["before it", "with it"])("refuses a reservation that arrives after its release, %s", (when) => {
    const stock = new StockInMemory([level(1)]);
    const answers =
      when === "with it"
        ? stock.do(reserve("a"), release("a")).answers.toReversed()
        : [...stock.do(release("a")).answers, ...stock.do(reserve("a")).answers];
    expect(answers).toEqual([{ outcome: "closed" }, { outcome: "refused", reason: "claim_closed" }]);
    expect(stock.levels[0]?.reserved).toBe(0);
  });

  test("lowers on hand when the shipment is arranged and refuses a later release", () => {
    const stock = new StockInMemory([level(2)]);
    stock.do(reserve("a"));
    expect(stock.do(ship("a")).answers).toEqual([{ outcome: "shipped" }]);
    expect(stock.do(release("a")).answers).toEqual([{ outcome: "refused", reason: "already_shipped" }]);
    expect(stock.levels[0]).toMatchObject({ onHand: 1, reserved: 0 });
  });

  test("brings units of a shipment that was cancelled before hand-over back once", () => {
    const stock = new StockInMemory([level(1)]);
    stock.do(reserve("a"));
    stock.do(ship("a"));
    expect(stock.do(reverse("a")).answers).toEqual([{ outcome: "reversed" }]);
    expect(stock.do(reverse("a")).answers).toEqual([{ outcome: "reversed" }]);
    expect(stock.do(reverse("b")).answers).toEqual([{ outcome: "refused", reason: "not_shipped" }]);
    expect(stock.levels[0]).toMatchObject({ onHand: 1, reserved: 0 });
  });

  test("refuses to ship what is not held, unless the channel says that it has left", () => {
    const stock = new StockInMemory([level(0)]);
    stock.do(reserve("waits"));
    expect(stock.do(ship("waits")).answers).toEqual([{ outcome: "refused", reason: "nothing_held" }]);
    const result = stock.do({ ...ship("waits", true), claim: claim("waits", "1", 1) } as StockOperation);
    // The first asking was answered; asked again it gets that answer.
    expect(result.answers).toEqual([{ outcome: "refused", reason: "nothing_held" }]);
  });

  test("books a shipment made outside without stock as a correction and a shipment", () => {
    const stock = new StockInMemory([level(0)]);
    stock.do(reserve("a"));
    const result = stock.do(ship("a", true));
    expect(result.answers).toEqual([{ outcome: "shipped" }]);
    expect(result.movements.map((movement) => movement.kind)).toEqual([
      "channel_correction",
      "reserve",
      "ship",
    ]);
    expect(result.offerChange).toEqual({ soldBy: null });
    expect(stock.levels[0]).toMatchObject({ onHand: 0, reserved: 0 });
  });

  test("takes a shipment made outside from stock when there is some", () => {
    const stock = new StockInMemory([level(4)]);
    expect(stock.do(ship("a", true)).movements.map((movement) => movement.kind)).toEqual(["reserve", "ship"]);
    expect(stock.levels[0]).toMatchObject({ onHand: 3, reserved: 0 });
  });
});

describe("adjusting and opening", () => {
  test("answers an adjustment with the new numbers and asks for the channels to be told", () => {
    const stock = new StockInMemory([level(5, 2)]);
    const result = stock.do(adjust("count", 4));
    expect(result.answers).toEqual([{ outcome: "adjusted", onHand: 9, available: 7 }]);
    expect(result.offerChange).toEqual({ soldBy: null });
  });

  test("answers with what is left after those who waited were served", () => {
    const stock = new StockInMemory([level(0)]);
    stock.do(reserve("a", { quantity: 3 }));
    expect(stock.do(adjust("count", 5)).answers).toEqual([{ outcome: "adjusted", onHand: 5, available: 2 }]);
  });

  test.each([
    [-4, "below_reserved"],
    [-6, "below_zero"],
  ])("refuses %i units of five with two reserved: %s", (quantity, reason) => {
    const stock = new StockInMemory([level(5, 2)]);
    expect(stock.do(adjust("count", quantity)).answers).toEqual([{ outcome: "refused", reason }]);
    expect(stock.movements).toEqual([]);
  });

  test("refuses an adjustment where the SKU has no stock record", () => {
    const elsewhere = asId<"Location">("elsewhere");
    const stock = new StockInMemory([level(5)]);
    const operation = { ...adjust("count", 1), locationId: elsewhere } as StockOperation;
    expect(stock.do(operation).answers).toEqual([{ outcome: "refused", reason: "unknown_location" }]);
    expect(new StockInMemory([]).do(adjust("count", 1)).answers[0]).toMatchObject({
      reason: "unknown_location",
    });
  });

  test("opens a level once, and an empty opening moves nothing", () => {
    const stock = new StockInMemory([level(0)]);
    const open = (listingId: string, quantity: number): StockOperation => ({
      kind: "open",
      listingId,
      locationId: asId<"Location">("home"),
      quantity,
    });
    stock.do(open("one", 7));
    stock.do(open("one", 7), open("two", 0));
    expect(stock.levels[0]?.onHand).toBe(7);
    expect(stock.movements).toHaveLength(1);
    expect(new StockInMemory([]).do(open("one", 1)).answers[0]).toMatchObject({ reason: "unknown_location" });
  });
});
