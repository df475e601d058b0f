import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  breakerLimits,
  type CircuitBreaker,
  closedBreaker,
  giveBackTrial,
  permitCall,
  recordUnanswered,
} from "../../../src/domain/shop/circuit-breaker.ts";

const pause = breakerLimits.pauseMilliseconds;

function failed(times: number, now = 0, from: CircuitBreaker = closedBreaker): CircuitBreaker {
  return Array.from({ length: times }).reduce<CircuitBreaker>(
    (breaker) => recordUnanswered(breaker, now, pause),
    from,
  );
}

describe("a circuit breaker", () => {
  test("lets every call through until the fifth in a row has come to nothing", () => {
    expect(permitCall(failed(4), 1, pause).passage).toEqual({ granted: true });
    expect(permitCall(failed(5), 1, pause).passage).toEqual({ granted: false, retryAt: pause });
  });

  test("lets nothing through for 60 seconds, then one call, and for another pause nothing else", () => {
    expect(pause).toBe(60_000);
    const open = failed(5);
    expect(permitCall(open, pause - 1, pause).passage).toEqual({ granted: false, retryAt: pause });
    const tried = permitCall(open, pause, pause);
    expect(tried.passage).toEqual({ granted: true, trialUntil: 2 * pause });
    expect(permitCall(tried.breaker, pause + 1, pause).passage).toEqual({
      granted: false,
      retryAt: 2 * pause,
    });
  });

  test("stays open when the one call that was tried comes to nothing or is never heard of again", () => {
    const { breaker: trying } = permitCall(failed(5), pause, pause);
    const failedAgain = recordUnanswered(trying, pause + 10, pause);
    for (const breaker of [trying, failedAgain]) {
      expect(permitCall(breaker, 2 * pause - 1, pause).passage.granted).toBe(false);
      expect(permitCall(breaker, 2 * pause, pause).passage.granted).toBe(true);
    }
  });

  test("lets the next call try at once when the one that was to try was never made", () => {
    const { breaker: trying } = permitCall(failed(5), pause, pause);
    const givenBack = giveBackTrial(trying, 2 * pause, pause + 3);
    expect(permitCall(givenBack, pause + 3, pause).passage).toEqual({
      granted: true,
      trialUntil: 2 * pause + 3,
    });
  });

  test("keeps another call's trial when one that is over is given back, and stays closed", () => {
    const { breaker: next } = permitCall(permitCall(failed(5), pause, pause).breaker, 2 * pause, pause);
    expect(giveBackTrial(next, 2 * pause, 2 * pause + 3)).toEqual(next);
    expect(giveBackTrial(closedBreaker, 2 * pause, pause)).toEqual(closedBreaker);
  });

  test("is not kept open by calls that left before it opened and fail later", () => {
    expect(failed(300, pause - 1, failed(5))).toMatchObject({ retryAt: pause });
  });

  test("never lets two calls through within one pause while it is open, whenever they come", () => {
    fc.assert(
      fc.property(fc.array(fc.nat(3 * pause), { maxLength: 50 }), (times) => {
        let breaker = failed(5);
        const passed: number[] = [];
        for (const now of times.sort((left, right) => left - right)) {
          const { breaker: after, passage } = permitCall(breaker, now, pause);
          breaker = after;
          if (passage.granted) passed.push(now);
        }
        passed.forEach((now, index) => {
          expect(now - (passed[index - 1] ?? 0)).toBeGreaterThanOrEqual(pause);
        });
      }),
    );
  });

  test("stays closed in a storm where one call in twenty fails at random", () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 0, max: 19 }), { minLength: 200, maxLength: 400 }), (calls) => {
        let breaker = closedBreaker;
        let inARow = 0;
        for (const call of calls) {
          breaker = call === 0 ? recordUnanswered(breaker, 0, pause) : closedBreaker;
          inARow = call === 0 ? inARow + 1 : 0;
          expect(breaker.retryAt === null).toBe(inARow < 5);
          if (inARow >= 5) return;
        }
      }),
    );
  });
});
