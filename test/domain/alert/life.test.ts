import { describe, expect, test } from "vitest";
import {
  type AlertEvent,
  alertEvents,
  type AlertState,
  alertStates,
  alertTransitions,
  isUnanswered,
  nextState,
} from "../../../src/domain/alert/life.ts";

const over = "already_over";
const resolved = "already_resolved";

/** Rows are states, columns the events acknowledge, snooze, wake, resolve, rearm. */
const table: readonly (readonly [AlertState, readonly string[]])[] = [
  ["open", ["acknowledged", "snoozed", "open", "resolved", "rearmed"]],
  ["acknowledged", ["acknowledged", "snoozed", "acknowledged", "resolved", "rearmed"]],
  ["snoozed", ["acknowledged", "snoozed", "open", "resolved", "rearmed"]],
  ["resolved", [resolved, resolved, "resolved", "resolved", "rearmed"]],
  ["rearmed", [over, over, "rearmed", over, "rearmed"]],
];

describe.each(table)("an alert that is %s", (state, ends) => {
  test.each(alertEvents.map((event, index) => [event, ends[index]!] as const))("on %s: %s", (event, end) => {
    const next = nextState(state, event);
    if (typeof next === "string") expect(next).toBe(end);
    else {
      expect(next.refused).toBe(end);
      expect(next.explanation).toMatch(/\.$/);
    }
  });
});

function reachableFrom(start: AlertState): ReadonlySet<AlertState> {
  const found = new Set<AlertState>([start]);
  for (const state of found) {
    for (const event of alertEvents) {
      const next: unknown = alertTransitions[state][event];
      if (typeof next === "string") found.add(next as AlertState);
    }
  }
  return found;
}

test("every state is listed and can be reached from an alert that has just opened", () => {
  expect(table.map(([state]) => state)).toEqual(alertStates);
  expect([...reachableFrom("open")].sort()).toEqual([...alertStates].sort());
});

test("nothing leads back from an alert that is over, and nothing but its condition's end leads on from a resolved one", () => {
  expect([...reachableFrom("rearmed")]).toEqual(["rearmed"]);
  expect([...reachableFrom("resolved")].sort()).toEqual(["rearmed", "resolved"]);
});

test("every event that a person sends twice ends as if it was sent once", () => {
  for (const state of alertStates) {
    for (const event of ["acknowledge", "snooze", "resolve"] satisfies AlertEvent[]) {
      const once = nextState(state, event);
      if (typeof once === "string") expect(nextState(once, event)).toBe(once);
    }
  }
});

test("people are told of alerts that are open or snoozed, and of no others", () => {
  expect(alertStates.filter(isUnanswered)).toEqual(["open", "snoozed"]);
});
