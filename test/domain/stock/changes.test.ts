import { describe, expect, test } from "vitest";
import { asId } from "../../../src/domain/ids.ts";
import { holdClaim, reservationIdOf, type StockOperation } from "../../../src/domain/stock/operation.ts";
import { adjust, at, claim, home, level, reserve, StockInMemory } from "./stock-builders.ts";

const north = asId<"Location">("north");
const byHand = { reason: "by hand", actorId: null, locationId: null } as const;

const change = (
  kind: "receive" | "return" | "damage" | "lost",
  quantity: number,
  changeId = "1",
): StockOperation => ({ kind, changeId, quantity, ...byHand });

function count(
  onHand: number,
  more: Partial<Extract<StockOperation, { kind: "count" }>> = {},
): StockOperation {
  return { kind: "count", countId: "1", onHand, expectedVersion: null, leaveShort: [], ...byHand, ...more };
}

const shortened = (order: string, paid: number, generation = 1) => ({
  claim: claim(order, "1", generation),
  quantity: 1,
  rank: { paidAt: at(paid), orderedAt: at(0) },
  locationId: null,
});

const send = (quantity: number, to = north): StockOperation => ({
  kind: "send_transfer",
  transferId: "t",
  fromLocationId: home,
  toLocationId: to,
  quantity,
  reason: "more is sold there",
  actorId: null,
});
const take = (takingId: string, received: number, missing = 0): StockOperation => ({
  kind: "take_transfer",
  transferId: "t",
  takingId,
  received,
  missing,
  reason: "arrived",
  actorId: null,
});
const hold = (quantity: number, holdId = "h"): StockOperation => ({
  kind: "hold",
  holdId,
  quantity,
  expiresAt: at(90),
  ...byHand,
});

describe("units that come and go by hand", () => {
  test.each([
    ["receive", 4, 9],
    ["return", 1, 6],
    ["damage", 2, 3],
    ["lost", 3, 2],
  ] as const)("%s of %i units of five leaves %i, as a movement of that kind", (kind, quantity, left) => {
    const stock = new StockInMemory([level(5)]);
    expect(stock.do(change(kind, quantity)).answers).toEqual([
      { outcome: "adjusted", onHand: left, available: left },
    ]);
    expect(stock.movements).toMatchObject([{ kind, quantity, newStock: left, reason: "by hand" }]);
  });

  test.each(["damage", "lost"] as const)(
    "no unit that is promised can be %s: the count leaves an order short first",
    (kind) => {
      const stock = new StockInMemory([level(2)]);
      stock.do(reserve("a"), reserve("b"));
      expect(stock.do(change(kind, 1)).answers).toEqual([{ outcome: "refused", reason: "below_reserved" }]);
      expect(stock.do(change(kind, 3, "2")).answers).toEqual([{ outcome: "refused", reason: "below_zero" }]);
    },
  );

  test("what arrives goes to who waits", () => {
    const stock = new StockInMemory([level(0)]);
    stock.do(reserve("a", { paid: 1 }));
    expect(stock.do(change("receive", 3)).answers).toEqual([
      { outcome: "adjusted", onHand: 3, available: 2 },
    ]);
  });

  test("a repaired drift is a movement that names the observation", () => {
    const stock = new StockInMemory([level(5)]);
    stock.do({ kind: "correct", correctionId: "d", quantity: -2, observationId: "o", ...byHand });
    expect(stock.movements).toMatchObject([
      { kind: "channel_correction", onHandEffect: -2, reference: { type: "observation", id: "o" } },
    ]);
  });
});

describe("a count", () => {
  test("books the difference to what was thought, once", () => {
    const stock = new StockInMemory([level(5)]);
    expect(stock.do(count(8)).answers).toEqual([{ outcome: "adjusted", onHand: 8, available: 8 }]);
    expect(stock.do(count(8)).answers).toEqual([{ outcome: "adjusted", onHand: 8, available: 8 }]);
    expect(stock.movements).toMatchObject([
      { kind: "adjust", onHandEffect: 3, reference: { type: "count" } },
    ]);
  });

  test("of what is there moves nothing and asks for no comparison", () => {
    const stock = new StockInMemory([level(5)]);
    expect(stock.do(count(5))).toMatchObject({ movements: [], offerChange: null });
  });

  test("is refused when the level has changed since it was looked at", () => {
    const stock = new StockInMemory([level(5)]);
    stock.do(reserve("a"));
    expect(stock.do(count(4, { expectedVersion: 0 })).answers).toEqual([
      { outcome: "refused", reason: "version_changed" },
    ]);
    expect(stock.do(count(4, { countId: "2", expectedVersion: 1 })).answers).toMatchObject([{ onHand: 4 }]);
  });

  test("is refused when something in its own batch has changed the level before it", () => {
    const stock = new StockInMemory([level(5)]);
    const adjust = { kind: "adjust", adjustmentId: "1", quantity: 3, ...byHand } as const;
    expect(stock.do(adjust, count(5, { expectedVersion: 0 })).answers).toEqual([
      { outcome: "adjusted", onHand: 8, available: 8 },
      { outcome: "refused", reason: "version_changed" },
    ]);
    const both = [
      count(9, { countId: "2", expectedVersion: 1 }),
      count(7, { countId: "3", expectedVersion: 1 }),
    ];
    expect(stock.do(...both).answers).toMatchObject([{ onHand: 9 }, { reason: "version_changed" }]);
  });

  test("below what is promised needs somebody to say who is left short", () => {
    const stock = new StockInMemory([level(2)]);
    stock.do(reserve("early", { paid: 1 }), reserve("late", { paid: 2 }));
    expect(stock.do(count(1)).answers).toEqual([{ outcome: "refused", reason: "below_reserved" }]);
    const result = stock.do(count(1, { countId: "2", leaveShort: [shortened("late", 2)] }));
    expect(result.answers).toEqual([{ outcome: "adjusted", onHand: 1, available: 0 }]);
    expect(result.leftShort).toEqual([claim("late", "1", 2)]);
    expect(stock.claims.get(reservationIdOf(claim("late")))?.state).toBe("released");
    expect(stock.claims.get(reservationIdOf(claim("late", "1", 2)))?.state).toBe("waiting");
    expect(stock.movements.slice(2).map(({ kind, operationId }) => [kind, operationId])).toEqual([
      ["release", "shop/late/1/yield/1"],
      ["adjust", "count/2"],
    ]);
  });

  test("who was left short keeps the place of the payment, and gets units before later ones", () => {
    const stock = new StockInMemory([level(1)]);
    stock.do(reserve("first", { paid: 1 }));
    stock.do(reserve("second", { paid: 2 }));
    stock.do(count(0, { leaveShort: [shortened("first", 1)] }));
    expect(stock.do(adjust("found", 1)).served.map((served) => served.claim)).toEqual([
      claim("first", "1", 2),
    ]);
  });

  test("leaves nobody short who holds nothing there any more", () => {
    const stock = new StockInMemory([level(1)]);
    stock.do(reserve("a", { paid: 1 }));
    stock.do({ kind: "ship", claim: claim("a"), quantity: 1, outside: false });
    expect(stock.do(count(0, { leaveShort: [shortened("a", 1)] })).answers).toEqual([
      { outcome: "refused", reason: "nothing_to_leave_short" },
    ]);
  });

  test.each([
    ["ship", "shipped"],
    ["release", "withdrawn"],
  ] as const)(
    "an order that has not heard that it was left short and asks to %s means the same units",
    (kind, outcome) => {
      const stock = new StockInMemory([level(1)]);
      stock.do(reserve("a", { paid: 1 }));
      stock.do(count(0, { leaveShort: [shortened("a", 1)] }));
      const asked: StockOperation =
        kind === "ship"
          ? { kind, claim: claim("a"), quantity: 1, outside: true }
          : { kind, claim: claim("a"), reason: "cancelled" };
      expect(stock.do(asked).answers).toEqual([{ outcome }]);
      expect(stock.state().queue).toEqual([]);
      expect(stock.levels).toMatchObject([{ onHand: 0, reserved: 0 }]);
    },
  );
});

describe("a claim that no location can serve alone", () => {
  test("takes what the first has and the remainder from the next: 13 of 10 and 15 are 10 and 3", () => {
    const stock = new StockInMemory([level(10), level(15, 0, north)]);
    expect(stock.do(reserve("a", { quantity: 13 })).answers).toEqual([{ outcome: "reserved" }]);
    expect(stock.levels.map((each) => each.reserved)).toEqual([10, 3]);
  });

  test("is shipped, reversed and released at every location of it, exactly once", () => {
    const stock = new StockInMemory([level(10), level(15, 0, north)]);
    stock.do(reserve("a", { quantity: 13 }), reserve("b", { quantity: 12 }));
    stock.do({ kind: "ship", claim: claim("a"), quantity: 13, outside: false });
    expect(stock.levels.map(({ onHand, reserved }) => [onHand, reserved])).toEqual([
      [0, 0],
      [12, 12],
    ]);
    stock.do({ kind: "reverse", claim: claim("a"), reason: "cancelled" });
    stock.do({ kind: "release", claim: claim("b"), reason: "cancelled" });
    expect(stock.levels.map(({ onHand, reserved }) => [onHand, reserved])).toEqual([
      [10, 0],
      [15, 0],
    ]);
  });

  test("waits when all locations together have too few", () => {
    const stock = new StockInMemory([level(10), level(2, 0, north)]);
    expect(stock.do(reserve("a", { quantity: 13 })).answers).toEqual([{ outcome: "short" }]);
  });
});

describe("a transfer", () => {
  const stocked = () => new StockInMemory([level(5), level(1, 0, north)]);

  test("takes units from one location, has them under way, and brings them to the other in parts", () => {
    const stock = stocked();
    expect(stock.do(send(4)).answers).toEqual([{ outcome: "adjusted", onHand: 2, available: 2 }]);
    stock.do(take("1", 2));
    stock.do(take("1", 2), take("2", 1, 1));
    expect(stock.levels.map((each) => each.onHand)).toEqual([1, 4]);
    expect(stock.transfers.get("t")).toMatchObject({ quantity: 4, received: 3, missing: 1 });
    expect(stock.movements.map((each) => each.kind)).toEqual(["transfer_out", "transfer_in", "transfer_in"]);
  });

  test.each([
    ["more than is free", send(6), "not_enough"],
    ["to where it lies", send(1, home), "same_location"],
    ["to a place that is unknown", send(1, asId("nowhere")), "unknown_location"],
    ["taken before it was sent", take("1", 1), "not_under_way"],
  ])("is refused: %s", (_, operation, reason) => {
    const stock = stocked();
    expect(stock.do(operation).answers).toEqual([{ outcome: "refused", reason }]);
    expect(stock.movements).toEqual([]);
  });

  test("brings no more than was sent", () => {
    const stock = stocked();
    stock.do(send(2));
    expect(stock.do(take("1", 2, 1)).answers).toEqual([{ outcome: "refused", reason: "not_under_way" }]);
  });

  test("leaves what is promised where it is", () => {
    const stock = new StockInMemory([level(2), level(0, 0, north)]);
    stock.do(reserve("a"));
    expect(stock.do(send(2)).answers).toEqual([{ outcome: "refused", reason: "not_enough" }]);
  });
});

describe("a hold", () => {
  test("keeps units as reserved until it is released", () => {
    const stock = new StockInMemory([level(3)]);
    expect(stock.do(hold(2)).answers).toEqual([{ outcome: "adjusted", onHand: 3, available: 1 }]);
    expect(stock.do({ kind: "release", claim: holdClaim("h"), reason: "over" })).toMatchObject({
      answers: [{ outcome: "released" }],
      offerChange: { soldBy: null },
    });
    expect(stock.levels).toMatchObject([{ onHand: 3, reserved: 0 }]);
  });

  test("keeps nothing from orders that wait, nor from those that ask in the same batch", () => {
    const stock = new StockInMemory([level(1)]);
    expect(stock.do(hold(1), reserve("a")).answers).toEqual([
      { outcome: "refused", reason: "not_enough" },
      { outcome: "reserved" },
    ]);
    stock.do(reserve("large", { quantity: 5 }));
    stock.do(adjust("more", 2));
    expect(stock.do(hold(1, "h2")).answers).toEqual([{ outcome: "refused", reason: "others_wait" }]);
  });

  test("that was ended before it began keeps nothing when it comes after all", () => {
    const stock = new StockInMemory([level(3)]);
    stock.do({ kind: "release", claim: holdClaim("h"), reason: "over" });
    expect(stock.do(hold(2)).answers).toEqual([{ outcome: "refused", reason: "claim_closed" }]);
  });

  test("keeps nothing while more wait than were looked at", () => {
    const stock = new StockInMemory([level(0)], 1);
    stock.do(reserve("a", { paid: 1 }), reserve("b", { paid: 2 }));
    const more: StockOperation = { kind: "receive", changeId: "r", quantity: 5, ...byHand };
    expect(stock.do(more, hold(1)).answers[1]).toEqual({ outcome: "refused", reason: "others_wait" });
  });

  test("keeps no unit that is not there, also where backorders are taken", () => {
    const stock = new StockInMemory([{ ...level(1), backorderFloor: -5 }]);
    expect(stock.do(hold(2)).answers).toEqual([{ outcome: "refused", reason: "not_enough" }]);
  });
});

describe("a SKU that was stopped", () => {
  const repair = (onHand: number, repairId = "1"): StockOperation => ({
    kind: "repair",
    repairId,
    onHand,
    ...byHand,
  });
  const stopped = () => new StockInMemory([{ ...level(5), stopped: true }, level(9, 0, north)]);

  test("promises nothing from any location, and keeps nothing", () => {
    expect(stopped().do(reserve("a")).answers).toEqual([{ outcome: "short" }]);
    expect(stopped().do(hold(1)).answers).toEqual([{ outcome: "refused", reason: "stopped" }]);
  });

  test("goes on with what was counted, and serves who has waited in that very batch", () => {
    const stock = stopped();
    stock.do(reserve("late", { paid: 2 }), reserve("early", { paid: 1 }));
    const result = stock.do(repair(3));
    expect(result.answers).toEqual([{ outcome: "adjusted", onHand: 12, available: 10 }]);
    expect(result.served.map((served) => served.claim.orderRef)).toEqual(["shop/early", "shop/late"]);
    expect(result.movements[0]).toMatchObject({ kind: "adjust", onHandEffect: -2 });
    expect(stock.do(repair(3, "2")).answers).toEqual([{ outcome: "refused", reason: "nothing_to_repair" }]);
  });
});

describe("the backorder floor", () => {
  const floor = (units: number, changeId = "1"): StockOperation => ({
    kind: "set_backorder_floor",
    changeId,
    floor: units,
    locationId: null,
  });

  test("lets orders be promised that far below nothing, those that wait first", () => {
    const stock = new StockInMemory([level(0)]);
    stock.do(reserve("a", { paid: 1 }), reserve("b", { paid: 2 }));
    const result = stock.do(floor(-1));
    expect(result.served.map((served) => served.claim.orderRef)).toEqual(["shop/a"]);
    expect(stock.levels).toMatchObject([{ reserved: 1, backorderFloor: -1, version: 1 }]);
  });

  test("is not raised above what is promised already", () => {
    const stock = new StockInMemory([level(0)]);
    stock.do(floor(-2));
    stock.do(reserve("a"));
    expect(stock.do(floor(0, "2")).answers).toEqual([{ outcome: "refused", reason: "below_reserved" }]);
    expect(stock.do(floor(-1, "3")).answers).toMatchObject([{ outcome: "adjusted" }]);
  });
});
