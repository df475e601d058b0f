import type { Benchmark } from "./benchmark.ts";
import { type CauseKind, causeKinds, measureCauses } from "./causes.ts";
import { repeated } from "./harness.ts";
import { compareTo, type Figure, quantileOf } from "./report.ts";
import type { BenchStack } from "./stack.ts";
import { callsOf, onTwoShops, runTraffic, type TwoShops, untilSettled } from "./two-shops.ts";

/**
 * How soon the right number stands in the shops: 200 SKUs sold in two of them are adjusted, received and sold while orders
 * live their whole lives. Judged by the simulator's own books.
 */
export const push: Benchmark = {
  name: "push",
  title: "from a change of stock to the right number in the shops' own books",
  async run({ runs, short }) {
    const seconds = short ? 5 : 120;
    return await onTwoShops(short, async (stack, shops) => {
      const found = await repeated(runs, async (run) => await measure(stack, shops, seconds, run + 1));
      return {
        settings: { seconds },
        runs: found,
        compare: (median) => [
          compareTo("every cause made good, p95", median("every cause: p95"), "s", "at most", 1),
          compareTo("every cause made good, p99", median("every cause: p99"), "s", "at most", 3),
        ],
      };
    });
  },
};

async function measure(
  stack: BenchStack,
  shops: TwoShops,
  trafficSeconds: number,
  seed: number,
): Promise<Figure[]> {
  const since = Date.now();
  const callsBefore = await callsOf(shops);
  await runTraffic(stack, shops, trafficSeconds, seed);
  const minutes = (Date.now() - since) / 60_000;
  const calls = (await callsOf(shops)) - callsBefore;
  const settledAt = await untilSettled(stack, 120);
  const { causes } = await measureCauses(stack, shops, since, settledAt);
  // What is kept back for the other shop follows from sales, after seconds: it is told apart.
  const kinds: readonly (CauseKind | "every cause")[] = ["every cause", ...causeKinds];
  return [
    ...kinds.flatMap((kind) => {
      const chosen = causes.filter((cause) =>
        kind === "every cause" ? cause.kind !== "buffer" : cause.kind === kind,
      );
      const seconds = secondsByCause(chosen);
      const shares = seconds.length === 0 ? [] : [0.5, 0.95, 0.99, 1];
      return [
        { name: `${kind}: causes`, unit: "", value: seconds.length },
        ...shares.map((share) => ({
          name: share === 1 ? `${kind}: slowest` : `${kind}: p${share * 100}`,
          unit: "s",
          value: quantileOf(seconds, share),
        })),
      ];
    }),
    { name: "calls, both shops", unit: "a minute", value: calls / minutes },
  ];
}

/** Until every listing concerned is right. What was right already needed no push, and is left out. */
function secondsByCause(causes: Awaited<ReturnType<typeof measureCauses>>["causes"]): readonly number[] {
  const slowest = new Map<string, number>();
  for (const { id, delay } of causes) slowest.set(id, Math.max(slowest.get(id) ?? 0, delay));
  return [...slowest.values()].filter((delay) => delay > 0).map((delay) => delay / 1_000);
}
