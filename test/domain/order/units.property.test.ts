import fc from "fast-check";
import { expect, test } from "vitest";
import { commandsFor } from "../../../src/domain/order/commands.ts";
import { holdOf, nextStepOf, type OrderLine } from "../../../src/domain/order/order.ts";
import { shortagePolicies } from "../../../src/domain/order/shortage.ts";
import type { ClaimState } from "../../../src/domain/stock/draft.ts";
import { reservationIdOf } from "../../../src/domain/stock/operation.ts";
import { aStep, Shop, skuNames } from "./shop-in-memory.ts";

/** What a settled line says, and what the stock may know of its claim then. */
const agreement: Readonly<Record<OrderLine["stage"], readonly (ClaimState["state"] | null)[]>> = {
  new: [],
  held: ["held"],
  short: ["waiting"],
  yielding: [],
  set_aside: ["released", "closed"],
  arranged: [],
  shipped: ["shipped"],
  closing: [],
  cancelled: ["released", "closed", null],
  reversing: [],
  reversed: ["reversed"],
  untracked: [null],
};

const aPolicy = fc.constantFrom(...shortagePolicies);

function checkStock(shop: Shop, opening: number): void {
  for (const sku of skuNames) {
    const stock = shop.warehouse.of(sku);
    const { onHand, reserved } = shop.warehouse.numbers(sku);
    const held = [...stock.claims.values()].filter((each) => each.state === "held").length;
    const effects = stock.movements.reduce((sum, movement) => sum + movement.onHandEffect, opening);
    expect(reserved).toBe(held);
    expect(onHand).toBe(effects);
    expect(reserved).toBeLessThanOrEqual(onHand);
  }
}

function checkLines(shop: Shop): void {
  for (const order of shop.orders.values()) {
    if (order.state === null) continue;
    const { orderRef, lines } = order.settle().order;
    for (const [index, line] of lines.entries()) {
      const id = reservationIdOf({ orderRef, lineId: line.lineId, generation: line.generation });
      const known = shop.warehouse.of(skuNames[index]!).claims.get(id)?.state ?? null;
      expect(agreement[line.stage], `line ${id} is ${line.stage}`).toContain(known);
    }
  }
}

test("whatever happens to many orders at once, no unit is lost, doubled or left behind", () => {
  fc.assert(
    fc.property(
      aPolicy,
      fc.integer({ min: 0, max: 4 }),
      fc.array(aStep, { maxLength: 60 }),
      (policy, opening, steps) => {
        const shop = new Shop(opening, policy);
        for (const step of steps) {
          shop.do(step);
          checkStock(shop, opening);
        }
        for (const _ of [1, 2]) for (const order of shop.orders.values()) order.settle();
        checkLines(shop);
        shop.close();
        checkStock(shop, opening);
        checkLines(shop);
        for (const sku of skuNames) {
          const open = [...shop.warehouse.of(sku).claims.values()].filter((each) =>
            ["held", "waiting"].includes(each.state),
          );
          expect(open).toEqual([]);
          expect(shop.warehouse.numbers(sku).reserved).toBe(0);
        }
      },
    ),
    { numRuns: 1_000 },
  );
});

test("an order always says what comes next, and a held one never ships", () => {
  fc.assert(
    fc.property(aPolicy, fc.array(aStep, { maxLength: 40 }), (policy, steps) => {
      const shop = new Shop(2, policy);
      for (const step of steps) {
        shop.do(step);
        for (const { state } of shop.orders.values()) {
          if (state === null) continue;
          expect(nextStepOf(state)).toMatch(/\.$/);
          if (holdOf(state) !== null) {
            expect(commandsFor(state).filter((command) => command.kind === "ship")).toEqual([]);
          }
        }
      }
    }),
    { numRuns: 200 },
  );
});
