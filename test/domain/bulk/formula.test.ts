import fc from "fast-check";
import { expect, test } from "vitest";
import { neutraliseFormula, withoutFormulaMark } from "../../../src/domain/bulk/formula.ts";

const starts = ["=", "+", "-", "@", "\t", "\r", "＝", "＋", "－", "＠"];
const prefixes = ["", " ", "\t", '"', "'", '""', ",", ";", "a;", 'a"', "a,b|", "x\r\n", "x\n "];
const bodies = ["1+1", "cmd|' /C calc'!A0", 'HYPERLINK("http://x","y")', "SUM(A1:A9)"];
/** 520 ways to start a formula. */
const payloads = prefixes.flatMap((prefix) =>
  starts.flatMap((start) => bodies.map((body) => `${prefix}${start}${body}`)),
);

/** Cells that a program might make of a text, by whatever it takes for a separator or a quote. */
function cellsOf(text: string): readonly string[] {
  return text.split(/[,;|\t\r\n"]/).map((cell) => cell.trimStart());
}

const isFormula = (cell: string): boolean => /^[=+\-@＝＋－＠]/.test(cell);

test("no payload begins a formula, in whichever cell it ends up", () => {
  expect(payloads.length).toBeGreaterThanOrEqual(500);
  for (const payload of payloads) {
    const safe = neutraliseFormula(payload);
    expect(safe, payload).not.toMatch(/^[\t\r\n]/);
    expect(cellsOf(safe).filter(isFormula), payload).toEqual([]);
  }
});

test("no text begins a formula", () => {
  fc.assert(
    fc.property(fc.array(fc.constantFrom(...starts, ...prefixes, "a", "1", " ")), (parts) => {
      expect(cellsOf(neutraliseFormula(parts.join(""))).filter(isFormula)).toEqual([]);
    }),
    { numRuns: 2_000 },
  );
});

test.each(["Mug, red", "T-shirt", "5 - 6 years", "a=b", "e@mail", "", "größe", "it's"])(
  "an honest text stays as it is: %j",
  (text) => {
    expect(neutraliseFormula(text)).toBe(text);
  },
);

test.each(["=odd", "-12", "+x", "@home"])("a code that looks like one is read back: %j", (code) => {
  expect(withoutFormulaMark(neutraliseFormula(code))).toBe(code);
});
