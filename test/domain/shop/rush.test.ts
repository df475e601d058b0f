import { expect, test } from "vitest";
import { isRush } from "../../../src/domain/shop/rush.ts";

const minute = 60_000;

test.each([
  ["none has begun with 99 undecided orders", 99, null, false],
  ["one begins with a hundred", 100, null, true],
  ["one goes on while ten are left", 10, minute, true],
  ["one is over when less than ten are left", 9, minute, false],
  ["one that has lasted for ten minutes goes on while it would begin now", 100, 10 * minute, true],
  ["one that has lasted for ten minutes is over when it would not begin now", 99, 10 * minute, false],
])("of a rush: %s", (_what, undecided, lasted, is) => {
  expect(isRush(undecided, lasted)).toBe(is);
});
