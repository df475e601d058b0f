import fs from "node:fs/promises";
import type { Client } from "@temporalio/client";
import type { NativeConnection } from "@temporalio/worker";
import pg from "pg";
import type { Activities, ActivityDependencies } from "../src/activities/index.ts";
import { loadConfig } from "../src/config.ts";
import { type Database, type DatabaseRole, openDatabase } from "../src/db/connection.ts";
import { migrate } from "../src/db/migrate.ts";
import { findFreePort } from "../src/embedded/ports.ts";
import { startPostgres } from "../src/embedded/postgres.ts";
import { startTemporal } from "../src/embedded/temporal.ts";
import { findTemporal } from "../src/embedded/temporal-binary.ts";
import { connectClient, connectNative, searchAttributes } from "../src/temporal.ts";
import { bundleWorkflows, type RunningWorkers, startWorkers } from "../src/workers.ts";
import type { SalesChannel } from "../src/integrations/ports/sales-channel.ts";
import { noChannel, silent } from "../test/support/workers.ts";
import { type ProcessorSeconds, processorSeconds } from "./processor-time.ts";
import { makeHome } from "./stack.ts";

/**
 * PostgreSQL and Temporal as `npm start` runs them, with an empty migrated database and nothing else: for benchmarks that
 * play the worker's part in their own process.
 */
export interface BenchServers {
  readonly databaseUrl: string;
  readonly client: Client;
  readonly connection: NativeConnection;
  readonly namespace: string;
  /** Opens a pool that is closed with the servers. */
  openDatabase(role: DatabaseRole, poolSize: number): Database;
  /** The product's Workers, in this process. Stop them before the servers. */
  startWorkers(activities: Activities, queuePrefix: string): Promise<RunningWorkers>;
  /** Runs SQL as the superuser. */
  query<Row extends object>(statement: string, values?: readonly unknown[]): Promise<Row[]>;
  /** Of the servers, and of this process as `worker`. */
  processorSeconds(): Promise<ProcessorSeconds>;
  stop(): Promise<void>;
}

const namespace = "default";
/** As many connections as the worker's pool has unless told otherwise. */
export const workerPoolSize = loadConfig({}).database.poolSize;

/** Starts servers for a benchmark and ends them after it, however it ends. */
export async function onServers<Result>(work: (servers: BenchServers) => Promise<Result>): Promise<Result> {
  const servers = await startServers();
  try {
    return await work(servers);
  } finally {
    await servers.stop();
  }
}

async function startServers(): Promise<BenchServers> {
  const home = await makeHome();
  const endings: (() => Promise<unknown>)[] = [() => fs.rm(home, { recursive: true, force: true })];
  const stop = async (): Promise<void> => {
    for (const end of endings.splice(0).reverse()) await end();
  };
  try {
    const postgres = await startPostgres({ home, port: await findFreePort(), log: () => undefined });
    endings.push(() => postgres.stop());
    await migrate(postgres);
    const address = await startTemporalServer(home, endings);
    const [client, connection] = await Promise.all([
      connectClient({ address, namespace }),
      connectNative({ address, namespace }),
    ]);
    endings.push(() => Promise.all([client.connection.close(), connection.close()]));
    const superuser = new pg.Pool({
      connectionString: postgres.superuserUrl.replace(/\/[^/]*$/, "/creatorflow"),
      max: 2,
    });
    superuser.on("error", () => undefined);
    endings.push(() => superuser.end());
    const bundle = await bundleWorkflows();
    return {
      databaseUrl: postgres.url,
      client,
      connection,
      namespace,
      openDatabase: (role, poolSize) => {
        const db = openDatabase({ url: postgres.url, role, poolSize });
        endings.push(() => db.destroy());
        return db;
      },
      startWorkers: (activities, queuePrefix) =>
        startWorkers({ connection, namespace, bundle, activities, queuePrefix }),
      query: async <Row extends object>(statement: string, values: readonly unknown[] = []) =>
        (await superuser.query<Row>(statement, [...values])).rows,
      processorSeconds: readProcessorSeconds,
      stop,
    };
  } catch (error) {
    await stop();
    throw error;
  }
}

async function startTemporalServer(home: string, endings: (() => Promise<unknown>)[]): Promise<string> {
  const { cliPath } = loadConfig().temporal;
  const found = await findTemporal({ address: null, cliPath, log: () => undefined });
  if (found.kind === "server") throw new Error("A server was found where a program was wanted.");
  const server = await startTemporal({
    program: found.path,
    home,
    port: await findFreePort(),
    uiPort: null,
    namespace,
    searchAttributes,
  });
  endings.push(() => server.stop());
  return server.address;
}

async function readProcessorSeconds(): Promise<ProcessorSeconds> {
  const servers = await processorSeconds(process.pid);
  if (servers.size === 0) return servers;
  const { user, system } = process.cpuUsage();
  return new Map([...servers, ["worker", (user + system) / 1_000_000]]);
}

/** What the product's activities are handed in its worker; nothing is polled, and no channel is reached unless one is given. */
export function workerDependencies(
  servers: BenchServers,
  db: Database,
  queuePrefix: string,
  channel: SalesChannel = noChannel,
): ActivityDependencies {
  return {
    db,
    channel,
    client: servers.client,
    logger: silent,
    alerting: {
      mailer: { send: () => Promise.resolve() },
      texter: { send: () => Promise.resolve() },
      secretKey: Buffer.alloc(32),
      engineeringEmail: null,
      lowStockAlerts: false,
    },
    prove: () => Promise.reject(new Error("Nothing is proven in this benchmark.")),
    takeInChangedOrders: () => Promise.reject(new Error("No shop is polled in this benchmark.")),
    queuePrefix,
  };
}
