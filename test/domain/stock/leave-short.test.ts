import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { proposeLeavingShort } from "../../../src/domain/stock/leave-short.ts";
import { compareTurns } from "../../../src/domain/stock/shortage-queue.ts";
import { at, claim } from "./stock-builders.ts";

const held = (order: string, paid: number | null, units = 1) => ({
  claim: claim(order),
  quantity: units,
  unitsThere: units,
  rank: { paidAt: paid === null ? null : at(paid), orderedAt: at(0) },
  locationId: null,
});

describe("who is left short by a count", () => {
  const orders = [held("early", 1), held("late", 9), held("unpaid", null), held("middle", 5)];
  const names = (onHand: number) =>
    proposeLeavingShort({ reserved: 4, backorderFloor: 0 }, onHand, orders).claims.map(
      (each) => each.claim.orderRef,
    );

  test("nobody while there is enough", () => {
    expect(names(4)).toEqual([]);
  });

  test("those whose turn is last: unpaid ones before paid ones, later payments before earlier ones", () => {
    expect(names(1)).toEqual(["shop/unpaid", "shop/late", "shop/middle"]);
  });

  test("fewer where backorders are taken", () => {
    const proposal = proposeLeavingShort({ reserved: 4, backorderFloor: -2 }, 1, orders);
    expect(proposal).toMatchObject({ missingUnits: 1, covered: true });
    expect(proposal.claims).toHaveLength(1);
  });

  test("it says when those who may wait do not suffice", () => {
    expect(proposeLeavingShort({ reserved: 9, backorderFloor: 0 }, 0, orders)).toMatchObject({
      missingUnits: 9,
      covered: false,
    });
  });

  test("never more than it takes, and never one before another whose turn is later", () => {
    const aClaim = fc
      .record({
        name: fc.integer({ min: 0, max: 99 }),
        paid: fc.option(fc.integer({ min: 0, max: 50 })),
        units: fc.integer({ min: 1, max: 3 }),
      })
      .map(({ name, paid, units }) => held(`o${name}`, paid, units));
    const some = fc.uniqueArray(aClaim, { selector: (each) => each.claim.orderRef, maxLength: 20 });
    fc.assert(
      fc.property(some, fc.nat(40), (claims, onHand) => {
        const reserved = claims.reduce((sum, each) => sum + each.unitsThere, 0);
        const proposal = proposeLeavingShort({ reserved, backorderFloor: 0 }, onHand, claims);
        const freed = proposal.claims.reduce((sum, each) => sum + each.unitsThere, 0);
        expect(reserved - freed).toBeLessThanOrEqual(Math.max(onHand, 0));
        const last = proposal.claims.at(-1);
        if (last === undefined) return;
        expect(freed - last.unitsThere).toBeLessThan(proposal.missingUnits);
        const kept = claims.filter((each) => !proposal.claims.includes(each));
        for (const each of kept) expect(compareTurns(each, last)).toBeLessThan(0);
      }),
    );
  });
});
