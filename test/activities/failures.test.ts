import { ApplicationFailure } from "@temporalio/activity";
import { expect, test } from "vitest";
import { asActivityFailure } from "../../src/activities/failures.ts";
import { ChannelFailure, type FailureKind } from "../../src/integrations/ports/failure.ts";

const failed = (kind: FailureKind, retryAt: number | null = null) =>
  new ChannelFailure(kind, "It failed", { retryAt });

function delayOf(...given: Parameters<typeof asActivityFailure>): unknown {
  const failure = asActivityFailure(...given);
  if (!(failure instanceof ApplicationFailure)) throw new Error(`Not told to Temporal: ${String(failure)}`);
  return failure.nextRetryDelay ?? null;
}

test("a failure that says nothing of a next try leaves it to Temporal, or to who knows better", () => {
  expect(delayOf(failed("unavailable"))).toBeNull();
  expect(delayOf(failed("unavailable"), 5_000)).toBe(5_000);
});

test("what the channel says of the next try counts, and credentials are waited for", () => {
  const inAMinute = delayOf(failed("rate_limited", Date.now() + 60_000), 5_000);
  expect(inAMinute).toBeGreaterThan(50_000);
  expect(delayOf(failed("unauthorised"), 5_000)).toBe(60_000);
});
