import fs from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import type { Client } from "@temporalio/client";
import pg from "pg";
import { z } from "zod";
import { findFreePort } from "../src/embedded/ports.ts";
import { startPostgres } from "../src/embedded/postgres.ts";
import { type RunningProcess, startOwn } from "../src/embedded/processes.ts";
import { connectClient } from "../src/temporal.ts";
import { until } from "../test/support/until.ts";
import { type ProcessorSeconds, processorSeconds } from "./processor-time.ts";
import { Simulator } from "./simulator.ts";

/** The whole product as `npm start` runs it, in a folder and on ports of its own, seen from outside. */
export interface BenchStack {
  readonly home: string;
  readonly client: Client;
  readonly temporalAddress: string;
  readonly simulator: Simulator;
  /** The second shop's, when there is one. */
  readonly secondSimulator: Simulator;
  readonly apiUrl: string;
  /** Login of the processes. */
  readonly databaseUrl: string;
  /** What another process of ours must be started with to work on this stack. */
  readonly environment: Readonly<Record<string, string | null>>;
  /** Runs SQL as the superuser. */
  query<Row extends object>(statement: string, values?: readonly unknown[]): Promise<Row[]>;
  processorSeconds(): Promise<ProcessorSeconds>;
  stop(): Promise<void>;
}

export interface StackOptions {
  /** How much faster than at TikTok durations pass in the simulator. */
  readonly timeScale: number;
  /** Whether the demo's steady stream of orders runs beside. */
  readonly demoOrders: boolean;
  /** Whether the demo's seller has a second shop, which sells the same units. */
  readonly secondShop?: boolean;
  /** Has PostgreSQL count statements. */
  readonly countStatements?: boolean;
}

const runningSchema = z.object({
  pid: z.number(),
  addresses: z.object({
    apiUrl: z.string(),
    databaseUrl: z.string(),
    temporalAddress: z.string(),
    simulatorUrl: z.string(),
  }),
});
const superuserSchema = z.object({ superuser: z.string() });
const startSecondsMax = 120;

/** Starts the product for a benchmark and ends it after that, however it ends. */
export async function onStack<Result>(
  options: StackOptions,
  work: (stack: BenchStack) => Promise<Result>,
): Promise<Result> {
  const stack = await startStack(options);
  try {
    return await work(stack);
  } finally {
    await stack.stop();
  }
}

/** Starts everything and waits until the demo shop is connected: its catalogue and stock are taken in then. */
async function startStack(options: StackOptions): Promise<BenchStack> {
  const home = await makeHome();
  const environment = await environmentOf(home, options);
  let server: RunningProcess | null = null;
  try {
    if (options.countStatements === true) await loadStatementCounter(home, environment);
    const args = ["--second-shop", options.secondShop === true ? "on" : "off"];
    server = startOwn("src/embedded/start.ts", { name: "stack", args, environment, graceSeconds: 20 });
    const running = await untilRunning(server, home);
    return await openStack(server, home, running, environment, options.secondShop === true ? 2 : 1);
  } catch (error) {
    await server?.stop();
    await fs.rm(home, { recursive: true, force: true });
    throw error;
  }
}

/** A folder that the database server's own user may enter. */
export async function makeHome(): Promise<string> {
  const home = await fs.mkdtemp(path.join(os.tmpdir(), "creatorflow-bench-"));
  await fs.chmod(home, 0o755);
  return home;
}

async function environmentOf(home: string, options: StackOptions): Promise<Record<string, string | null>> {
  const names = ["PORT", "POSTGRES_PORT", "TEMPORAL_PORT", "TEMPORAL_UI_PORT", "SIMULATOR_PORT"];
  const ports = await Promise.all(names.map(() => findFreePort()));
  // Everything embedded, whatever this shell works with otherwise.
  const elsewhere = [
    ...["DATABASE_URL", "MIGRATION_DATABASE_URL", "TEMPORAL_ADDRESS"],
    ...["TIKTOK_SHOP_APP_KEY", "TIKTOK_SHOP_APP_SECRET", "NODE_ENV", "VITEST"],
  ];
  return {
    ...Object.fromEntries(elsewhere.map((name) => [name, null])),
    ...Object.fromEntries(names.map((name, index) => [name, String(ports[index])])),
    CREATORFLOW_HOME: home,
    CREATORFLOW_DEMO: options.demoOrders ? "on" : "off",
    TIME_SCALE: String(options.timeScale),
  };
}

/** The library is loaded when PostgreSQL starts, so it is set before the stack does. */
async function loadStatementCounter(
  home: string,
  environment: Readonly<Record<string, string | null>>,
): Promise<void> {
  const port = Number(environment["POSTGRES_PORT"]);
  const server = await startPostgres({ home, port, log: () => undefined });
  const superuser = new pg.Client({ connectionString: server.superuserUrl });
  await superuser.connect();
  await superuser.query("alter system set shared_preload_libraries = 'pg_stat_statements'");
  await superuser.end();
  await server.stop();
}

async function untilRunning(server: RunningProcess, home: string): Promise<z.output<typeof runningSchema>> {
  return await until(
    "the stack is up",
    async () => {
      if (server.hasEnded()) return { ended: server.lastLines().join("\n") };
      return runningSchema.parse(JSON.parse(await fs.readFile(path.join(home, "running.json"), "utf8")));
    },
    { seconds: startSecondsMax },
  ).then((answer) => {
    if ("ended" in answer) throw new Error(`The stack ended while starting:\n${answer.ended}`);
    return answer;
  });
}

async function openStack(
  server: RunningProcess,
  home: string,
  { pid, addresses }: z.output<typeof runningSchema>,
  environment: Readonly<Record<string, string | null>>,
  shops: number,
): Promise<BenchStack> {
  const { superuser } = superuserSchema.parse(
    JSON.parse(await fs.readFile(path.join(home, "postgres.json"), "utf8")),
  );
  const url = new URL(addresses.databaseUrl);
  url.username = "postgres";
  url.password = superuser;
  const pool = new pg.Pool({ connectionString: url.href, max: 2 });
  pool.on("error", () => undefined);
  const client = await connectClient({ address: addresses.temporalAddress, namespace: "default" });
  const query = async <Row extends object>(statement: string, values: readonly unknown[] = []) =>
    (await pool.query<Row>(statement, [...values])).rows;
  await until(
    "the demo's shops are connected",
    async () => {
      // The careful budget of a new shop is a minute's work for its catalogue.
      if (shops > 1) await learnRateBudget({ query });
      return (await query("select from shops where status = 'connected'")).length === shops;
    },
    { seconds: startSecondsMax },
  );
  return {
    home,
    client,
    temporalAddress: addresses.temporalAddress,
    simulator: new Simulator(addresses.simulatorUrl),
    secondSimulator: new Simulator(addresses.simulatorUrl, "/second"),
    apiUrl: addresses.apiUrl,
    databaseUrl: addresses.databaseUrl,
    environment,
    query,
    processorSeconds: () => processorSeconds(pid),
    async stop() {
      await Promise.all([client.connection.close(), pool.end()]);
      await server.stop();
      await fs.rm(home, { recursive: true, force: true });
    },
  };
}

/** Waits until these orders are completed and no order's workflow runs any more. */
export async function untilCompleted(stack: BenchStack, orderIds: readonly string[]): Promise<void> {
  await until(
    "every order is completed",
    async () => {
      await pause(pollMilliseconds);
      const [row] = await stack.query<{ completed: string }>(
        "select count(*) as completed from orders where channel_order_id = any ($1) and channel_status = 'completed'",
        [orderIds],
      );
      return Number(row?.completed) === orderIds.length;
    },
    { seconds: 600 },
  );
  await until(
    "every order's workflow has ended",
    async () => {
      await pause(pollMilliseconds);
      return (await stack.client.workflow.count(runningOrders)).count === 0;
    },
    { seconds: 120 },
  );
}

/** Looking costs the servers something too. */
const pollMilliseconds = 100;
const runningOrders = "WorkflowType = 'orderLifecycle' and ExecutionStatus = 'Running'";

/**
 * Lets the shop be asked as often as the product's ceiling allows, for benchmarks of our own speed. The simulator bears
 * more than that.
 *
 * @returns the budget, for the report.
 */
export async function openRateBudget(stack: BenchStack): Promise<string> {
  await stack.simulator.control("PUT", "/_sim/quota", z.unknown(), {
    requestsPerSecond: 1_000,
    burst: 1_000,
  });
  await learnRateBudget(stack);
  return await describeRateBudget(stack);
}

/** Lets the shops' budgets stand where they come to when the channel takes every call: at the product's ceiling. */
export async function learnRateBudget(stack: Pick<BenchStack, "query">): Promise<void> {
  await stack.query(
    "update rate_buckets set rate_per_minute = 3000, burst = 50, tokens = 50, blocked_until = null",
  );
}

/** The shop's rate budget as it stands. */
export async function describeRateBudget(stack: BenchStack): Promise<string> {
  const [bucket] = await stack.query<{ rate: number; burst: number }>(
    "select rate_per_minute as rate, burst from rate_buckets",
  );
  if (bucket === undefined) return "not asked yet";
  return `${Math.round(bucket.rate)} calls a minute, burst ${Math.round(bucket.burst)}`;
}
