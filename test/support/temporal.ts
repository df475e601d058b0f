import { randomUUID } from "node:crypto";
import { Client, type WorkflowClientInterceptor } from "@temporalio/client";
import { msToTs } from "@temporalio/common/lib/time.js";
import type { NativeConnection } from "@temporalio/worker";
import { inject } from "vitest";
import { connectClient, connectNative } from "../../src/temporal.ts";

export interface TestTemporal {
  readonly client: Client;
  readonly nativeConnection: NativeConnection;
  readonly address: string;
  readonly namespace: string;
  /** All test files share one server and namespace: task queues of yours begin with this. */
  readonly taskQueuePrefix: string;
  close(): Promise<void>;
}

/** Whether this run replays every workflow from its start at each task: what is not deterministic shows. */
export const workflowCacheIsOff = process.env["CREATORFLOW_TEST_WORKFLOW_CACHE"] === "off";

/**
 * Without a cache the SDK now and then loses a task whose workflow it has just put away ("This is an SDK bug", says its
 * core). The server gives the task again when its time is over, which is 10 seconds otherwise.
 */
const taskTimeout = msToTs("3 seconds");
const shortWorkflowTasks: WorkflowClientInterceptor = {
  startWithDetails: async (input, next) =>
    await next({ ...input, options: { ...input.options, workflowTaskTimeout: taskTimeout } }),
  signalWithStart: async (input, next) =>
    await next({ ...input, options: { ...input.options, workflowTaskTimeout: taskTimeout } }),
  startUpdateWithStart: async (input, next) =>
    await next({
      ...input,
      workflowStartOptions: { ...input.workflowStartOptions, workflowTaskTimeout: taskTimeout },
    }),
};

/** Connects a test file to the run's Temporal server. Shut your workers down before closing. */
export async function testTemporal(): Promise<TestTemporal> {
  const server = inject("testTemporal");
  const [{ connection }, nativeConnection] = await Promise.all([
    connectClient(server),
    connectNative(server),
  ]);
  const { namespace } = server;
  const interceptors = workflowCacheIsOff ? { workflow: [shortWorkflowTasks] } : {};
  const client = new Client({ connection, namespace, interceptors });
  return {
    client,
    nativeConnection,
    ...server,
    taskQueuePrefix: `test-${randomUUID()}-`,
    close: async () => {
      await nativeConnection.close();
      await client.connection.close();
    },
  };
}
