import { setTimeout as pause } from "node:timers/promises";
import { z } from "zod";
import type { Benchmark } from "./benchmark.ts";
import { type CauseKind, causeKinds, measureCauses } from "./causes.ts";
import { repeated } from "./harness.ts";
import { compareTo, type Figure, quantileOf } from "./report.ts";
import { type BenchStack, learnRateBudget } from "./stack.ts";
import { callsOf, onTwoShops, runTraffic, type TwoShops, untilSettled } from "./two-shops.ts";

/**
 * The traffic of `push` through single SKUs refused, answers lost after their effect, calls that take effect behind later ones,
 * and minutes in which both shops answer every call with 429. What was wrong when that ended must be right soon, by the
 * simulator's own books, and the shops must have been spared meanwhile.
 */
export const storm: Benchmark = {
  name: "storm",
  title: "the shops' numbers after minutes in which every call was limited",
  async run({ runs, short }) {
    const course: Course = short
      ? { calmSeconds: 2, stormSeconds: 4, afterSeconds: 2, lateMilliseconds: [400, 800] }
      : { calmSeconds: 30, stormSeconds: 180, afterSeconds: 30, lateMilliseconds: [4_000, 8_000] };
    return await onTwoShops(short, async (stack, shops) => {
      const found = await repeated(runs, async (run) => {
        // The storm of the run before has taught it to be small.
        await learnRateBudget(stack);
        return await measure(stack, shops, course, run + 1);
      });
      return {
        settings: {
          "seconds before, in and after the storm": `${course.calmSeconds}, ${course.stormSeconds}, ${course.afterSeconds}`,
          "calls refused in part; lost after their effect; late": "5 %; 2 %; 5 %",
          "late calls take effect after": `${course.lateMilliseconds.join(" to ")} ms`,
        },
        runs: found,
        compare: (median) => [
          compareTo(
            "overwritten by an older call, right again after the storm, slowest",
            median("overwritten, right again after the storm, slowest"),
            "s",
            "at most",
            5,
          ),
          compareTo(
            "wrong at the storm's end, right again, p95",
            median("right again after the storm, p95"),
            "s",
            "at most",
            5,
          ),
          compareTo(
            "calls of a shop in the storm",
            median("calls of a shop in the storm"),
            "a minute",
            "at most",
            60,
          ),
        ],
      };
    });
  },
};

const update = "inventory/update";

interface Course {
  readonly calmSeconds: number;
  readonly stormSeconds: number;
  readonly afterSeconds: number;
  /** How long a late call lies about before it takes effect. */
  readonly lateMilliseconds: readonly [number, number];
}

async function measure(stack: BenchStack, shops: TwoShops, course: Course, seed: number): Promise<Figure[]> {
  const { calmSeconds, stormSeconds, afterSeconds, lateMilliseconds } = course;
  const since = Date.now();
  await misbehave(shops, {
    seed: String(seed),
    calls: [
      {
        fault: "too_many_requests",
        percent: 100,
        windowMs: [calmSeconds * 1_000, (calmSeconds + stormSeconds) * 1_000],
      },
      { fault: "partial", endpoint: update, percent: 5, itemPercent: 50 },
      { fault: "timeout", endpoint: update, percent: 2, applied: true },
      { fault: "late", endpoint: update, percent: 5, betweenMs: lateMilliseconds },
    ],
  });
  const ended = Date.now() + (calmSeconds + stormSeconds) * 1_000;
  const calls: { at: number; count: number }[] = [];
  const sample = async (at: number): Promise<void> => {
    await pause(Math.max(0, at - Date.now()));
    calls.push({ at: Date.now(), count: await callsOf(shops) });
  };
  await Promise.all([
    runTraffic(stack, shops, calmSeconds + stormSeconds + afterSeconds, seed),
    sample(since),
    // Calls that had come before it began, and are counted when they take effect, are no part of it.
    sample(ended - stormSeconds * 1_000 + lateMilliseconds[1] + 500),
    sample(ended),
    sample(ended + afterSeconds * 1_000),
  ]);
  await misbehave(shops, {});
  const settledAt = await untilSettled(stack, 300);
  const { causes, overwritten } = await measureCauses(stack, shops, since, settledAt);
  const wrong = causes.filter(({ at, delay }) => at <= ended && at + delay > ended);
  const overwrittenThen = overwritten.filter(({ at, until }) => at <= ended && until > ended);
  const listings = new Set(wrong.map(({ shopId, skuId }) => `${shopId} ${skuId}`));
  const secondsAfter = (kinds: readonly CauseKind[]): readonly number[] =>
    wrong.filter(({ kind }) => kinds.includes(kind)).map(({ at, delay }) => (at + delay - ended) / 1_000);
  const late = secondsAfter(causeKinds);
  const perMinute = (from: number, to: number): number => {
    const [before, after] = [calls[from], calls[to]];
    if (before === undefined || after === undefined) throw new Error("The calls were not counted");
    return ((after.count - before.count) * 60_000) / (after.at - before.at) / shops.shops.length;
  };
  return [
    { name: "calls of a shop before the storm", unit: "a minute", value: perMinute(0, 1) },
    { name: "calls of a shop in the storm", unit: "a minute", value: perMinute(1, 2) },
    { name: "calls of a shop after the storm", unit: "a minute", value: perMinute(2, 3) },
    { name: "listings wrong at the storm's end", unit: "", value: listings.size },
    ...[0.5, 0.95, 1].map((share) => ({
      name: `right again after the storm, ${share === 1 ? "slowest" : `p${share * 100}`}`,
      unit: "s",
      value: late.length === 0 ? 0 : quantileOf(late, share),
    })),
    { name: "overwritten by an older call at the storm's end", unit: "", value: overwrittenThen.length },
    {
      name: "overwritten, right again after the storm, slowest",
      unit: "s",
      value: Math.max(0, ...overwrittenThen.map(({ until }) => (until - ended) / 1_000)),
    },
    ...causeKinds.map((kind) => ({
      name: `right again after the storm, slowest of kind "${kind}"`,
      unit: "s",
      value: Math.max(0, ...secondsAfter([kind])),
    })),
  ];
}

async function misbehave({ shops }: TwoShops, plan: object): Promise<void> {
  await Promise.all(
    shops.map(({ simulator }) => simulator.control("PUT", "/_sim/faults", z.unknown(), plan)),
  );
}
