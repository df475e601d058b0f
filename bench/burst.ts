import { execFile } from "node:child_process";
import path from "node:path";
import { promisify } from "node:util";
import { z } from "zod";
import { inheritedEnvironment } from "../src/embedded/environment.ts";
import { until } from "../test/support/until.ts";
import type { Benchmark } from "./benchmark.ts";
import { repeated } from "./harness.ts";
import { processorFigures, secondsBetween } from "./processor-time.ts";
import { compareTo, type Figure, quantileOf } from "./report.ts";
import type { SimulatedOrder } from "./simulator.ts";
import { type BenchStack, describeRateBudget, onStack } from "./stack.ts";

/**
 * A video goes viral: 1,000 orders in one instant for three SKUs, on everything as `npm start` runs it, the demo's steady
 * stream beside it and the rate budget as careful as it starts. Once right after the first start, once more when the budget
 * has been learnt and the caches are warm. The baseline is the promise itself.
 */
export const burst: Benchmark = {
  name: "burst",
  title: "1,000 orders in one instant on the embedded stack",
  async run({ runs, short }) {
    const size = short ? { orders: 100, stock: 50 } : { orders: 1_000, stock: 500 };
    const budgets: string[] = [];
    const found = await repeated(runs, () =>
      onStack({ timeScale: demoTimeScale, demoOrders: true }, async (stack) => {
        budgets.push(await describeRateBudget(stack));
        const fresh = await measure(stack, "fresh", size);
        budgets.push(await describeRateBudget(stack));
        const warm = await measure(stack, "warm", size);
        budgets.push(await describeRateBudget(stack));
        return [...fresh, ...warm];
      }),
    );
    return {
      settings: {
        "orders at once, all in flight": size.orders,
        "units of stock": size.stock,
        SKUs: skus,
        "time scale": demoTimeScale,
        "rate budget before, between and after the bursts": budgets.slice(0, 3).join("; "),
      },
      runs: found,
      compare: (median) =>
        ["fresh", "warm"].flatMap((start) => [
          compareTo(
            `${start}: every order reserved or short`,
            median(`${start}: every order reserved or short after`),
            "s",
            "at most",
            30,
          ),
          compareTo(
            `${start}: shipping call accepted, p95`,
            median(`${start}: shipping call accepted after, p95`),
            "s",
            "at most",
            120,
          ),
        ]),
    };
  },
};

/** An hour of the demo passes in five seconds, as `npm start` has it. */
const demoTimeScale = 720;
const skus = 3;
const shippedSecondsMax = 600;
const burstSchema = z.object({ reserved: z.number(), short: z.number(), seconds: z.number() });

async function measure(
  stack: BenchStack,
  start: "fresh" | "warm",
  { orders, stock }: { readonly orders: number; readonly stock: number },
): Promise<Figure[]> {
  const before = await stack.processorSeconds();
  const began = new Date().toISOString();
  const result = await simulateBurst(stack, orders, stock);
  if (result.reserved !== stock || result.short !== orders - stock)
    throw new Error(`${result.reserved} orders reserved and ${result.short} short, of ${stock} units`);
  const shipped = await until(
    "every reserved order is shipped",
    async () => {
      const placed = (await stack.simulator.orders()).filter(
        ({ burstId, placedAt }) => burstId !== null && placedAt >= began,
      );
      const accepted = placed.flatMap(secondsToShipment);
      return accepted.length === stock ? accepted : null;
    },
    { seconds: shippedSecondsMax },
  );
  const used = secondsBetween(before, await stack.processorSeconds());
  const figure = (name: string, unit: string, value: number): Figure => ({
    name: `${start}: ${name}`,
    unit,
    value,
  });
  return [
    figure("every order reserved or short after", "s", result.seconds),
    figure("shipping call accepted after, p50", "s", quantileOf(shipped, 0.5)),
    figure("shipping call accepted after, p95", "s", quantileOf(shipped, 0.95)),
    figure("shipping call accepted after, last", "s", quantileOf(shipped, 1)),
    // Until the last order is shipped, the demo's other orders included.
    ...processorFigures(`${start}: processor: `, used, "ms an order", orders),
  ];
}

/** What a person would type. It counts the stock first, so its clock starts later than ours. */
async function simulateBurst(
  stack: BenchStack,
  orders: number,
  stock: number,
): Promise<z.output<typeof burstSchema>> {
  const words = ["simulate", "burst", "--orders", orders, "--skus", skus, "--stock", stock].map(String);
  const { stdout } = await promisify(execFile)(
    process.execPath,
    ["--import", "tsx", "src/cli/main.ts", "--json", ...words],
    { cwd: path.resolve(import.meta.dirname, ".."), env: inheritedEnvironment(stack.environment) },
  );
  return burstSchema.parse(JSON.parse(stdout));
}

/** Seconds from the buyer's order to the accepted shipping call; nothing while there was none. */
function secondsToShipment({ placedAt, statusChanges }: SimulatedOrder): number[] {
  const accepted = statusChanges.find(({ status }) => status === "AWAITING_COLLECTION");
  return accepted === undefined ? [] : [(Date.parse(accepted.at) - Date.parse(placedAt)) / 1_000];
}
