import { describe, expect, it } from "vitest";
import { waitForBudget } from "../../../src/domain/shop/budget-patience.ts";

describe("who has no rate budget left", () => {
  it.each([
    ["until the budget may have a call", 1_100, 0, 100],
    ["a quarter of a second at most, since others may find it open before", 9_000, 0, 250],
    ["a moment when nobody knows how long", null, 0, 20],
    ["a moment when the time has come already", 500, 0, 20],
    ["also when hundreds wait", 1_100, 399, 100],
  ])("waits %s", (_for, retryAt, others, expected) => {
    expect(waitForBudget(retryAt, 1_000, 20_000, others)).toBe(expected);
  });

  it.each([
    ["the budget opens too late for whoever asks", 20_001, 1_000, 0],
    ["whoever asks has waited long enough", null, 20_001, 0],
    ["too many wait already", 1_100, 1_000, 400],
  ])("puts the work off when %s", (_why, retryAt, now, others) => {
    expect(waitForBudget(retryAt, now, 20_000, others)).toBeNull();
  });
});
