import { describe, expect, test } from "vitest";
import { available } from "../../../src/domain/stock/movement.ts";
import { reservationIdOf, type StockOperation } from "../../../src/domain/stock/operation.ts";
import { adjust, at, claim, level, reserve, StockInMemory } from "./stock-builders.ts";

const meant = claim("meant");
const release: StockOperation = { kind: "release", claim: meant, reason: "test" };
const ship = (outside: boolean): StockOperation => ({ kind: "ship", claim: meant, quantity: 1, outside });
const reverse: StockOperation = { kind: "reverse", claim: meant, reason: "test" };
const rank: StockOperation = { kind: "rank", claim: meant, paidAt: at(1) };

/** How a claim comes to each of its states. */
const waysThere: Readonly<Record<string, readonly StockOperation[]>> = {
  unknown: [],
  waiting: [adjust("none", -2), reserve("meant")],
  held: [reserve("meant")],
  shipped: [reserve("meant"), ship(false)],
  reversed: [reserve("meant"), ship(false), reverse],
  released: [reserve("meant"), release],
  withdrawn: [adjust("none", -2), reserve("meant"), release],
  closed: [release],
};

const commands: Readonly<Record<string, StockOperation>> = {
  reserve: reserve("meant"),
  rank,
  release,
  ship: ship(false),
  "ship outside": ship(true),
  reverse,
};

/** Every state (rows) and every command (columns, as above): the answer; `=` stands for one that was given before. */
const expected = `
  unknown    reserved      ranked  closed           nothing_held  shipped       not_shipped
  waiting    =short        ranked  withdrawn        nothing_held  shipped       not_shipped
  held       =reserved     ranked  released         shipped       shipped       not_shipped
  shipped    =reserved     ranked  already_shipped  =shipped      =shipped      reversed
  reversed   =reserved     ranked  closed           =shipped      =shipped      =reversed
  released   =reserved     ranked  =released        nothing_held  nothing_held  not_shipped
  withdrawn  =short        ranked  =withdrawn       nothing_held  nothing_held  not_shipped
  closed     claim_closed  ranked  =closed          nothing_held  nothing_held  not_shipped
`;

const cases = expected
  .trim()
  .split("\n")
  .flatMap((row) => {
    const [state = "", ...answers] = row.trim().split(/\s+/);
    return answers.map((answer, index) => ({ state, command: Object.keys(commands)[index]!, answer }));
  });

test("the table names every state and every command", () => {
  expect(cases).toHaveLength(Object.keys(waysThere).length * Object.keys(commands).length);
});

describe.each(cases)("a claim that is $state, asked to $command", ({ state, command, answer }) => {
  test(`answers ${answer}, and every unit is explained`, () => {
    const stock = new StockInMemory([level(2)]);
    for (const operation of waysThere[state]!) stock.do(operation);
    const before = { levels: stock.levels, claim: stock.claims.get(reservationIdOf(meant)) };
    const result = stock.do(commands[command]!);
    const [given] = result.answers;
    const named = given?.outcome === "refused" ? given.reason : given?.outcome;
    expect(named).toBe(answer.replace("=", ""));
    if (answer.startsWith("=") || given?.outcome === "refused") {
      expect(result.movements).toEqual([]);
      expect(stock.levels).toEqual(before.levels);
      expect(stock.claims.get(reservationIdOf(meant))).toEqual(before.claim);
    }
    const [now] = stock.levels;
    const held = stock.heldUnits();
    expect(now?.reserved).toBe(held);
    expect(now?.onHand).toBe(2 + stock.movements.reduce((sum, each) => sum + each.onHandEffect, 0));
    expect(now === undefined ? -1 : available(now)).toBeGreaterThanOrEqual(0);
  });
});
