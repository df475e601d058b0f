import { setTimeout as pause } from "node:timers/promises";
import { expect, onTestFinished, test } from "vitest";
import { until } from "../support/until.ts";
import { type ChaosStack, skusOf, startChaosStack } from "./stack.ts";

/**
 * What a killed worker costs those who wait for it: 2,000 open orders, a steady part of which moves on, before and after.
 * The curve is printed; what is asserted is that work goes on and ends, not how fast.
 */
const full = process.env["CREATORFLOW_TEST_FULL"] === "yes";
const openOrders = 2_000;
const releasedPerSecond = 10;
const secondsBefore = 20;
const secondsAfter = 40;

test.runIf(full)(
  "after kill -9 of the worker with 2,000 open orders, work goes on where it was",
  async () => {
    const stack = await startChaosStack({ timeScale: 720, stockEach: openOrders });
    onTestFinished(() => stack.close());
    const orderIds = await openThem(stack);
    const curve = startCurve(stack);
    const releasing = release(stack, orderIds.slice(0, (secondsBefore + secondsAfter) * releasedPerSecond));

    await pause(secondsBefore * 1_000);
    const before = curve.sample();
    const killed = curve.seconds();
    await stack.restart("worker", null);
    const ready = curve.seconds();
    await releasing;
    await until("as much was done as before", () => curve.sample() >= 2 * before, { seconds: 300 });
    curve.end();
    console.log(
      `killed at ${killed.toFixed(1)} s, the next one took work at ${ready.toFixed(1)} s; steps of orders in each second:\n` +
        curve
          .perSecond()
          .map((steps, second) => `${second}:${steps}`)
          .join(" "),
    );
    expect(curve.sample()).toBeGreaterThanOrEqual(2 * before);
    const proof = await stack.prove(240);
    expect(proof.checks.filter((check) => check.violations.length > 0)).toEqual([]);
  },
  900_000,
);

/** Orders of one burst that wait for the end of the remorse hour until somebody ends it. */
async function openThem(stack: ChaosStack): Promise<readonly string[]> {
  const skuIds = (await skusOf(stack)).map(({ id }) => id);
  const { burstId } = await stack.control<{ burstId: string }>("POST", "/_sim/burst", {
    orders: openOrders,
    skuIds,
    linesPerOrder: 1,
    durations: { unpaidMs: 0, onHoldMs: null, shipmentMs: null, collectionMs: 500, transitMs: 500 },
  });
  await until(
    "all of them are known and reserved",
    async () => {
      const [row] = await stack.sql<{ count: number }>(
        "select count(*)::integer from order_lines where stage = 'held'",
      );
      return row?.count === openOrders;
    },
    { seconds: 400 },
  );
  const burst = await stack.control<{ orderIds: string[] }>("GET", `/_sim/bursts/${burstId}`);
  return burst.orderIds;
}

async function release(stack: ChaosStack, orderIds: readonly string[]): Promise<void> {
  const began = performance.now();
  for (const [number, orderId] of orderIds.entries()) {
    const dueIn = began + (number * 1_000) / releasedPerSecond - performance.now();
    if (dueIn > 0) await pause(dueIn);
    await stack.control("POST", `/_sim/orders/${orderId}/release`);
  }
}

/** Counts what happened to orders, second by second. */
function startCurve(stack: ChaosStack) {
  const began = performance.now();
  const counts: number[] = [];
  let first: number | null = null;
  const timer = setInterval(() => {
    const second = Math.floor((performance.now() - began) / 1_000);
    void stack
      .sql<{ count: number }>("select count(*)::integer from order_events")
      .then(([row]) => {
        first ??= row?.count ?? 0;
        counts[second] = (row?.count ?? 0) - first;
      })
      // A second without an answer stays empty.
      .catch(() => undefined);
  }, 1_000);
  const filled = (): readonly number[] => {
    let last = 0;
    return Array.from({ length: counts.length }, (_, second) => (last = counts[second] ?? last));
  };
  return {
    seconds: () => (performance.now() - began) / 1_000,
    sample: () => filled().at(-1) ?? 0,
    perSecond: () => filled().map((count, second, all) => count - (all[second - 1] ?? 0)),
    end: () => clearInterval(timer),
  };
}
