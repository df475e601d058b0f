import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Database } from "../../src/db/connection.ts";
import { outboxClasses, workOffOutbox } from "../../src/intake/outbox.ts";
import { keepSchedules } from "../../src/intake/schedules.ts";
import { proveNightly } from "../../src/proof/proof.ts";
import { bundleWorkflows, type RunningWorkers } from "../../src/workers.ts";
import { stockProofScheduleId } from "../../src/workflows/addressing.ts";
import type { stockProof } from "../../src/workflows/stock-proof.ts";
import type { ProofOutcome } from "../../src/workflows/messages.ts";
import { type DemoShop, startDemoShop } from "../support/demo-shop.ts";
import { findReplayFailures, historiesOf, recordWhenAsked } from "../support/histories.ts";
import { openTestDatabase } from "../support/seed.ts";
import { until } from "../support/until.ts";
import { startTestWorkers } from "../support/workers.ts";

/** The nightly proof as its schedule starts it, on a shop with the simulator's books beside it. */
let demo: DemoShop;
let report: Database;
let workers: RunningWorkers;

beforeAll(async () => {
  demo = await startDemoShop();
  report = openTestDatabase(demo.database.url, "cf_report");
  workers = await startTestWorkers(demo.temporal, demo.db, demo.channel, {
    prove: () =>
      proveNightly({
        db: report,
        simulatorUrl: demo.simulator.url,
        recordIn: demo.dispatcherDb,
        settleSeconds: 2,
      }),
  });
});
afterAll(async () => {
  await schedule().delete();
  await workers.stop();
  await report.destroy();
  await demo.close();
});

const schedule = () => demo.temporal.client.schedule.getHandle(stockProofScheduleId(demo.intake.queuePrefix));

/** Has the schedule start one more proof, and waits for what it comes to. */
async function tonight(): Promise<ProofOutcome> {
  const before = (await schedule().describe()).info.numActionsTaken;
  await schedule().trigger();
  const action = await until("the proof has begun", async () => {
    const { info } = await schedule().describe();
    return info.numActionsTaken > before ? (info.recentActions.at(-1)?.action ?? null) : null;
  });
  return await demo.temporal.client.workflow
    .getHandle<typeof stockProof>(action.workflow.workflowId)
    .result();
}

describe("the nightly proof", () => {
  test("is due every night, and its result is kept for metrics and health", async () => {
    await keepSchedules({ ...demo.intake, timeScale: 1 });
    const { spec, action } = await schedule().describe();
    expect(action).toMatchObject({ workflowType: "stockProof" });
    expect(spec.calendars).toMatchObject([{ hour: [{ start: 3 }], minute: [{ start: 30 }] }]);
    const outcome = await tonight();
    expect(outcome.checks.filter(({ violations }) => violations > 0)).toEqual([]);
    expect(outcome).toMatchObject({ clean: true, comparedWithChannel: true, corruptedSkus: 0 });
    expect(await demo.database.asSuperuser("select clean, compared_with_channel from proof_runs")).toEqual([
      { clean: true, compared_with_channel: true },
    ]);
  });

  test("names a number that was changed by hand, and has its SKU stopped", async () => {
    const [changed] = await demo.database.asSuperuser<{ sku_id: string }>(
      "select sku_id from stock_levels order by sku_id limit 1",
    );
    await demo.database.asSuperuser(
      `set session_replication_role = replica;
       update stock_levels set current_stock = current_stock + 1 where sku_id = '${changed!.sku_id}';
       reset session_replication_role`,
    );
    const outcome = await tonight();
    expect(outcome).toMatchObject({ clean: false, corruptedSkus: 1 });
    expect(await workOffOutbox(demo.intake, outboxClasses.alerts)).toBe(1);
    expect(
      await demo.database.asSuperuser("select sku_id from stock_levels where stopped_at is not null"),
    ).toEqual([changed]);
    expect(
      await demo.database.asSuperuser("select kind, sku_id from alerts where kind = 'stock_corrupt'"),
    ).toEqual([{ kind: "stock_corrupt", ...changed }]);
  });
});

test("the histories of all of this replay", async () => {
  const histories = await historiesOf(demo.temporal);
  expect(histories.map(({ path }) => path)).toContain("stockProof proveStock ended");
  expect(await findReplayFailures(await bundleWorkflows(), histories)).toEqual([]);
  await recordWhenAsked(histories.filter(({ path }) => path.startsWith("stockProof")));
});
