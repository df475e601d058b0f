import { expect, test } from "vitest";
import { isRush } from "../../../src/domain/shop/rush.ts";

test.each([
  ["none has begun with 99 undecided orders", 99, false, false],
  ["one begins with a hundred", 100, false, true],
  ["one goes on while ten are left", 10, true, true],
  ["one is over when less than ten are left", 9, true, false],
])("of a rush: %s", (_what, undecided, wasRush, is) => {
  expect(isRush(undecided, wasRush)).toBe(is);
});
