import { expect, test } from "vitest";
import { millisecondsUntilRight, standingsOf, timesOverwritten } from "../../bench/push-delay.ts";

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

const overwrittenOf = (
  should: readonly (readonly [at: number, delta: number])[],
  shown: readonly (readonly [at: number, delta: number])[],
) => timesOverwritten(standings(should), standings(shown));

test("a listing that was right and is told a number of before is overwritten until it is told the right one", () => {
  expect(
    overwrittenOf(
      [[10, 3]],
      [
        [12, 3],
        [15, -3],
        [19, 3],
      ],
    ),
  ).toEqual([{ at: 15, until: 19 }]);
});

test("an overwritten number may become the right one by what happens next", () => {
  expect(
    overwrittenOf(
      [
        [10, 3],
        [17, -3],
      ],
      [
        [12, 3],
        [15, -3],
      ],
    ),
  ).toEqual([{ at: 15, until: 17 }]);
});

test("a listing that was wrong before is not overwritten by another wrong number", () => {
  expect(
    overwrittenOf(
      [
        [10, 3],
        [11, 2],
      ],
      [
        [12, 3],
        [15, 2],
      ],
    ),
  ).toEqual([]);
});
