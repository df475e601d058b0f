import { Client, Connection } from "@temporalio/client";
import {
  encodeSearchAttributeIndexedValueType,
  type SearchAttributeKey,
  type SearchAttributeType,
} from "@temporalio/common/lib/search-attributes.js";
import type { NativeConnection } from "@temporalio/worker";
import type { Config } from "./config.ts";
import { searchAttributes as searchAttributeKeys } from "./workflows/messages.ts";

export interface TemporalServer {
  readonly address: string;
  readonly namespace: string;
}

/** What operators search workflows by. A namespace on Postgres or SQLite has room for 10 keywords in all. */
export const searchAttributes: readonly SearchAttributeKey<SearchAttributeType>[] =
  Object.values(searchAttributeKeys);

/** The server that the configuration names; without one the embedded server that `npm start` runs on this machine. */
export function temporalServer(config: Pick<Config, "temporal">): TemporalServer {
  const { address, embeddedPort, namespace } = config.temporal;
  return { address: address ?? `127.0.0.1:${embeddedPort}`, namespace };
}

/**
 * Connects a client. Close it by `client.connection.close()`.
 *
 * @throws Error naming the address when the server cannot be reached within 5 seconds.
 */
export async function connectClient(server: TemporalServer): Promise<Client> {
  try {
    const connection = await Connection.connect({ address: server.address, connectTimeout: "5 seconds" });
    return new Client({ connection, namespace: server.namespace });
  } catch (cause) {
    throw unreachable(server, cause);
  }
}

/** A client that connects when it is first used: for who must start, and stay ready, without the server. */
export function lazyClient(server: TemporalServer): Client {
  return new Client({
    connection: Connection.lazy({ address: server.address }),
    namespace: server.namespace,
  });
}

/**
 * Connects a worker.
 *
 * @throws Error naming the address when the server cannot be reached.
 */
export async function connectNative(server: TemporalServer): Promise<NativeConnection> {
  // Loaded here alone, so that the API does not carry the worker's native core.
  const { NativeConnection } = await import("@temporalio/worker");
  try {
    return await NativeConnection.connect({ address: server.address });
  } catch (cause) {
    throw unreachable(server, cause);
  }
}

/**
 * Registers the search attributes that a namespace does not have yet. Safe to run again and by many at once.
 *
 * @returns the names that were added now.
 * @throws Error when one exists with another type.
 */
export async function ensureSearchAttributes(client: Client): Promise<readonly string[]> {
  const { namespace } = client.options;
  const { operatorService } = client.connection;
  const { customAttributes } = await operatorService.listSearchAttributes({ namespace });
  const wanted = searchAttributes.flatMap(({ name, type }) => {
    const encoded = encodeSearchAttributeIndexedValueType(type);
    return encoded === undefined ? [] : [{ name, type, encoded }];
  });
  for (const { name, type, encoded } of wanted) {
    const existing = customAttributes[name];
    if (existing !== undefined && existing !== encoded) {
      throw new Error(
        `The Temporal namespace "${namespace}" has a search attribute ${name} of another type than ${type}.`,
      );
    }
  }
  const missing = wanted.filter(({ name }) => customAttributes[name] === undefined);
  if (missing.length === 0) return [];
  await operatorService.addSearchAttributes({
    namespace,
    searchAttributes: Object.fromEntries(missing.map(({ name, encoded }) => [name, encoded])),
  });
  return missing.map(({ name }) => name);
}

function unreachable(server: TemporalServer, cause: unknown): Error {
  return new Error(
    `The Temporal server at ${server.address} cannot be reached. Is TEMPORAL_ADDRESS right, or \`npm start\` running?`,
    { cause },
  );
}
