import { randomUUID } from "node:crypto";
import { setTimeout as pause } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { type Client } from "@temporalio/client";
import { bundleWorkflowCode, DefaultLogger, Runtime } from "@temporalio/worker";
import pMap from "p-map";
import { z } from "zod";
import type { Activities } from "../../src/activities/index.ts";
import { connectClient, connectNative } from "../../src/temporal.ts";
import { startWorkers } from "../../src/workers.ts";
import { taskQueues } from "../../src/workflows/addressing.ts";
import { until } from "../../test/support/until.ts";
import { createFloorActivities } from "./activities.ts";
import { type FloorLoad, floorSignal, type floorLife } from "./workflow.ts";

/**
 * Entry point: a process like the product's worker (the same Workers with the same settings, and the sender of its
 * signals), that runs workflows which do nothing and prints how long they took.
 */
const request = z
  .object({
    address: z.string(),
    workflows: z.number().int().positive(),
    signals: z.number().int().positive(),
    localActivities: z.number().int(),
    activities: z.number().int(),
  })
  .parse(JSON.parse(process.argv[2] ?? "{}"));

/** As many workflows are told at the same time as the product's dispatcher tells. */
const toldAtOnceMaximum = 10;
const warmUpWorkflows = 20;

Runtime.install({ logger: new DefaultLogger("ERROR") });
const server = { address: request.address, namespace: "default" };
const queuePrefix = `floor-${randomUUID()}-`;
const queues = taskQueues(queuePrefix);
const floor = createFloorActivities();
const [client, connection, bundle] = await Promise.all([
  connectClient(server),
  connectNative(server),
  bundleWorkflowCode({
    workflowsPath: fileURLToPath(new URL("./workflow.ts", import.meta.url)),
    logger: new DefaultLogger("ERROR"),
  }),
]);
const workers = await startWorkers({
  connection,
  namespace: server.namespace,
  bundle,
  // These Workers run no workflow of the product, so nothing calls the activities that are missing here.
  activities: floor.activities as unknown as Activities,
  queuePrefix,
});

await live(client, warmUpWorkflows);
process.stdout.write("begin\n");
const began = performance.now();
const usedBefore = process.cpuUsage();
await live(client, request.workflows);
const used = process.cpuUsage(usedBefore);
const result = {
  seconds: (performance.now() - began) / 1_000,
  processorSeconds: (used.user + used.system) / 1_000_000,
};
process.stdout.write(`${JSON.stringify(result)}\n`);
await workers.stop();
await connection.close();
await client.connection.close();
process.exit(0);

/** Runs so many workflows at once, and sends to all of them in turn. */
async function live(temporal: Client, workflows: number): Promise<void> {
  const load: FloorLoad = {
    signals: request.signals,
    localActivities: request.localActivities,
    activities: request.activities,
    activityQueue: queues.tiktok,
  };
  const doneBefore = floor.done();
  const series = randomUUID();
  const ids = Array.from({ length: workflows }, (_, index) => `floor/${series}/${index}`);
  for (let round = 0; round < load.signals; round += 1) {
    await pMap(
      ids,
      async (workflowId) => {
        if (round > 0) {
          await temporal.workflow.getHandle(workflowId).signal(floorSignal);
          return;
        }
        await temporal.workflow.signalWithStart<typeof floorLife>("floorLife", {
          workflowId,
          taskQueue: queues.orders,
          args: [load],
          signal: floorSignal,
          signalArgs: [],
        });
      },
      { concurrency: toldAtOnceMaximum },
    );
  }
  const wanted = doneBefore + workflows * (load.localActivities + load.activities);
  await until("every activity has run", () => floor.done() >= wanted, { seconds: 300 });
  // Only now: a count costs the server more than the workflows' last tasks.
  const open = `TaskQueue = '${queues.orders}' and ExecutionStatus = 'Running'`;
  await until(
    "every workflow has ended",
    async () => {
      await pause(100);
      return (await temporal.workflow.count(open)).count === 0;
    },
    { seconds: 60 },
  );
}
