import { describe, expect, test } from "vitest";
import { explainLevel, explainOffer } from "../../../src/domain/stock/explain.ts";

describe("a level", () => {
  const term = (kind: "receive" | "reserve", onHandEffect: number, reservedEffect: number) => ({
    kind,
    movements: 1,
    onHandEffect,
    reservedEffect,
  });
  const terms = [term("receive", 3, 0), term("reserve", 0, 2)];

  test("is what was brought forward and what moved it since", () => {
    const told = explainLevel({ onHand: 8, reserved: 3 }, { onHand: 5, reserved: 1 }, terms, 3);
    expect(told).toMatchObject({ sum: { onHand: 8, reserved: 3 }, addsUp: true });
  });

  test.each([
    ["its units on hand are others", { onHand: 9, reserved: 3 }, 3],
    ["its reserved units are others", { onHand: 8, reserved: 4 }, 4],
    ["the open reservations hold others", { onHand: 8, reserved: 3 }, 2],
  ])("does not add up when %s", (_, level, held) => {
    expect(explainLevel(level, { onHand: 5, reserved: 1 }, terms, held).addsUp).toBe(false);
  });
});

describe("a listing", () => {
  const ours = {
    onHand: 10,
    reserved: 3,
    reservedElsewhere: 1,
    unreservedHere: 0,
    unreservedElsewhere: 0,
    underWay: 2,
    buffer: 1,
  };
  const cell = { ours, cap: 99_999 };
  const quiet = { isPaused: false, isUnderWay: false, lastRefusal: null };
  const shown = (available: number, committed: number) => ({ available, committed, locked: 0 });

  test("that was never read says so", () => {
    expect(explainOffer(cell, null, quiet)).toMatchObject({ shouldShow: null, agrees: false });
  });

  test("agrees when the sums do, and names each term of ours", () => {
    expect(explainOffer(cell, shown(6, 4), quiet)).toEqual({
      shouldShow: 6,
      agrees: true,
      why: "The sums agree: 10 there (6 available, 4 committed), 10 here (10 on hand - 1 reserved for others + 2 under way - 1 kept back).",
    });
  });

  test("leaves out what others have sold before it is reserved, and says so", () => {
    const sold = { ours: { ...ours, unreservedElsewhere: 3 }, cap: 99_999 };
    expect(explainOffer(sold, shown(3, 4), quiet)).toMatchObject({
      agrees: true,
      why: expect.stringContaining("- 3 sold elsewhere and not reserved yet") as string,
    });
  });

  test.each([
    [{ ...quiet, isUnderWay: true }, /on its way/],
    [{ ...quiet, isPaused: true }, /paused/],
    [{ ...quiet, lastRefusal: "no such SKU" }, /refused it: no such SKU/],
    [quiet, /compared again within minutes/],
  ])("that differs says what happens next: %o", (push, why) => {
    expect(explainOffer(cell, shown(9, 4), push)).toMatchObject({
      shouldShow: 6,
      agrees: false,
      why: expect.stringMatching(why) as string,
    });
  });
});
