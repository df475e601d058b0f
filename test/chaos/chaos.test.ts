import { randomInt } from "node:crypto";
import { expect, onTestFailed, onTestFinished, test } from "vitest";
import { until } from "../support/until.ts";
import { findWronglyApplied } from "./careful-client.ts";
import { randomFrom } from "../support/random.ts";
import { startChaosStack } from "./stack.ts";
import { blow, drawStorm } from "./storm.ts";
import { startTraffic } from "./traffic.ts";

/**
 * Real processes under orders and adjustments, while they are killed, frozen and cut off from each other by a seeded
 * schedule. Afterwards everything must be in order by itself, and the proof must find nothing.
 */
const full = process.env["CREATORFLOW_TEST_FULL"] === "yes";
const givenSeed = process.env["CREATORFLOW_CHAOS_SEED"];
const seeds =
  givenSeed !== undefined
    ? [Number(givenSeed)]
    : Array.from({ length: full ? 20 : 1 }, () => randomInt(1, 2 ** 31));
const form = full
  ? { orders: 500, troubles: 9, ordersPerSecond: 7, burst: { orders: 60, everySeconds: 15 } }
  : { orders: 60, troubles: 0, ordersPerSecond: 4, burst: { orders: 15, everySeconds: 6 } };
const settleSeconds = 240;

test.each(seeds)(
  "whatever is killed, frozen or cut off, nothing is lost, doubled or oversold (seed %i)",
  async (seed) => {
    // A stack of its own, so that a seed alone says what happens.
    const stack = await startChaosStack({ timeScale: 720, stockEach: full ? 400 : 60 });
    onTestFinished(() => stack.close());
    const command = `${full ? "CREATORFLOW_TEST_FULL=yes " : ""}CREATORFLOW_CHAOS_SEED=${seed} npx vitest run test/chaos/chaos.test.ts`;
    const random = randomFrom(seed);
    const storm = drawStorm(random, form.troubles, stack.links.length);
    const traffic = await startTraffic(stack, {
      random: randomFrom(seed + 1),
      name: `chaos-${seed}`,
      ordersPerSecond: form.ordersPerSecond,
      adjustmentsPerSecond: 1,
      burst: form.burst,
      ordersMaximum: form.orders,
    });
    await stack.control("PUT", "/_sim/faults", misbehaviourOf(seed));
    const began = performance.now();
    const report = await blow(stack, storm);
    onTestFailed(() => {
      console.log(`Again by: ${command}\n${report.happened.join("\n")}`);
      if (report.endedByThemselves.length > 0)
        console.log(`Ended by themselves:\n${report.endedByThemselves.join("\n")}`);
    });
    await untilPlaced(traffic.placed, form.orders);
    await traffic.end();
    await stack.control("PUT", "/_sim/faults", {});
    const blown = performance.now();
    await traffic.client.untilAnswered(90);
    traffic.client.giveUp();
    const proof = await stack.prove(settleSeconds);
    const { adjustments } = traffic.client;
    const definite = adjustments.filter(({ outcome }) => outcome !== null).length;
    console.log(
      `seed ${seed}: ${storm.length} troubles in ${((blown - began) / 1_000).toFixed(0)} s, ${traffic.placed()} orders, ` +
        `${definite} of ${adjustments.length} adjustments answered in ${adjustments.reduce((sum, each) => sum + each.attempts, 0)} attempts, ` +
        `settled ${((performance.now() - blown) / 1_000).toFixed(0)} s later`,
    );

    // What a part stands on may vanish; the part waits for it.
    expect(report.endedByThemselves).toEqual([]);
    expect(traffic.placed()).toBeGreaterThanOrEqual(form.orders);
    expect(definite).toBeGreaterThanOrEqual(Math.ceil(adjustments.length * 0.9));
    expect(await findWronglyApplied(stack, adjustments)).toEqual([]);
    expect(proof.checks.filter((check) => check.violations.length + check.underWay.length > 0)).toEqual([]);
    expect(proof).toMatchObject({ clean: true, comparedWithChannel: true });
  },
  600_000,
);

/** What the channel itself does wrong meanwhile. */
function misbehaviourOf(seed: number): object {
  return {
    seed: String(seed),
    webhooks: {
      duplicate: { percent: 20, copiesMax: 3, concurrent: true },
      delay: { percent: 15, betweenMs: [0, 3_000] },
      reorder: { percent: 15, behind: 5 },
      lose: { percent: 10 },
      forge: { percent: 2 },
    },
    calls: [
      { fault: "too_many_requests", next: 2, retryAfterSeconds: 1 },
      { fault: "server_error", percent: 3 },
      { fault: "server_error", percent: 1, applied: true },
      { fault: "reset", percent: 1, applied: true },
      { fault: "truncated", percent: 0.5 },
      { fault: "slow", percent: 3, betweenMs: [100, 1_500] },
    ],
    unreadable: { percent: 10, forMs: 1_000 },
  };
}

/** A storm that is over early leaves traffic to come; the count decides, not the clock. */
async function untilPlaced(placed: () => number, orders: number): Promise<void> {
  await until(`${orders} orders are placed`, () => placed() >= orders, { seconds: 120 });
}
