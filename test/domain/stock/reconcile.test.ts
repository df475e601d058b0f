import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { ChannelNumbers, OurNumbers } from "../../../src/domain/stock/offer.ts";
import {
  type Comparison,
  type DriftCause,
  driftCauses,
  reconcile,
  repairsItself,
} from "../../../src/domain/stock/reconcile.ts";

const ours = (onHand: number, reserved = 0, underWay = 0): OurNumbers => ({
  onHand,
  reserved,
  reservedElsewhere: 0,
  unreservedHere: 0,
  unreservedElsewhere: 0,
  underWay,
  buffer: 0,
});
const shows = (available: number, committed = 0, locked = 0): ChannelNumbers => ({
  available,
  committed,
  locked,
});

const look = (changes: Partial<Comparison>): Comparison => ({
  ours: ours(10),
  theirs: shows(10),
  cap: 99_999,
  before: null,
  pushes: [],
  isChanging: false,
  needsPush: false,
  ...changes,
});

describe("a look at a listing", () => {
  test.each([
    ["equal sums agree, whatever is being sold", { ours: ours(10, 2), theirs: shows(7, 3) }, "agreed"],
    ["units under way are no drift", { ours: ours(9, 1, 1), theirs: shows(8, 2) }, "agreed"],
    [
      "more sold there than here can be offered is no drift",
      { ours: ours(4, 4), theirs: shows(0, 6) },
      "agreed",
    ],
    [
      "more here than a listing may show is no drift",
      { ours: ours(100), theirs: shows(50), cap: 50 },
      "agreed",
    ],
    ["a change on its way is waited for", { theirs: shows(7), isChanging: true }, "under_way"],
    [
      "a sale elsewhere that is not reserved yet is pushed",
      { ours: { ...ours(10), unreservedElsewhere: 2 }, theirs: shows(10) },
      "push_needed",
    ],
    [
      "and is no difference when it was",
      { ours: { ...ours(10), unreservedElsewhere: 2 }, theirs: shows(8) },
      "agreed",
    ],
    ["a change that nobody is pushing is pushed", { theirs: shows(7), needsPush: true }, "push_needed"],
    [
      "a listing that is gone while it changes is waited for",
      { theirs: null, isChanging: true },
      "under_way",
    ],
  ] as const)("%s", (_name, changes, expected) => {
    expect(reconcile(look(changes)).is).toBe(expected);
  });

  const pushed = { desired: 10, availableSeen: 7, committedSeen: 0 };
  test.each([
    ["push_lost", 3 - 6, { theirs: shows(7), pushes: [pushed] }],
    ["overwritten_by_older_push", 5, { theirs: shows(15), pushes: [pushed, { ...pushed, desired: 15 }] }],
    ["pool_moved", -2, { theirs: shows(8, 0, 3), before: shows(10) }],
    ["sold_outside", -1, { ours: ours(10, 2), theirs: shows(8, 1) }],
    ["changed_in_seller_center", 4, { theirs: shows(14) }],
    ["changed_in_seller_center", -4, { theirs: shows(6) }],
    ["missing_listing", -10, { theirs: null }],
  ] as const)("names the cause: %s by %i units", (cause, units, changes) => {
    expect(reconcile(look(changes))).toMatchObject({ is: "drift", cause, units });
  });

  test.each([
    ["as many units less as the shop has open may have been handed over", ours(10, 2, 1), shows(7, 1), false],
    ["more than are open are gone for another reason", ours(10, 2), shows(6, 1), true],
    ["units that are offered and not here are offered now", ours(10, 2), shows(12, 2), true],
  ])("%s", (_name, our, theirs, isCertain) => {
    expect(reconcile(look({ ours: our, theirs }))).toMatchObject({ is: "drift", isCertain });
  });
});

test("whatever the channel has sold of what it showed, its number agrees", () => {
  fc.assert(
    fc.property(fc.nat(500), fc.nat(500), fc.nat(500), (onHand, first, second) => {
      const sold = Math.min(first, onHand);
      // Some of what was sold there is reserved here by now, the rest is on its way.
      const heard = Math.min(second, sold);
      const theirs = shows(onHand - sold, sold);
      expect(reconcile(look({ ours: ours(onHand, heard), theirs }))).toEqual({ is: "agreed" });
    }),
  );
});

test("a difference is never called a drift while a change is on its way", () => {
  fc.assert(
    fc.property(fc.nat(500), fc.nat(500), fc.nat(500), (onHand, available, committed) => {
      const comparison = look({ ours: ours(onHand), theirs: shows(available, committed), isChanging: true });
      expect(reconcile(comparison).is).not.toBe("drift");
    }),
  );
});

test("by rule only our own mistakes are repaired without asking, and a lost listing never is", () => {
  const itself = (rule: Parameters<typeof repairsItself>[0]): readonly DriftCause[] =>
    driftCauses.filter((cause) => repairsItself(rule, cause));
  expect(itself("automatic")).toEqual(["push_lost", "overwritten_by_older_push"]);
  expect(itself("ask")).toEqual([]);
  expect(itself("push_ours")).toEqual(driftCauses.filter((cause) => cause !== "missing_listing"));
});
