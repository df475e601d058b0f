import fc from "fast-check";
import { expect, test } from "vitest";
import {
  bufferOf,
  comparisonTimeFor,
  decideOffer,
  soonComparedAt,
  refusedAgainAfter,
  secondLookTimeFor,
  syncStatusOf,
} from "../../../src/domain/stock/offer.ts";

const ours = (
  onHand: number,
  reserved = 0,
  underWay = 0,
  buffer = 0,
  reservedElsewhere = 0,
  unreservedElsewhere = 0,
  unreservedHere = 0,
) => ({
  onHand,
  reserved,
  reservedElsewhere,
  unreservedHere,
  unreservedElsewhere,
  underWay,
  buffer,
});

test.each([
  ["a sale there moves units and leaves the total alone", ours(10, 2), { available: 8, committed: 2 }, null],
  ["a sale that we have not seen yet needs no push", ours(10, 0), { available: 7, committed: 3 }, null],
  [
    "an arranged shipment that is still committed there is under way",
    ours(9, 1, 1),
    { available: 8, committed: 2 },
    null,
  ],
  ["more units here raise the offer", ours(15, 2), { available: 8, committed: 2 }, 13],
  ["fewer units here lower it", ours(4, 2), { available: 8, committed: 2 }, 2],
  ["a sale that we have not seen yet is left out of a push", ours(15, 0), { available: 7, committed: 3 }, 12],
  [
    "a shipment that they have deducted already is not offered again",
    ours(15, 0, 4),
    { available: 8, committed: 0 },
    15,
  ],
  ["more sold than there is offers nothing", ours(500, 500), { available: 3, committed: 1000 }, 0],
  ["and says nothing when nothing is shown already", ours(500, 500), { available: 0, committed: 1000 }, null],
  ["the buffer stays here", ours(10, 0, 0, 3), { available: 10, committed: 0 }, 7],
  ["the cap binds", ours(200_000), { available: 5, committed: 0 }, 99_999],
  ["what another shop sold is not offered here", ours(10, 3, 0, 0, 2), { available: 9, committed: 1 }, 7],
  ["and leaves the own shop's sales alone", ours(10, 3, 0, 0, 2), { available: 7, committed: 1 }, null],
  [
    "what another shop has just sold is not offered here before it is reserved",
    ours(10, 3, 0, 0, 2, 4),
    { available: 7, committed: 1 },
    3,
  ],
  ["and is no news when it is", ours(10, 7, 0, 0, 6), { available: 3, committed: 1 }, null],
  [
    "what the shop itself has just sold is not offered, also when its committed does not show it any more",
    ours(10, 3, 2, 0, 0, 0, 4),
    { available: 2, committed: 5 },
    3,
  ],
  [
    "more sold elsewhere than there is offers nothing",
    ours(3, 0, 0, 0, 0, 9),
    { available: 3, committed: 0 },
    0,
  ],
  [
    "a campaign keeps its units although fewer are here",
    ours(2),
    { available: 6, committed: 0, locked: 4 },
    4,
  ],
  ["a campaign's units are part of the sum", ours(10), { available: 10, committed: 0, locked: 4 }, null],
])("%s", (_name, our, their, expected) => {
  const decision = decideOffer(our, { locked: 0, ...their });
  expect(decision.push ? decision.available : null).toBe(expected);
});

test("what is offered never exceeds what is available here or locked there, whatever the channel says", () => {
  fc.assert(
    fc.property(
      fc.nat(1000),
      fc.nat(1000),
      fc.nat(1000),
      fc.nat(100),
      fc.nat(50),
      fc.nat(1500),
      fc.nat(1500),
      fc.nat(30),
      fc.nat(30),
      (onHand, reserved, elsewhere, underWay, buffer, available, committed, locked, unreserved) => {
        const reservedElsewhere = Math.min(elsewhere, reserved);
        const decision = decideOffer(
          {
            onHand,
            reserved,
            reservedElsewhere,
            unreservedHere: unreserved,
            unreservedElsewhere: unreserved,
            underWay,
            buffer,
          },
          { available, committed, locked },
        );
        if (decision.push) {
          const free = onHand - reserved - 2 * unreserved - buffer;
          expect(decision.available).toBeLessThanOrEqual(Math.max(0, locked, free));
        }
      },
    ),
  );
});

test.each([
  ["units", { units: 3, percent: 0, adaptive: 0, onHand: 10 }, 3],
  ["a share of what is there, rounded up", { units: 0, percent: 15, adaptive: 0, onHand: 10 }, 2],
  ["whichever is more", { units: 1, percent: 50, adaptive: 0, onHand: 10 }, 5],
  ["on top what others will sell meanwhile", { units: 3, percent: 0, adaptive: 4, onHand: 10 }, 7],
  ["never more than there is", { units: 30, percent: 0, adaptive: 4, onHand: 10 }, 10],
])("a buffer is %s", (_name, wanted, expected) => {
  expect(bufferOf(wanted)).toBe(expected);
});

test.each([
  ["synced", false, [{ state: "synced", drifts: false }]],
  [
    "pending",
    false,
    [
      { state: "synced", drifts: false },
      { state: "pending", drifts: false },
    ],
  ],
  [
    "drift",
    false,
    [
      { state: "pending", drifts: false },
      { state: "synced", drifts: true },
    ],
  ],
  [
    "failed",
    false,
    [
      { state: "failed", drifts: false },
      { state: "synced", drifts: true },
    ],
  ],
  ["paused", true, [{ state: "failed", drifts: true }]],
  ["synced", false, []],
] as const)("a SKU is %s as its worst listing is", (expected, paused, listings) => {
  expect(syncStatusOf({ paused, listings })).toBe(expected);
});

test.each([
  ["a look after late news", soonComparedAt, 0, 1_000],
  ["the one when our stock has still to hear of it", comparisonTimeFor, 5_000, 15_000],
  ["the second look at an unclear push", secondLookTimeFor, 3_000, 6_000],
] as const)("%s comes within its bounds", (_what, timeFor, least, most) => {
  fc.assert(
    fc.property(fc.nat(1e12), (now) => {
      const wait = timeFor(now) - now;
      expect(wait).toBeGreaterThan(least - 1);
      expect(wait).toBeLessThanOrEqual(most);
    }),
  );
});

test("a refused number is told again soon, then seldom", () => {
  expect([1, 2, 3, 4, 5, 6, 99].map(refusedAgainAfter)).toEqual([
    2_000, 4_000, 8_000, 16_000, 30_000, 30_000, 30_000,
  ]);
});
