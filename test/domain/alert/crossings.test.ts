import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  conditionsAt,
  crossings,
  outOfStockRearmsAt,
  rearmsAt,
  type StockAlertKind,
} from "../../../src/domain/alert/crossings.ts";

describe("a change of what is available", () => {
  test.each([
    // threshold, before, after, opens, rearms
    [10, 11, 10, ["low_stock"], []],
    [10, 11, 9, ["low_stock"], []],
    [10, 10, 9, [], []],
    [10, 9, 11, [], []],
    [10, 9, 12, [], ["low_stock"]],
    [10, 12, 13, [], []],
    [10, 20, 0, ["low_stock", "out_of_stock"], []],
    [10, 5, 0, ["out_of_stock"], []],
    [10, 5, -3, ["out_of_stock"], []],
    [10, 0, -1, [], []],
    [10, 0, 1, [], []],
    [10, 0, 2, [], ["out_of_stock"]],
    [10, -4, 50, [], ["low_stock", "out_of_stock"]],
    [10, 7, 7, [], []],
    [0, 5, 0, ["out_of_stock"], []],
    [0, 0, 5, [], ["out_of_stock"]],
    [100, 101, 100, ["low_stock"], []],
    [100, 100, 119, [], []],
    [100, 119, 120, [], ["low_stock"]],
    [1, 2, 1, ["low_stock"], []],
    [1, 1, 3, [], ["low_stock", "out_of_stock"]],
  ] as const)(
    "at threshold %i, from %i to %i, opens %j and ends %j",
    (threshold, before, after, opens, rearms) => {
      expect(crossings(before, after, threshold)).toEqual({ opens, rearms });
    },
  );

  test.each([
    [1, 3],
    [10, 12],
    [11, 14],
    [100, 120],
    [10_000, 12_000],
  ])("at threshold %i the alert is over from %i on", (threshold, over) => {
    expect(rearmsAt(threshold)).toBe(over);
  });
});

/** What the table of alerts makes of it: one that is open is not opened again. */
function tally(numbers: readonly number[], threshold: number): Readonly<Record<StockAlertKind, number>> {
  const open = new Set<StockAlertKind>();
  const opened = { low_stock: 0, out_of_stock: 0 };
  numbers.slice(1).forEach((after, index) => {
    const { opens, rearms } = crossings(numbers[index]!, after, threshold);
    for (const kind of rearms) open.delete(kind);
    for (const kind of opens) {
      if (!open.has(kind)) opened[kind] += 1;
      open.add(kind);
    }
  });
  return opened;
}

test("12, 11, 9, 8, 11, 9 at threshold 10 is one alert", () => {
  expect(tally([12, 11, 9, 8, 11, 9], 10)).toEqual({ low_stock: 1, out_of_stock: 0 });
});

test("a unit that a cancellation frees and the next order takes is no second alert", () => {
  expect(tally([5, 0, 1, 0, 1, 0], 0).out_of_stock).toBe(1);
  expect(tally([5, 0, 2, 0], 0).out_of_stock).toBe(2);
});

const units = fc.integer({ min: -50, max: 300 });
const thresholds = fc.integer({ min: 0, max: 200 });

describe("whatever the numbers do", () => {
  test("a SKU that comes down to its line has an alert, and one that is beyond the margin has none", () => {
    fc.assert(
      fc.property(fc.array(units, { minLength: 1 }), thresholds, (rest, threshold) => {
        const open = new Set<StockAlertKind>();
        let before = 1_000;
        for (const after of rest) {
          const { opens, rearms } = crossings(before, after, threshold);
          for (const kind of opens) open.add(kind);
          for (const kind of rearms) open.delete(kind);
          if (after <= 0) expect(open).toContain("out_of_stock");
          if (after >= outOfStockRearmsAt) expect(open).not.toContain("out_of_stock");
          if (threshold > 0 && after <= threshold) expect(open).toContain("low_stock");
          if (threshold === 0 || after >= rearmsAt(threshold)) expect(open).not.toContain("low_stock");
          before = after;
        }
      }),
    );
  });

  test("many small changes and one large one of the same sum end alike", () => {
    fc.assert(
      fc.property(units, units, thresholds, (from, to, threshold) => {
        const step = from < to ? 1 : -1;
        const path: number[] = [];
        for (let at = from; at !== to; at += step) path.push(at);
        path.push(to);
        const small = path.slice(1).map((after, index) => crossings(path[index]!, after, threshold));
        const large = crossings(from, to, threshold);
        expect(small.flatMap(({ opens }) => opens).sort()).toEqual([...large.opens].sort());
        expect(small.flatMap(({ rearms }) => rearms).sort()).toEqual([...large.rearms].sort());
      }),
    );
  });

  test("no condition is opened and ended by the same numbers", () => {
    fc.assert(
      fc.property(units, units, thresholds, (before, after, threshold) => {
        for (const { opens, rearms } of [crossings(before, after, threshold), conditionsAt(after, threshold)])
          expect(opens.filter((kind) => rearms.includes(kind))).toEqual([]);
      }),
    );
  });
});

test("a threshold that is taken away ends the alert, one that is raised opens it, and within the margin nothing changes", () => {
  expect(conditionsAt(5, 0)).toEqual({ opens: [], rearms: ["out_of_stock", "low_stock"] });
  expect(conditionsAt(15, 20)).toEqual({ opens: ["low_stock"], rearms: ["out_of_stock"] });
  expect(conditionsAt(15, 14)).toEqual({ opens: [], rearms: ["out_of_stock"] });
  expect(conditionsAt(0, 10)).toEqual({ opens: ["low_stock", "out_of_stock"], rearms: [] });
});
