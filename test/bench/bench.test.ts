import fs from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { bundleWorkflowCode, DefaultLogger } from "@temporalio/worker";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { Activities } from "../../src/activities/index.ts";
import { type RunningWorkers, startWorkers } from "../../src/workers.ts";
import { taskQueues } from "../../src/workflows/addressing.ts";
import type { Benchmark } from "../../bench/benchmark.ts";
import { createFloorActivities } from "../../bench/floor/activities.ts";
import { floorSignal, type floorLife } from "../../bench/floor/workflow.ts";
import { runBenchmark } from "../../bench/harness.ts";
import { actionsOf, costOfRun } from "../../bench/history-cost.ts";
import {
  compareTo,
  medianOf,
  quantileOf,
  renderReport,
  reportSchema,
  saveReport,
} from "../../bench/report.ts";
import { type TestTemporal, testTemporal } from "../support/temporal.ts";
// Keeps the Workers' talk out of the output.
import "../support/workers.ts";

let temporal: TestTemporal;
let workers: RunningWorkers;

beforeAll(async () => {
  temporal = await testTemporal();
  const bundle = await bundleWorkflowCode({
    workflowsPath: fileURLToPath(new URL("../../bench/floor/workflow.ts", import.meta.url)),
    logger: new DefaultLogger("ERROR"),
  });
  workers = await startWorkers({
    connection: temporal.nativeConnection,
    namespace: temporal.namespace,
    bundle,
    activities: createFloorActivities().activities as unknown as Activities,
    queuePrefix: temporal.taskQueuePrefix,
    drainSeconds: 30,
  });
});
afterAll(async () => {
  await workers.stop();
  await temporal.close();
});

/** Counts what a workflow with a known load costs, once a run. */
const known: Benchmark = {
  name: "known",
  title: "a workflow whose cost is known",
  async run({ runs }) {
    const found = [];
    for (let run = 0; run < runs; run += 1) {
      const cost = await costOfKnownLife(run);
      found.push([
        { name: "signals", unit: "a life", value: cost.actions.signals },
        { name: "starts", unit: "a life", value: cost.actions.starts },
        { name: "activities", unit: "a life", value: cost.actions.activities },
        { name: "timers", unit: "a life", value: cost.actions.timers },
        { name: "local activities", unit: "a life", value: cost.localActivities },
        { name: "actions", unit: "a life", value: actionsOf(cost) },
      ]);
    }
    return {
      settings: { "in flight": 1, "rate budget": "none" },
      runs: found,
      compare: (median) => [
        compareTo("signals", median("signals"), "", "at most", 2),
        compareTo("local activities", median("local activities"), "", "at least", 100),
      ],
    };
  },
};

async function costOfKnownLife(run: number) {
  const queues = taskQueues(temporal.taskQueuePrefix);
  const workflowId = `${temporal.taskQueuePrefix}floor/${run}`;
  const handle = await temporal.client.workflow.signalWithStart<typeof floorLife>("floorLife", {
    workflowId,
    taskQueue: queues.orders,
    args: [{ signals: 2, localActivities: 5, activities: 1, activityQueue: queues.tiktok }],
    signal: floorSignal,
    signalArgs: [],
  });
  await handle.signal(floorSignal);
  await handle.result();
  return await costOfRun(temporal.client, workflowId, handle.signaledRunId, 0);
}

test("a report holds every figure of every run, its median, the machine, and how it stands to its targets", async () => {
  const report = await runBenchmark(known, { runs: 3, short: true });
  expect(report).toMatchObject({
    benchmark: "known",
    runs: 3,
    short: true,
    settings: { "in flight": 1, "rate budget": "none" },
    machine: { cores: os.availableParallelism(), node: process.version },
    comparisons: [
      { name: "signals", value: 2, target: { bound: "at most", value: 2 }, met: true },
      { name: "local activities", value: 5, target: { bound: "at least", value: 100 }, met: false },
    ],
  });
  const figures = Object.fromEntries(report.rows.map((row) => [row.name, row.values]));
  expect(figures).toMatchObject({
    signals: [2, 2, 2],
    starts: [1, 1, 1],
    activities: [1, 1, 1],
    timers: [0, 0, 0],
    "local activities": [5, 5, 5],
  });
  expect(report.rows.map((row) => row.median)).toEqual(report.rows.map((row) => medianOf(row.values)));
  const text = renderReport(report);
  expect(text).toMatch(/local activities +a life +5 +5 {2}5 {2}5/);
  expect(text).toMatch(/at least 100 +missed/);
});

test("a saved report is read back as it was", async () => {
  const folder = await fs.mkdtemp(path.join(os.tmpdir(), "creatorflow-report-"));
  try {
    const report = await runBenchmark(known, { runs: 1, short: true });
    await saveReport(path.join(folder, "results"), report);
    const file = await fs.readFile(path.join(folder, "results", "known.json"), "utf8");
    expect(reportSchema.parse(JSON.parse(file))).toEqual(report);
  } finally {
    await fs.rm(folder, { recursive: true, force: true });
  }
});

test("a benchmark that compares what it has not measured fails instead of reporting nothing", async () => {
  const unmeasured: Benchmark = {
    ...known,
    run: () =>
      Promise.resolve({
        settings: {},
        runs: [[{ name: "measured", unit: "", value: 1 }]],
        compare: (median) => [compareTo("it", median("not measured"), "", "at least", 1)],
      }),
  };
  await expect(runBenchmark(unmeasured, { runs: 1, short: true })).rejects.toThrow(/not measured/);
});

test("the median of an even number of values lies between the two in the middle, and p99 is one of the values", () => {
  expect(medianOf([4, 1, 3, 2])).toBe(2.5);
  expect(medianOf([9, 1, 5])).toBe(5);
  const values = Array.from({ length: 200 }, (_, index) => index + 1);
  expect([quantileOf(values, 0.5), quantileOf(values, 0.99), quantileOf(values, 1)]).toEqual([100, 198, 200]);
});
