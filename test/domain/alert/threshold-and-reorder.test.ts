import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { reorderRecommendation } from "../../../src/domain/alert/reorder.ts";
import { thresholdFor } from "../../../src/domain/alert/threshold.ts";

describe("the threshold", () => {
  test.each([
    // mode, fixed, sold, days, threshold
    ["fixed", 7, 9_000, 30, 7],
    ["fixed", 0, 9_000, 30, 0],
    ["automatic", 7, 0, 0, 10],
    ["automatic", 7, 99, 30, 10],
    ["automatic", 7, 100, 30, 10],
    ["automatic", 7, 101, 30, 11],
    ["automatic", 7, 3_000, 30, 300],
    ["automatic", 7, 150, 15, 30],
    ["automatic", 7, 70, 1, 30],
    ["automatic", 7, -5, 30, 10],
    ["automatic", 7, 999_999, 30, 10_000],
  ] as const)("%s %i with %i sold in %i days is %i", (mode, fixed, unitsSold, daysObserved, threshold) => {
    expect(thresholdFor({ mode, fixed, unitsSold, daysObserved })).toBe(threshold);
  });

  test("follows sales: more sold is never a lower threshold", () => {
    fc.assert(
      fc.property(fc.nat(100_000), fc.nat(1_000), fc.nat(40), (unitsSold, more, daysObserved) => {
        const of = (units: number) =>
          thresholdFor({ mode: "automatic", fixed: 0, unitsSold: units, daysObserved });
        expect(of(unitsSold + more)).toBeGreaterThanOrEqual(of(unitsSold));
      }),
    );
  });
});

const basis = { available: 9, unitsSold: 126, daysObserved: 30, leadTimeDays: 14, targetCoverDays: 30 };

describe("the reorder recommendation", () => {
  test("says what to order and every number that it follows from", () => {
    expect(reorderRecommendation(basis)).toEqual({
      quantity: 176,
      available: 9,
      unitsSold: 126,
      days: 30,
      dailySales: 4.2,
      daysOfCover: 2,
      leadTimeDays: 14,
      targetCoverDays: 30,
      needed: 185,
      sentence:
        "126 sold in 30 days are 4.2 a day, so 9 available last 2 days. Until an order comes (14 days) and for 30 days after that 185 units are needed: order 185 - 9 = 176.",
    });
  });

  test.each([
    ["nothing was sold", { unitsSold: 0 }, 0, /nothing to reckon an order from/],
    ["there are enough", { available: 500 }, 0, /there are enough\.$/],
    ["units are owed as backorders", { available: -10 }, 195, /order 185 - -10 = 195\.$/],
    ["the goods come at once", { leadTimeDays: 0 }, 117, /\(0 days\)/],
    ["one day of lead time", { leadTimeDays: 1 }, 122, /\(1 day\)/],
    [
      "three days of sales count as a week's",
      { unitsSold: 7, daysObserved: 3 },
      35,
      /7 sold in 7 days are 1 a day/,
    ],
  ])("when %s", (_what, changes, quantity, words) => {
    const recommendation = reorderRecommendation({ ...basis, ...changes });
    expect(recommendation.quantity).toBe(quantity);
    expect(recommendation.sentence).toMatch(words);
  });

  test("ordering what it says is enough for the time it says, and one unit less is not", () => {
    fc.assert(
      fc.property(
        fc.integer({ min: -100, max: 5_000 }),
        fc.integer({ min: 1, max: 20_000 }),
        fc.integer({ min: 7, max: 30 }),
        fc.nat(120),
        fc.integer({ min: 1, max: 120 }),
        (available, unitsSold, daysObserved, leadTimeDays, targetCoverDays) => {
          const { quantity } = reorderRecommendation({
            available,
            unitsSold,
            daysObserved,
            leadTimeDays,
            targetCoverDays,
          });
          const sold = (unitsSold * (leadTimeDays + targetCoverDays)) / daysObserved;
          if (quantity > 0) {
            expect(available + quantity).toBeGreaterThanOrEqual(sold);
            expect(available + quantity - 1).toBeLessThan(sold);
          } else expect(available).toBeGreaterThanOrEqual(sold);
        },
      ),
    );
  });
});
