import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { adaptiveBufferOf, type Demand, followDemand } from "../../../src/domain/stock/demand.ts";
import { decideOffer } from "../../../src/domain/stock/offer.ts";

const minute = 60_000;
const quiet: Demand = { usualPerMinute: 0.05, viralSince: null, calmSince: null };

/** What happens while a SKU sells so many units in each window of two minutes, looked at each minute. */
function watch(soldEachMinute: readonly number[], start = quiet) {
  let demand = start;
  return soldEachMinute.map((sold, place) => {
    const now = (place + 1) * minute;
    const change = followDemand(demand, { sold, now, lookedAt: now - minute });
    demand = change.demand;
    return change.event;
  });
}

describe("a SKU goes viral", () => {
  test("when it sells ten units a minute that nobody is used to", () => {
    expect(watch([0, 4, 19, 20])).toEqual([null, null, null, "viral_began"]);
  });

  test("when it sells five times what is usual, however much that is", () => {
    const busy = { ...quiet, usualPerMinute: 20 };
    expect(watch([40, 190, 210], busy)).toEqual([null, null, "viral_began"]);
  });

  test("and is told once, and ends once, whatever it does at the edge", () => {
    const sales = [30, 18, 22, 15, 21, 10, 19, 8, 11, 9, 4, 3, 0, 0, 0, 0, 0, 0];
    const events = watch(sales).filter((event) => event !== null);
    expect(events).toEqual(["viral_began", "viral_ended"]);
  });

  test("not before it was calm for five minutes", () => {
    expect(watch([30, 0, 0, 0, 0, 30, 0, 0, 0, 0, 0, 0])).toEqual([
      "viral_began",
      ...Array.from({ length: 10 }, () => null),
      "viral_ended",
    ]);
  });

  test("what lasts for days becomes what is usual", () => {
    let demand = quiet;
    for (let hour = 0; hour < 72; hour += 1) {
      for (let half = 0; half < 2; half += 1) {
        const now = (hour * 2 + half + 1) * 30 * minute;
        ({ demand } = followDemand(demand, { sold: 100, now, lookedAt: now - 30 * minute }));
      }
    }
    expect(demand.usualPerMinute).toBeGreaterThan(40);
    expect(demand.viralSince).toBeNull();
  });
});

test.each([
  ["nothing is kept back for what hardly sells", 1, 0.5, false, 0],
  ["a unit a second and half a second of delay", 60, 0.5, false, 2],
  ["a slow channel needs more", 60, 4, false, 8],
  ["a viral SKU needs more", 60, 4, true, 14],
])("%s", (_name, recentPerMinute, delaySeconds, isViral, units) => {
  expect(adaptiveBufferOf(0, { recentPerMinute, delaySeconds, isViral })).toBe(units);
});

test("a jam of minutes is not kept back for: it would be pushed for every SKU and last the longer", () => {
  const ofDelay = (delaySeconds: number) =>
    adaptiveBufferOf(0, { recentPerMinute: 3, delaySeconds, isViral: false });
  expect(ofDelay(180)).toBe(ofDelay(10));
});

describe("a change of what is kept back is a push in every shop:", () => {
  const bufferAt = (kept: number, recentPerMinute: number) =>
    adaptiveBufferOf(kept, { recentPerMinute, delaySeconds: 1, isViral: false });

  test("it rises at once, and falls when it is half of what it was or nothing", () => {
    expect([bufferAt(4, 150), bufferAt(4, 60), bufferAt(4, 20), bufferAt(4, 1)]).toEqual([6, 4, 2, 0]);
  });

  test("a SKU whose sales tremble around the first unit is not pushed each time", () => {
    let [kept, changes] = [0, 0];
    for (const recentPerMinute of [5.5, 6.5, 5.5, 7, 4, 6.5, 3.5]) {
      const next = bufferAt(kept, recentPerMinute);
      if (next !== kept) changes += 1;
      kept = next;
    }
    expect([kept, changes]).toEqual([1, 1]);
    expect(bufferAt(kept, 2)).toBe(0);
  });
});

/**
 * Two shops sell one shelf. Each learns of the other's sales one step late at most; whatever the interleaving, the units sold
 * beyond what exists are never more than were sold elsewhere during that delay.
 */
test("in any interleaving no shop offers more than exists, beyond what the other has sold during the delay", () => {
  const step = fc.record({ shop: fc.constantFrom(0, 1), units: fc.nat(4), heard: fc.boolean() });
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 60 }), fc.array(step, { maxLength: 60 }), (onHand, steps) => {
      const shows = [onHand, onHand];
      const sold = [0, 0];
      const heard = [0, 0];
      for (const { shop, units, heard: newsCome } of steps) {
        const other = 1 - shop;
        const units2 = Math.min(units, shows[shop]!);
        shows[shop]! -= units2;
        sold[shop]! += units2;
        if (newsCome) {
          heard[shop] = sold[shop]!;
          for (const place of [0, 1]) {
            const reserved = Math.min(onHand, heard[0]! + heard[1]!);
            const decision = decideOffer(
              {
                onHand,
                reserved,
                reservedElsewhere: Math.max(0, reserved - heard[place]!),
                unreservedHere: 0,
                unreservedElsewhere: 0,
                underWay: 0,
                buffer: 0,
              },
              { available: shows[place]!, committed: sold[place]!, locked: 0 },
            );
            if (decision.push) shows[place] = decision.available;
          }
        }
        const unheard = sold[other]! - heard[other]! + sold[shop]! - heard[shop]!;
        const exist = Math.max(0, onHand - sold[0]! - sold[1]!);
        for (const place of [0, 1]) expect(shows[place]!).toBeLessThanOrEqual(exist + unheard);
      }
    }),
  );
});
