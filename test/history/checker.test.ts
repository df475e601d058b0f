import { randomInt } from "node:crypto";
import { describe, expect, test } from "vitest";
import { randomFrom } from "../support/random.ts";
import { checkHistory } from "./checker.ts";
import { corruptions } from "./corruptions.ts";
import { makeUpHistory } from "./made-up.ts";

/** The checker is checked first: it takes what is right, and finds what is wrong for the reason it is wrong. */
const given = process.env["CREATORFLOW_HISTORY_SEED"];
const seed = given === undefined ? randomInt(1, 2 ** 31) : Number(given);
const rightHistories = 200;
const timesEach = 8;
/** A history may offer nothing to corrupt in one of the ways. */
const triesEach = 400;

test(`histories of a stock that is right are accepted (seed ${seed})`, () => {
  const verdicts = Array.from({ length: rightHistories }, (_, index) =>
    checkHistory(makeUpHistory(randomFrom(seed + index))),
  );
  expect(verdicts.filter(({ linearizable }) => !linearizable)).toEqual([]);
});

describe("a history is rejected, and the reason named, in which", () => {
  test.each(corruptions)(`$what (seed ${seed})`, ({ what, faults, corrupt }) => {
    const random = randomFrom(seed);
    let corrupted = 0;
    for (let index = 0; index < triesEach && corrupted < timesEach; index += 1) {
      const right = makeUpHistory(randomFrom(seed + index));
      const wrong = corrupt(right, random);
      if (wrong === null) continue;
      corrupted += 1;
      const verdict = checkHistory(wrong);
      expect(verdict, `${what}, history ${index}`).toMatchObject({ linearizable: false });
      if (!verdict.linearizable) expect(faults, verdict.detail).toContain(verdict.fault);
    }
    expect(corrupted).toBe(timesEach);
  });
});
