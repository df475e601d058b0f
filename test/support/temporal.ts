import { randomUUID } from "node:crypto";
import type { Client } from "@temporalio/client";
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

/** Connects a test file to the run's Temporal server. Shut your workers down before closing. */
export async function testTemporal(): Promise<TestTemporal> {
  const server = inject("testTemporal");
  const [client, nativeConnection] = await Promise.all([connectClient(server), connectNative(server)]);
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
