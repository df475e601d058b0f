import fc from "fast-check";
import { expect, test } from "vitest";
import { available } from "../../../src/domain/stock/movement.ts";
import type { StockOperation } from "../../../src/domain/stock/operation.ts";
import { adjust, claim, level, reserve, StockInMemory } from "./stock-builders.ts";

const orders = ["a", "b", "c", "d", "e", "f"];

const anOperation: fc.Arbitrary<StockOperation> = fc.oneof(
  {
    weight: 5,
    arbitrary: fc
      .record({
        order: fc.constantFrom(...orders),
        quantity: fc.integer({ min: 1, max: 3 }),
        paid: fc.option(fc.integer({ min: 0, max: 50 }), { nil: undefined }),
      })
      .map(({ order, quantity, paid }) =>
        reserve(order, { quantity, ...(paid === undefined ? {} : { paid }) }),
      ),
  },
  fc
    .constantFrom(...orders)
    .map((order): StockOperation => ({ kind: "release", claim: claim(order), reason: "test" })),
  fc
    .record({ order: fc.constantFrom(...orders), outside: fc.boolean() })
    .map(
      ({ order, outside }): StockOperation => ({ kind: "ship", claim: claim(order), quantity: 1, outside }),
    ),
  fc
    .constantFrom(...orders)
    .map((order): StockOperation => ({ kind: "reverse", claim: claim(order), reason: "test" })),
  fc
    .record({
      id: fc.integer({ min: 0, max: 20 }),
      quantity: fc.integer({ min: -5, max: 5 }).filter((q) => q !== 0),
    })
    .map(({ id, quantity }) => adjust(String(id), quantity)),
);

const batches = fc.array(fc.array(anOperation, { maxLength: 8 }), { maxLength: 12 });

test("whatever is asked in whatever batches, every number is explained and no unit is promised twice", () => {
  fc.assert(
    fc.property(batches, fc.integer({ min: 0, max: 6 }), (asked, opening) => {
      const stock = new StockInMemory([level(opening)], 2);
      for (const operations of asked) {
        stock.do(...operations);
        const [now] = stock.levels;
        const held = stock.heldUnits();
        expect(now?.reserved).toBe(held);
        expect(now?.onHand).toBe(
          opening + stock.movements.reduce((sum, movement) => sum + movement.onHandEffect, 0),
        );
        expect(now === undefined ? -1 : available(now)).toBeGreaterThanOrEqual(0);
        expect(stock.movements.map((movement) => movement.sequence)).toEqual(
          stock.movements.map((_, index) => index + 1),
        );
      }
    }),
    { numRuns: 2_000 },
  );
});

test("asking everything again changes nothing and gets the same answers", () => {
  fc.assert(
    fc.property(fc.array(anOperation, { maxLength: 20 }), (operations) => {
      const stock = new StockInMemory([level(4)]);
      const first = stock.do(...operations);
      const movements = stock.movements.length;
      expect(stock.do(...operations).answers).toEqual(first.answers);
      expect(stock.movements).toHaveLength(movements);
    }),
  );
});

test("how requests are cut into batches does not change how many units are promised", () => {
  fc.assert(
    fc.property(
      fc.array(fc.integer({ min: 0, max: 99 }), { minLength: 1, maxLength: 30 }),
      fc.nat(20),
      (payments, units) => {
        const asked = payments.map((paid, index) => reserve(`order-${index}`, { paid }));
        const together = new StockInMemory([level(units)]);
        together.do(...asked);
        const apart = new StockInMemory([level(units)]);
        for (const operation of asked) apart.do(operation);
        expect(apart.levels[0]?.reserved).toBe(together.levels[0]?.reserved);
        expect(together.levels[0]?.reserved).toBe(Math.min(units, payments.length));
      },
    ),
  );
});
