import { hostname } from "node:os";
import type { Client } from "@temporalio/client";
import type { Logger } from "pino";
import { type TaskQueues, taskQueues } from "./workflows/addressing.ts";

/**
 * Runs whose histories are asked where their tasks went: of each task queue those begun last and those ended last, which the
 * last worker has had in hand. What has only waited since it began knows of no worker's queue.
 */
const runsAsked = { Running: 10, Completed: 10 } as const;
/** The latest events of a run; a workflow task with all it causes has fewer. */
const eventsMaximum = 20;
/** A worker's start waits for this no longer than the tasks would. */
const withinMilliseconds = 5_000;

/**
 * Tells the server that nobody polls the sticky queues of workers that are gone from this machine, so that the tasks of their
 * workflows go to any worker at once. Without that each run's next task waits until its time in such a queue is over
 * (`stickyQueueScheduleToStartTimeout`). To be called before the process has Workers of its own.
 *
 * A queue that is polled after all loses nothing by it: the next poll opens it again.
 *
 * @see https://github.com/temporalio/api, `ShutdownWorkerRequest`: what a worker says of itself when it stops as it should.
 */
export async function closeLostStickyQueues({
  client,
  queuePrefix,
  logger,
}: {
  readonly client: Client;
  readonly queuePrefix: string;
  readonly logger: Logger;
}): Promise<void> {
  try {
    const lost = await client.withDeadline(Date.now() + withinMilliseconds, () =>
      closeAll(client, taskQueues(queuePrefix)),
    );
    if (lost.length > 0)
      logger.info({ stickyQueues: lost }, "Sticky queues of workers that are gone are closed");
  } catch (error) {
    // It only saves time.
    logger.warn({ err: error }, "Sticky queues of workers that are gone could not be closed");
  }
}

async function closeAll(
  client: Client,
  { orders, inventory }: Pick<TaskQueues, "orders" | "inventory">,
): Promise<readonly string[]> {
  const found = await Promise.all(
    [orders, inventory].flatMap((queue) => [
      findStickyQueues(client, queue, "Running"),
      findStickyQueues(client, queue, "Completed"),
    ]),
  );
  const lost = [...new Set(found.flat())].filter((name) => isLost(name, isRunning));
  const { namespace } = client.options;
  for (const stickyTaskQueue of lost) {
    await client.workflowService.shutdownWorker({
      namespace,
      stickyTaskQueue,
      reason: "Its process is gone",
    });
  }
  return lost;
}

async function findStickyQueues(
  client: Client,
  taskQueue: string,
  status: keyof typeof runsAsked,
): Promise<readonly string[]> {
  const { namespace } = client.options;
  const { executions } = await client.workflowService.listWorkflowExecutions({
    namespace,
    pageSize: runsAsked[status],
    query: `ExecutionStatus = '${status}' and TaskQueue = '${taskQueue}'`,
  });
  const histories = await Promise.all(
    executions.map(({ execution }) =>
      client.workflowService.getWorkflowExecutionHistoryReverse({
        namespace,
        ...(execution ? { execution } : {}),
        maximumPageSize: eventsMaximum,
      }),
    ),
  );
  return histories.flatMap(({ history }) => {
    const tasks = (history?.events ?? []).flatMap(
      (event) => event.workflowTaskScheduledEventAttributes?.taskQueue ?? [],
    );
    // The latest comes first. Only beside a sticky queue's name stands that of the queue of all workers.
    const [latest] = tasks;
    return latest?.normalName ? (latest.name ?? []) : [];
  });
}

/**
 * Whether a sticky queue belongs to a process of this machine that is gone. Its name is the worker's identity, which is
 * `<process id>@<host>`, and 32 hexadecimal digits.
 */
export function isLost(stickyQueue: string, runs: (processId: number) => boolean): boolean {
  const [, processId, host] = /^(\d+)@(.+)-[0-9a-f]{32}$/.exec(stickyQueue) ?? [];
  if (processId === undefined || host !== hostname()) return false;
  // In a container every worker is process 1: this one has no queue yet, so the name is that of the one before.
  return Number(processId) === process.pid || !runs(Number(processId));
}

function isRunning(processId: number): boolean {
  try {
    return process.kill(processId, 0);
  } catch (error) {
    // Somebody else's process must not be asked, but is there.
    return error instanceof Error && "code" in error && error.code === "EPERM";
  }
}
