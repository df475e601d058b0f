import { DefaultLogger, Runtime } from "@temporalio/worker";
import pino from "pino";
import { type ActivityDependencies, type Alerting, createActivities } from "../../src/activities/index.ts";
import type { Database } from "../../src/db/connection.ts";
import type { SalesChannel } from "../../src/integrations/ports/sales-channel.ts";
import { bundleWorkflows, type RunningWorkers, startWorkers } from "../../src/workers.ts";
import { type TestTemporal, workflowCacheIsOff } from "./temporal.ts";

Runtime.install({
  logger: new DefaultLogger("ERROR"),
  telemetryOptions: { logging: { filter: { core: "ERROR", other: "ERROR" }, forward: {} } },
});

let bundle: ReturnType<typeof bundleWorkflows> | null = null;

export const silent = pino({ level: "silent" });

/** For tests whose shops nobody polls. */
export const pollsNothing = () => Promise.reject(new Error("This test polls nothing"));

/** For tests that are not about proving. */
export const provesNothing = () => Promise.reject(new Error("This test proves nothing"));

/** For tests that are not about messages: they are taken, and nobody reads them. */
export const tellsNobody: Alerting = {
  mailer: { send: () => Promise.resolve() },
  texter: { send: () => Promise.resolve() },
  secretKey: Buffer.alloc(32, 1),
  engineeringEmail: null,
  lowStockAlerts: true,
};

/** The product's own Workers, on queues of this test alone. The workflows are compiled once a file. */
export async function startTestWorkers(
  temporal: TestTemporal,
  db: Database,
  channel: SalesChannel,
  {
    takeInChangedOrders = pollsNothing,
    prove = provesNothing,
    alerting = tellsNobody,
    edit = (code) => code,
    ...options
  }: {
    readonly alerting?: Alerting;
    readonly cachedWorkflowsMaximum?: number;
    readonly takeInChangedOrders?: ActivityDependencies["takeInChangedOrders"];
    readonly prove?: ActivityDependencies["prove"];
    /** Other workflows than the product's. */
    readonly edit?: (code: string) => string;
  } = {},
): Promise<RunningWorkers> {
  bundle ??= bundleWorkflows();
  const compiled = await bundle;
  return await startWorkers({
    connection: temporal.nativeConnection,
    namespace: temporal.namespace,
    bundle: { ...compiled, code: edit(compiled.code) },
    queuePrefix: temporal.taskQueuePrefix,
    activities: createActivities({
      db,
      channel,
      client: temporal.client,
      logger: silent,
      alerting,
      takeInChangedOrders,
      prove,
      queuePrefix: temporal.taskQueuePrefix,
    }),
    drainSeconds: 30,
    ...(workflowCacheIsOff ? { cachedWorkflowsMaximum: 0 } : {}),
    ...options,
  });
}

/** A channel for tests of what must not talk to one: every call is an error. */
export const noChannel: SalesChannel = new Proxy({} as SalesChannel, {
  get: (_target, method) => () =>
    Promise.reject(new Error(`This test talks to no channel, but ${String(method)} was called`)),
});
