import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { asId } from "../../../src/domain/ids.ts";
import {
  batchesOf,
  batchSizeAfter,
  fetchLimits,
  type OrderToFetch,
  pauseAfter,
} from "../../../src/domain/shop/order-fetches.ts";

const orders = fc.array(fc.nat({ max: 20 }), { maxLength: 120 }).map((failures) =>
  failures.map(
    (failedFetches, index): OrderToFetch => ({
      orderId: asId<"ChannelOrder">(String(index)),
      failedFetches,
    }),
  ),
);

describe("orders that are fetched", () => {
  test("are asked for in halves from the second failure in a row on, and alone from the seventh on", () => {
    expect([0, 1, 2, 3, 4, 5, 6, 7, 8, 1_000].map(batchSizeAfter)).toEqual([
      50, 50, 25, 13, 7, 4, 2, 1, 1, 1,
    ]);
  });

  test("are each in one call, none of which is larger than what failed so often may be", () => {
    fc.assert(
      fc.property(orders, (given) => {
        const batches = batchesOf(given);
        expect(
          batches
            .flat()
            .map(({ orderId }) => orderId)
            .sort(),
        ).toEqual(given.map(({ orderId }) => orderId).sort());
        for (const batch of batches) {
          const most = Math.max(...batch.map(({ failedFetches }) => failedFetches));
          expect(batch.length).toBeLessThanOrEqual(batchSizeAfter(most));
        }
      }),
    );
  });

  test("go before those that failed more often, and share a call with none that must be asked for in fewer", () => {
    const ids = (failures: readonly number[]) =>
      batchesOf(
        failures.map((failedFetches, index) => ({
          orderId: asId<"ChannelOrder">(`${index}`),
          failedFetches,
        })),
      ).map((batch) => batch.map(({ failedFetches }) => failedFetches));
    expect(ids([9, 0, 2, 1, 7, 2])).toEqual([[0, 1], [2, 2], [7], [9]]);
  });

  test("wait a little while they have neighbours, and twice as long each time when they stand alone", () => {
    expect([1, 2, 6, 7, 8, 9].map((failures) => pauseAfter(failures, 1))).toEqual([
      2_000, 2_000, 2_000, 2_000, 4_000, 8_000,
    ]);
    expect(pauseAfter(10_000, 1)).toBe(fetchLimits.pauseMillisecondsMaximum);
    expect(pauseAfter(10_000, 1_000_000)).toBe(fetchLimits.pauseMilliseconds);
  });
});
