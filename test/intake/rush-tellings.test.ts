import { expect, test } from "vitest";
import { RushTellings } from "../../src/intake/rush-tellings.ts";
import { silent } from "../support/workers.ts";
import { until } from "../support/until.ts";

/** Workflows that are told when somebody ends it. */
class Told {
  readonly begun: (() => void)[] = [];
  ended = 0;

  tellings(count: number) {
    return Array.from({ length: count }, () => async () => {
      await new Promise<void>((resolve) => this.begun.push(resolve));
      this.ended += 1;
    });
  }
}

test("ten orders are told at a time, and the next when one is done", async () => {
  const told = new Told();
  const rush = new RushTellings(silent);
  expect(rush.take(told.tellings(25))).toBe(true);
  await until("ten are told", () => told.begun.length === 10);
  told.begun[3]!();
  await until("another one is told", () => told.begun.length === 11);
  expect(told.ended).toBe(1);
});

test("no more are taken than may wait", async () => {
  const told = new Told();
  const rush = new RushTellings(silent);
  expect(rush.take(told.tellings(500))).toBe(true);
  await until("ten are told", () => told.begun.length === 10);
  expect(rush.take(told.tellings(11))).toBe(false);
  expect(rush.take(told.tellings(10))).toBe(true);
});

test("one that fails keeps no other from being told", async () => {
  const told = new Told();
  const rush = new RushTellings(silent);
  rush.take([() => Promise.reject(new Error("Temporal is away")), ...told.tellings(1)]);
  await until("the other is told", () => told.begun.length === 1);
});

test("who stops tells those that are begun, and no more", async () => {
  const told = new Told();
  const rush = new RushTellings(silent);
  rush.take(told.tellings(25));
  await until("ten are told", () => told.begun.length === 10);
  const stopping = rush.stop();
  told.begun.forEach((end) => end());
  await stopping;
  expect([told.begun.length, told.ended]).toEqual([10, 10]);
});
