import { expect, test } from "vitest";
import { millisecondsUntilRight, standingsOf } from "../../bench/push-delay.ts";

const delaysOf = (
  should: readonly (readonly [at: number, delta: number])[],
  shown: readonly (readonly [at: number, delta: number])[],
) => millisecondsUntilRight(standings(should), standings(shown));

const standings = (changes: readonly (readonly [at: number, delta: number])[]) =>
  standingsOf(changes.map(([at, delta]) => ({ at, delta })));

test("a change is made good when the listing shows what it should after it", () => {
  expect(delaysOf([[10, 3]], [[14, 3]])).toEqual([4]);
});

test("one push makes all changes good that came before it", () => {
  expect(
    delaysOf(
      [
        [10, 3],
        [12, -1],
      ],
      [[15, 2]],
    ),
  ).toEqual([5, 3]);
});

test("a number from before a change makes only the changes before that good", () => {
  expect(
    delaysOf(
      [
        [10, 3],
        [12, -1],
      ],
      [
        [13, 3],
        [20, -1],
      ],
    ),
  ).toEqual([3, 8]);
});

test("changes that cancel each other out need no push", () => {
  expect(
    delaysOf(
      [
        [10, 3],
        [12, -3],
      ],
      [],
    ),
  ).toEqual([2, 0]);
});

test("a number that never was right is told as never", () => {
  expect(delaysOf([[10, 3]], [[14, 2]])).toEqual([null]);
});
