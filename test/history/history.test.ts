import { randomInt } from "node:crypto";
import { expect, onTestFailed, onTestFinished, test } from "vitest";
import { startChaosStack } from "../chaos/stack.ts";
import { blow } from "../chaos/storm.ts";
import { startTraffic } from "../chaos/traffic.ts";
import { type Random, randomFrom } from "../support/random.ts";
import { checkHistory } from "./checker.ts";
import { corruptions } from "./corruptions.ts";
import { readHistory, startClients } from "./recording.ts";

/**
 * Clients in processes of their own use the API while the worker and the database are killed. Whatever they were told, of all
 * SKUs and at all times, must be what one order of events explains.
 */
const full = process.env["CREATORFLOW_TEST_FULL"] === "yes";
const given = process.env["CREATORFLOW_HISTORY_SEED"];
const seed = given === undefined ? randomInt(1, 2 ** 31) : Number(given);
const skus = 8;
const form = full
  ? {
      clients: 16,
      apiProcesses: 4,
      operations: 20_000,
      orders: 200,
      rounds: 3,
      quietMilliseconds: [8_000, 16_000],
    }
  : {
      clients: 4,
      apiProcesses: 2,
      operations: 400,
      orders: 20,
      rounds: 1,
      quietMilliseconds: [1_000, 2_000],
    };
const settleSeconds = 240;

test(
  `what clients were told while the worker and the database were killed is linearizable (seed ${seed})`,
  async () => {
    const random = randomFrom(seed);
    const storm = Array.from({ length: form.rounds }, () => drawRound(random)).flat();
    const stack = await startChaosStack({ timeScale: 720, stockEach: 40, apiProcesses: form.apiProcesses });
    onTestFinished(() => stack.close());
    const orders = await startTraffic(stack, {
      random: randomFrom(seed + 1),
      name: `history-${seed}`,
      ordersPerSecond: 1,
      adjustmentsPerSecond: 0,
      burst: { orders: 10, everySeconds: 60 },
      ordersMaximum: form.orders,
    });
    const skuIds = orders.skuIds.slice(0, skus);
    const began = performance.now();
    const clients = await startClients(stack, {
      clients: form.clients,
      operationsEach: form.operations / form.clients,
      skuIds,
      random,
    });
    onTestFinished(() => clients.kill());
    const report = await blow(stack, storm);
    onTestFailed(() => console.log(`CREATORFLOW_HISTORY_SEED=${seed}\n${report.happened.join("\n")}`));
    const recorded = await clients.end();
    const seconds = (performance.now() - began) / 1_000;
    await orders.end();
    const proof = await stack.prove(settleSeconds);

    const indeterminate = recorded.filter(({ operation }) => operation.answer === null).length;
    const again = recorded.reduce((sum, { attempts }) => sum + attempts - 1, 0);
    console.log(
      `seed ${seed}: ${recorded.length} operations of ${form.clients} processes in ${seconds.toFixed(0)} s, ` +
        `${recorded.length - indeterminate} definite, ${indeterminate} indeterminate, ${again} asked again; ` +
        `${report.happened.length} times killed, ${orders.placed()} orders`,
    );
    expect(report.endedByThemselves).toEqual([]);
    expect(recorded.length).toBeGreaterThanOrEqual(form.operations);
    expect(indeterminate).toBeLessThanOrEqual(recorded.length * 0.05);
    expect(proof.checks.filter((check) => check.violations.length + check.underWay.length > 0)).toEqual([]);
    expect(proof).toMatchObject({ clean: true, comparedWithChannel: true });

    const histories = await Promise.all(skuIds.map((skuId) => readHistory(stack, skuId, recorded)));
    expect(histories.map(checkHistory)).toEqual(histories.map(() => ({ linearizable: true })));
    // What was recorded is joined with the ledger so closely that nothing in either could be otherwise.
    for (const { what, corrupt } of corruptions) {
      for (const history of histories) {
        const wrong = corrupt(history, random);
        if (wrong !== null) expect(checkHistory(wrong), what).toMatchObject({ linearizable: false });
      }
    }
  },
  full ? 3_600_000 : 300_000,
);

/** The worker and the database are killed, and in full both at once and an API as well. */
function drawRound(random: Random): Parameters<typeof blow>[1] {
  const [least = 0, most = 0] = form.quietMilliseconds;
  const each = [["worker"], ["postgres"]] as const;
  const more = full ? ([["worker", "postgres"], ["api"]] as const) : [];
  return [...each, ...more].map((parts) => ({
    waitMilliseconds: random.whole(least, most),
    troubles: [{ kind: "kill", parts, downMilliseconds: random.whole(0, 1_500) }],
  }));
}
