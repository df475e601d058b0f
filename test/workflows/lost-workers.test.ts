import { fork } from "node:child_process";
import { once } from "node:events";
import { hostname } from "node:os";
import { fileURLToPath } from "node:url";
import { Worker } from "@temporalio/worker";
import { expect, onTestFinished, test } from "vitest";
import { floorSignal, type floorLife } from "../../bench/floor/workflow.ts";
import { closeLostStickyQueues, isLost } from "../../src/sticky-queues.ts";
import { taskQueues } from "../../src/workflows/addressing.ts";
import { testTemporal } from "../support/temporal.ts";
import { until } from "../support/until.ts";
import { silent } from "../support/workers.ts";

const digits = "0123456789abcdef0123456789abcdef";

test.each([
  ["a process of this machine that is gone", `4711@${hostname()}-${digits}`, true],
  ["one of this machine that runs", `${process.ppid}@${hostname()}-${digits}`, false],
  ["one with our own number, which has no queue yet", `${process.pid}@${hostname()}-${digits}`, true],
  ["a process of another machine, of which nothing is known", `4711@another-${digits}`, false],
  ["somebody whose name says nothing", `the night shift-${digits}`, false],
])("a sticky queue of %s is lost or not", (_whose, name, expected) => {
  expect(isLost(name, (processId) => processId === process.ppid)).toBe(expected);
});

test("the workflows of a killed worker go on with the next, without waiting for the first", async () => {
  const temporal = await testTemporal();
  onTestFinished(() => temporal.close());
  const queuePrefix = temporal.taskQueuePrefix;
  const taskQueue = taskQueues(queuePrefix).orders;
  const { address, namespace, client } = temporal;
  const file = fileURLToPath(new URL("./lost-worker-process.ts", import.meta.url));
  const killed = fork(file, [JSON.stringify({ address, namespace, taskQueue })], {
    execArgv: ["--import", "tsx"],
  });
  onTestFinished(() => void killed.kill("SIGKILL"));
  const workflow = await client.workflow.start<typeof floorLife>("floorLife", {
    workflowId: `${queuePrefix}life`,
    taskQueue,
    args: [{ signals: 2, localActivities: 0, activities: 0, activityQueue: taskQueue }],
  });
  const tasks = async () => {
    const { events } = await workflow.fetchHistory();
    const isSet = (value: unknown) => value !== null && value !== undefined;
    return {
      done: events?.filter((event) => isSet(event.workflowTaskCompletedEventAttributes)).length,
      waitedInVain: events?.filter((event) => isSet(event.workflowTaskTimedOutEventAttributes)).length,
    };
  };
  await until("the worker has the workflow", async () => (await tasks()).done === 1);
  await workflow.signal(floorSignal);
  await until("it got a task of its own", async () => (await tasks()).done === 2);

  killed.kill("SIGKILL");
  await once(killed, "exit");
  const runs = async () => (await client.workflow.count(`TaskQueue = '${taskQueue}'`)).count;
  await until("the run is listed", async () => (await runs()) === 1);
  await closeLostStickyQueues({ client, queuePrefix, logger: silent });
  await workflow.signal(floorSignal);
  const next = await Worker.create({
    connection: temporal.nativeConnection,
    namespace,
    taskQueue,
    workflowsPath: fileURLToPath(new URL("../../bench/floor/workflow.ts", import.meta.url)),
  });
  await next.runUntil(workflow.result());
  expect(await tasks()).toEqual({ done: 3, waitedInVain: 0 });
});
