import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  newBucket,
  type Priority,
  type RateBucket,
  rateLimits,
  recordAccepted,
  recordLimited,
  takeToken,
  takeTokens,
} from "../../../src/domain/shop/rate-budget.ts";

const start = Date.parse("2026-11-21T11:00:00Z");

/** Takes as often as it is granted; returns how often, and the bucket. */
function drain(bucket: RateBucket, priority: Priority, now: number): { bucket: RateBucket; taken: number } {
  let taken = 0;
  for (let current = bucket; ; taken += 1) {
    const answer = takeToken(current, priority, now);
    if (!answer.grant.granted) return { bucket: answer.bucket, taken };
    current = answer.bucket;
  }
}

describe("the rate budget", () => {
  test("starts with 20 calls at once and then 100 a minute", () => {
    const { bucket, taken } = drain(newBucket(start), 1, start);
    expect(taken).toBe(20);
    expect(drain(bucket, 1, start + 6_000).taken).toBe(10);
  });

  test.each([
    [1, 20],
    [2, 18],
    [3, 15],
    [4, 10],
  ] as const)("leaves the share of higher classes alone: class %d takes %d of 20", (priority, count) => {
    expect(drain(newBucket(start), priority, start).taken).toBe(count);
  });

  test("a refused call that comes back when it was told to is granted", () => {
    for (const priority of [1, 2, 3, 4] as const) {
      const { bucket } = drain(newBucket(start), 1, start);
      const { grant } = takeToken(bucket, priority, start);
      if (grant.granted) throw new Error("the bucket was empty");
      expect(grant.retryAt).toBeGreaterThan(start);
      expect(takeToken(bucket, priority, grant.retryAt).grant.granted).toBe(true);
    }
  });

  test("of calls asked for at the same moment the most urgent are granted first", () => {
    const bucket = { ...newBucket(start), tokens: 11 };
    // The least urgent call leaves 10 tokens to the others: asked for alone it is granted.
    expect(takeTokens(bucket, [4], start).grants).toEqual([{ granted: true }]);
    const { bucket: left, grants } = takeTokens(bucket, [4, 1, 2], start);
    expect(grants.map(({ granted }) => granted)).toEqual([false, true, true]);
    expect(left.tokens).toBe(9);
  });

  test("every class may call at the lowest rate", () => {
    let bucket = newBucket(start);
    let now = start;
    for (let episode = 0; episode < 10; episode += 1) {
      now += 10_000;
      bucket = recordLimited(bucket, now + 1_000, now);
      now += 10_000;
      bucket = recordAccepted(takeToken(bucket, 1, now).bucket, 1, now);
    }
    expect(bucket.ratePerMinute).toBe(rateLimits.floorPerMinute);
    expect(takeToken(bucket, 4, now + 60_000).grant.granted).toBe(true);
  });

  test("rises by a tenth with each 20 accepted calls, up to 50 a second", () => {
    const bucket = recordAccepted(newBucket(start), 19, start);
    expect(bucket.ratePerMinute).toBe(100);
    expect(recordAccepted(bucket, 1, start).ratePerMinute).toBeCloseTo(110);
    expect(recordAccepted(bucket, 41, start).ratePerMinute).toBeCloseTo(133.1);
    const raised = recordAccepted(bucket, 10_000, start);
    expect(raised).toMatchObject({ ratePerMinute: rateLimits.ceilingPerMinute, burst: rateLimits.burstMax });
  });

  test("a limited call stops everything until the time given, then starts from empty at half the rate", () => {
    const limited = recordLimited(newBucket(start), start + 5_000, start);
    expect(limited.ratePerMinute).toBe(50);
    expect(takeToken(limited, 1, start + 4_999).grant).toEqual({ granted: false, retryAt: start + 5_000 });
    expect(takeToken(limited, 1, start + 5_000).grant.granted).toBe(false);
    expect(takeToken(limited, 1, start + 5_000 + 1_201).grant.granted).toBe(true);
  });

  test("calls that met the same limit together halve the rate once", () => {
    let bucket = newBucket(start);
    for (let call = 0; call < 20; call += 1) bucket = recordLimited(bucket, start + 1_000, start + call);
    expect(bucket.ratePerMinute).toBe(50);
  });

  describe("while the channel limits whatever it is asked", () => {
    /** Asks as often as it may for so long. */
    function askFor(
      limited: RateBucket,
      minutes: number,
    ): { bucket: RateBucket; calls: number; now: number } {
      let bucket = limited;
      let calls = 0;
      let now = start;
      while (now < start + minutes * 60_000) {
        const { bucket: after, grant } = takeToken(bucket, 4, now);
        bucket = after;
        if (grant.granted) {
          calls += 1;
          bucket = recordLimited(bucket, now + 1_000, now);
        } else now = grant.retryAt;
      }
      return { bucket, calls, now };
    }

    test.each([100, 1_000, 3_000])(
      "of %d calls a minute at most one a second asks, and the rate halves once",
      (rate) => {
        const { bucket, calls } = askFor(recordLimited(newBucket(start, rate), start + 1_000, start), 3);
        expect(bucket.ratePerMinute).toBe(rate / 2);
        expect(calls).toBeGreaterThan(30);
        expect(calls).toBeLessThanOrEqual(180);
      },
    );

    test("one call asks at a time, and whoever comes first may", () => {
      const limited = recordLimited(newBucket(start, 600), start + 1_000, start);
      const asked = takeToken(limited, 4, start + 2_000);
      expect(asked.grant.granted).toBe(true);
      expect(takeToken(asked.bucket, 1, start + 2_500).grant.granted).toBe(false);
      expect(takeToken(asked.bucket, 1, start + 3_000).grant.granted).toBe(true);
    });

    test("what was saved is there for everybody when a call is accepted", () => {
      const { bucket, now } = askFor(recordLimited(newBucket(start, 3_000), start + 1_000, start), 1);
      const asked = takeToken(bucket, 3, now + 5_000).bucket;
      expect(drain(asked, 1, now + 5_000).taken).toBe(0);
      const over = recordAccepted(asked, 1, now + 5_100);
      expect(drain(over, 1, now + 5_100).taken).toBeGreaterThan(45);
    });

    test("calls that were on their way before end nothing", () => {
      const limited = recordLimited(newBucket(start), start + 30_000, start);
      const accepted = recordAccepted(limited, 3, start + 100);
      expect(takeToken(accepted, 1, start + 200).grant).toEqual({ granted: false, retryAt: start + 30_000 });
    });
  });

  test("whatever happens, no window of time holds more calls than burst and rate allow, and no share is overdrawn", () => {
    const step = fc.record({
      wait: fc.oneof(fc.constant(0), fc.integer({ min: -50, max: 3_000 })),
      kind: fc.constantFrom("take", "take", "take", "take", "accepted", "limited"),
      priority: fc.constantFrom<Priority>(1, 2, 3, 4),
      pause: fc.integer({ min: 0, max: 4_000 }),
    });
    const share = { 1: 0, 2: 0.1, 3: 0.25, 4: 0.5 };
    fc.assert(
      fc.property(fc.array(step, { maxLength: 150 }), (steps) => {
        let bucket = newBucket(start);
        let now = start;
        let latest = start;
        const calls: number[] = [];
        let highestRate = bucket.ratePerMinute;
        let highestBurst = bucket.burst;
        for (const { wait, kind, priority, pause } of steps) {
          now += wait;
          latest = Math.max(latest, now);
          if (kind === "accepted") bucket = recordAccepted(bucket, 15, now);
          else if (kind === "limited") bucket = recordLimited(bucket, now + pause, now);
          else {
            const { bucket: after, grant } = takeToken(bucket, priority, now);
            bucket = after;
            if (grant.granted) {
              calls.push(latest);
              // Who asks whether the channel still limits takes from nobody: no class calls beside him.
              const left = after.limit === "none" ? share[priority] * after.burst : 0;
              expect(after.tokens).toBeGreaterThanOrEqual(left - 1e-9);
            } else expect(grant.retryAt).toBeGreaterThan(now);
          }
          highestRate = Math.max(highestRate, bucket.ratePerMinute);
          highestBurst = Math.max(highestBurst, bucket.burst);
          expect(bucket.tokens).toBeGreaterThanOrEqual(0);
          expect(bucket.tokens).toBeLessThanOrEqual(bucket.burst);
          expect(bucket.ratePerMinute).toBeGreaterThanOrEqual(rateLimits.floorPerMinute);
          expect(bucket.ratePerMinute).toBeLessThanOrEqual(rateLimits.ceilingPerMinute);
        }
        for (let from = 0; from < calls.length; from += 1) {
          for (let to = from; to < calls.length; to += 1) {
            const milliseconds = (calls[to] ?? 0) - (calls[from] ?? 0);
            const allowed = highestBurst + (highestRate * milliseconds) / 60_000;
            expect(to - from + 1).toBeLessThanOrEqual(allowed + 1e-6);
          }
        }
      }),
      { numRuns: 300 },
    );
  });
});
