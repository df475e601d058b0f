import { beforeAll, expect, test } from "vitest";
import { type CrashPoint, crashPoints } from "../../src/crash-points.ts";
import { until } from "../support/until.ts";
import { createCarefulClient, findWronglyApplied } from "./careful-client.ts";
import { type CrashTraffic, createCrashTraffic } from "./crash-traffic.ts";
import { type ChaosStack, isConnected, startChaosStack } from "./stack.ts";

/**
 * A process is made to die at each crash point in turn, under traffic that leads there, started again, and made to die there
 * again: the second life begins with what the first has left. Then it may live, and the proof must find nothing.
 *
 * One point alone: `CREATORFLOW_TEST_FULL=yes npx vitest run test/chaos/crash-sweep.test.ts -t "<name>"`.
 */
const full = process.env["CREATORFLOW_TEST_FULL"] === "yes";
const deaths = full ? 5 : 1;
const all = Object.keys(crashPoints) as CrashPoint[];
const few: readonly CrashPoint[] = [
  "webhook: stored, not answered",
  "key: effect done, answer not stored",
  // Of all workflows this one waits longest by a timer, and for a person: its replay must wait on.
  "approval: approved, stock not asked",
  "orders: stored, workflows not told",
  "stock: batch committed, not answered",
  "order: decision committed, not answered",
];
const points = full ? all : few;
const reachSeconds = 120;
const settleSeconds = 240;

let stack: ChaosStack;
let traffic: CrashTraffic;
beforeAll(async () => {
  stack = await startChaosStack({ timeScale: 720, stockEach: 60 });
  const client = createCarefulClient(stack, "sweep");
  traffic = await createCrashTraffic(stack, client);
  return async () => {
    client.giveUp();
    await stack.close();
  };
}, 240_000);

test.each(points)(
  "%s: a process that dies there leaves nothing that its next life does not put right",
  async (point) => {
    const began = performance.now();
    for (let death = 1; death <= deaths; death += 1) await dieAt(point);
    await liveAgain(partOf(point));
    if (!full) return;
    await expectEverythingInOrder();
    // The whole sweep takes the better part of an hour: whoever ends it before knows what was clean until then.
    const seconds = Math.round((performance.now() - began) / 1_000);
    process.stdout.write(
      `${points.indexOf(point) + 1} of ${points.length}: ${point}: clean after ${deaths} deaths, ${seconds} s\n`,
    );
  },
  900_000,
);

test.runIf(!full)(
  "after all of these deaths nothing is lost, doubled or oversold",
  () => expectEverythingInOrder(),
  400_000,
);

async function dieAt(point: CrashPoint): Promise<void> {
  const name = partOf(point);
  const part = stack.parts[name];
  if (point.startsWith("shop: ")) await stack.sql("update shops set status = 'connecting'");
  await stack.restart(name, point);
  await until(
    `${name} dies`,
    async () => {
      if (!part.isRunning()) return true;
      await traffic.lead(point);
      return await until("death", () => !part.isRunning(), { seconds: 3 }).catch(() => false);
    },
    { seconds: reachSeconds },
  );
  expect((await part.lastWords()).lines.at(-1)).toBe(`crash point reached: ${point}`);
}

/** What the dead held is let go at once, as if its leases had run out; waiting for that a hundred times proves nothing more. */
async function liveAgain(name: "worker" | "api"): Promise<void> {
  for (const table of ["webhook_deliveries", "outbox"]) {
    // What somebody writes at this moment is held by the living.
    await stack.sql(
      `update ${table} set leased_until = now()
       where id in (select id from ${table} where leased_until > now() for update skip locked)`,
    );
  }
  await stack.restart(name, null);
}

async function expectEverythingInOrder(): Promise<void> {
  await until("the shop is connected", () => isConnected(stack), { seconds: 120 });
  await traffic.client.untilAnswered(120);
  const { adjustments, cancellations, others } = traffic.client;
  expect([...adjustments, ...cancellations, ...others].filter(({ outcome }) => outcome === null)).toEqual([]);
  expect(await findWronglyApplied(stack, adjustments)).toEqual([]);
  const proof = await stack.prove(settleSeconds);
  expect(proof.checks.filter((check) => check.violations.length + check.underWay.length > 0)).toEqual([]);
  expect(proof).toMatchObject({ clean: true, comparedWithChannel: true });
}

function partOf(point: CrashPoint): "worker" | "api" {
  return /^(webhook|key|import): |audited/.test(point) ? "api" : "worker";
}
