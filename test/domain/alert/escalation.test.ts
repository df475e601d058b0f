import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { alertSeverities } from "../../../src/domain/alert/alert.ts";
import { escalationFor, nextStep, type Unanswered } from "../../../src/domain/alert/escalation.ts";
import { alertStates } from "../../../src/domain/alert/life.ts";

const minute = 60_000;

describe("the ladder", () => {
  test.each([
    ["critical", 0, 0, 15],
    ["critical", 14.99, 0, 15],
    ["critical", 15, 1, 60],
    ["critical", 59, 1, 60],
    ["critical", 60, 2, null],
    ["critical", 100_000, 2, null],
    ["warning", 0, 0, 1_440],
    ["warning", 1_439, 0, 1_440],
    ["warning", 1_440, 1, null],
  ] as const)("%s after %d minutes stands on rung %d, the next at minute %s", (severity, age, rung, next) => {
    expect(escalationFor(severity, age * minute)).toEqual({
      rung,
      nextAt: next === null ? null : next * minute,
    });
  });
});

const opened: Unanswered = {
  state: "open",
  severity: "critical",
  countedFrom: 1_000_000,
  snoozedUntil: null,
  rungs: 0,
};
const at = (minutes: number) => opened.countedFrom + minutes * minute;

describe("what is done about an alert", () => {
  test.each([
    ["just opened", {}, at(0), { step: "tell", rung: 0 }],
    ["told of once", { rungs: 1 }, at(5), { step: "wait", milliseconds: 10 * minute }],
    ["not answered in time", { rungs: 1 }, at(15), { step: "tell", rung: 1 }],
    ["slept through while everything stood still", { rungs: 1 }, at(300), { step: "tell", rung: 2 }],
    ["told of to the end", { rungs: 3 }, at(61), { step: "end" }],
    ["acknowledged", { state: "acknowledged", rungs: 1 }, at(15), { step: "end" }],
    ["resolved", { state: "resolved" }, at(15), { step: "end" }],
    ["over", { state: "rearmed" }, at(15), { step: "end" }],
    [
      "snoozed",
      { state: "snoozed", snoozedUntil: at(30) },
      at(20),
      { step: "wait", milliseconds: 10 * minute },
    ],
    ["snoozed until now", { state: "snoozed", snoozedUntil: at(30) }, at(30), { step: "wake" }],
  ] as const)("%s", (_what, changes, now, step) => {
    expect(nextStep({ ...opened, ...changes }, now, 1)).toEqual(step);
  });

  test("the ladder's durations are scaled, the end of a snooze is not", () => {
    expect(nextStep({ ...opened, rungs: 1 }, opened.countedFrom, 900)).toEqual({
      step: "wait",
      milliseconds: 1_000,
    });
    const snoozed = { ...opened, state: "snoozed", snoozedUntil: at(1) } as const;
    expect(nextStep(snoozed, at(0), 900)).toEqual({ step: "wait", milliseconds: minute });
  });

  test("always comes to an end, whatever the pace, and tells people at most once a rung", () => {
    fc.assert(
      fc.property(
        fc.constantFrom(...alertSeverities),
        fc.array(fc.integer({ min: 0, max: 3_000 }), { maxLength: 20 }),
        fc.integer({ min: 1, max: 10_000 }),
        (severity, delays, timeScale) => {
          let [now, rungs, told] = [opened.countedFrom, 0, 0];
          for (let step = 0; step < 50; step += 1) {
            const next = nextStep({ ...opened, severity, rungs }, now, timeScale);
            if (next.step === "end") {
              expect(told).toBeGreaterThan(0);
              return;
            }
            if (next.step === "tell") {
              expect(next.rung).toBeGreaterThanOrEqual(rungs);
              rungs = next.rung + 1;
              told += 1;
            } else if (next.step === "wait") now += next.milliseconds + (delays[step] ?? 0) * minute;
          }
          throw new Error("It never ends");
        },
      ),
    );
  });

  test("an answered alert is never told of again", () => {
    for (const state of alertStates.filter((each) => each !== "open" && each !== "snoozed")) {
      for (const minutes of [0, 15, 60, 10_000])
        expect(nextStep({ ...opened, state }, at(minutes), 1)).toEqual({ step: "end" });
    }
  });
});
