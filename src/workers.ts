import { fileURLToPath } from "node:url";
import type { Context } from "@temporalio/activity";
import {
  type ActivityInboundCallsInterceptor,
  bundleWorkflowCode,
  type NativeConnection,
  Worker,
  type WorkflowBundleWithSourceMap,
} from "@temporalio/worker";
import type { Activities } from "./activities/index.ts";
import { taskQueues } from "./workflows/addressing.ts";

/**
 * The Workers of one process. Orders and SKU entities have one each: an order's local activity holds its workflow-task
 * slot while it waits for an entity, and on a shared Worker those who wait would starve those they wait for. Talks with
 * TikTok Shop are plain activities on a third, messages to people on a fourth, changes by the thousand on a fifth.
 */
export interface WorkersOptions {
  readonly connection: NativeConnection;
  readonly namespace: string;
  readonly activities: Activities;
  readonly bundle: WorkflowBundleWithSourceMap;
  /** Keeps the queues of one test apart from another's; empty in production. */
  readonly queuePrefix?: string;
  /** Workflows kept in memory by the orders' Worker; 0 replays each from its start, to find what is not deterministic. */
  readonly cachedWorkflowsMaximum?: number;
  /** Seconds that what is under way has to end when the Workers are stopped; then they stop anyway. */
  readonly drainSeconds?: number;
}

/** Several in the time after which an activity counts as lost (`heartbeatTimeout` of the workflows' proxies). */
const signOfLifeMilliseconds = 2_000;

/** Of the time to drain, what the Workers have that ask entities; the rest is the entities' own. */
const askersShare = 0.6;

/** `npm start` ends a worker that has not drained after 5 s. */
const drainSecondsDefault = 4;

export interface RunningWorkers {
  /** Lets what is under way end, within bounds, then stops. */
  stop(): Promise<void>;
  /** Settles when the Workers have ended; rejects when one has failed. */
  readonly ended: Promise<void>;
}

/** Compiles the workflows into the one file that the Workers run in their sandbox. Takes a second or two. */
export async function bundleWorkflows(): Promise<WorkflowBundleWithSourceMap> {
  const extension = import.meta.url.endsWith(".ts") ? "ts" : "js";
  return await bundleWorkflowCode({
    workflowsPath: fileURLToPath(new URL(`./workflows/index.${extension}`, import.meta.url)),
    logger: { trace() {}, debug() {}, info() {}, warn: console.warn, error: console.error, log() {} },
  });
}

/**
 * Lets the server know that an activity is alive, so that one whose process died is given to another within seconds and
 * not when its whole time is over. Local activities need none: they end with their workflow task.
 */
function signsOfLife(context: Context): ActivityInboundCallsInterceptor {
  return {
    async execute(input, next) {
      if (context.info.isLocal) return await next(input);
      const timer = setInterval(() => context.heartbeat(), signOfLifeMilliseconds);
      try {
        return await next(input);
      } finally {
        clearInterval(timer);
      }
    },
  };
}

export async function startWorkers(options: WorkersOptions): Promise<RunningWorkers> {
  const { connection, namespace, activities, bundle, queuePrefix } = options;
  const queues = taskQueues(queuePrefix);
  const drainSeconds = options.drainSeconds ?? drainSecondsDefault;
  const shared = {
    connection,
    namespace,
    activities,
    interceptors: { activity: [(context: Context) => ({ inbound: signsOfLife(context) })] },
  };
  const drainWithin = (share: number) => ({
    shutdownGraceTime: drainSeconds * share * 750,
    shutdownForceTime: drainSeconds * share * 1_000,
  });
  const workflows = {
    ...shared,
    workflowBundle: bundle,
    // A killed worker's sticky queue holds its workflows up for this long, which speaks against the default of 10 s. Shorter is worse
    // in a rush: while tasks wait in a sticky queue, the SDK (1.24) asks for those of the common one by a single poll. When everything
    // was busy for two or three seconds, tasks that had waited that long went there, and stayed for half a minute.
    stickyQueueScheduleToStartTimeout: "5s",
    // Half of the ten polls for new orders, and entities that were not asked for a while. More polls make a rush worse: what waits in
    // a queue of the server gathers requests, and goes as one task.
    nonStickyToStickyPollRatio: 0.5,
  } as const;
  const [orders, inventory, tiktok, notifications, bulk] = await Promise.all([
    Worker.create({
      ...workflows,
      ...drainWithin(askersShare),
      taskQueue: queues.orders,
      maxCachedWorkflows: options.cachedWorkflowsMaximum ?? 3_000,
      // Slots that may be held by orders waiting for their entities.
      maxConcurrentWorkflowTaskExecutions: 200,
      maxConcurrentLocalActivityExecutions: 400,
      maxConcurrentActivityTaskExecutions: 200,
    }),
    Worker.create({
      ...workflows,
      ...drainWithin(1 - askersShare),
      taskQueue: queues.inventory,
      maxCachedWorkflows: options.cachedWorkflowsMaximum ?? 1_000,
      maxConcurrentWorkflowTaskExecutions: 40,
      maxConcurrentLocalActivityExecutions: 40,
      maxConcurrentActivityTaskExecutions: 10,
    }),
    Worker.create({
      ...shared,
      ...drainWithin(askersShare),
      taskQueue: queues.tiktok,
      // Pushes that entities repeat hold a slot each while they wait for a shop's budget, and must not keep other shops' calls from theirs.
      maxConcurrentActivityTaskExecutions: 600,
    }),
    Worker.create({
      ...shared,
      ...drainWithin(askersShare),
      taskQueue: queues.notifications,
      maxConcurrentActivityTaskExecutions: 20,
    }),
    Worker.create({
      ...shared,
      ...drainWithin(askersShare),
      taskQueue: queues.bulk,
      // A page asks many entities at once: a few pages keep everything busy that orders leave free.
      maxConcurrentActivityTaskExecutions: 4,
    }),
  ]);
  const runs = {
    orders: orders.run(),
    inventory: inventory.run(),
    tiktok: tiktok.run(),
    notifications: notifications.run(),
    bulk: bulk.run(),
  };
  const ended = Promise.all(Object.values(runs)).then(() => undefined);
  // Whoever waits for the end sees a failure; until then it must not count as unhandled.
  ended.catch(() => undefined);
  const shutDown = (worker: Worker) => {
    if (worker.getState() === "RUNNING") worker.shutdown();
  };
  return {
    ended,
    async stop() {
      // Orders under way wait for their entities: those who are asked stop last.
      shutDown(orders);
      shutDown(tiktok);
      shutDown(notifications);
      shutDown(bulk);
      await Promise.allSettled([runs.orders, runs.tiktok, runs.notifications, runs.bulk]);
      shutDown(inventory);
      // One that has not drained within its bounds is stopped all the same; whoever waits for `ended` sees that.
      await Promise.allSettled(Object.values(runs));
    },
  };
}
