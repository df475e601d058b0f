import { execFile } from "node:child_process";
import { randomBytes } from "node:crypto";
import fs from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { promisify } from "node:util";
import pg from "pg";
import { z } from "zod";
import { loadConfig } from "../../src/config.ts";
import { migrate } from "../../src/db/migrate.ts";
import { seedDemo } from "../../src/embedded/demo.ts";
import { findFreePort } from "../../src/embedded/ports.ts";
import { startPostgres } from "../../src/embedded/postgres.ts";
import { type RunningProcess, startOwn } from "../../src/embedded/processes.ts";
import { startTemporal } from "../../src/embedded/temporal.ts";
import { findTemporal } from "../../src/embedded/temporal-binary.ts";
import { searchAttributes } from "../../src/temporal.ts";
import { until } from "../support/until.ts";
import { type FaultProxy, startFaultProxy } from "./fault-proxy.ts";
import { createPart, findProcesses, type Part } from "./processes.ts";

/**
 * The product as `npm start` runs it, but taken apart: each part a process that can be killed, frozen and started again
 * alone, and each way from one part to another led through a proxy that can fail.
 */
export interface ChaosStack {
  readonly home: string;
  readonly parts: Readonly<Record<"postgres" | "temporal" | "simulator" | "worker" | "api", Part>>;
  readonly links: readonly FaultProxy[];
  readonly apiUrl: string;
  /** Of all its processes; the first is the one that `parts` names. */
  readonly apiUrls: readonly string[];
  readonly simulatorUrl: string;
  readonly password: string;
  /** Kills the worker or the API and starts it with one crash point armed, or none. */
  restart(part: "worker" | "api", crashPoint: string | null): Promise<void>;
  /** Runs SQL above the tenant wall: for looking, and for what only a test may change. */
  sql<Row extends object>(statement: string, values?: readonly unknown[]): Promise<Row[]>;
  control<Answer>(method: "GET" | "POST" | "PUT", route: string, body?: object): Promise<Answer>;
  /** `npm run proof -- --settle …`. */
  prove(settleSeconds: number): Promise<ProofAnswer>;
  close(): Promise<void>;
}

const proofSchema = z.object({
  clean: z.boolean(),
  comparedWithChannel: z.boolean(),
  checks: z.array(
    z.object({
      check: z.string(),
      examined: z.number(),
      violations: z.array(z.unknown()),
      underWay: z.array(z.unknown()),
    }),
  ),
});
export type ProofAnswer = z.output<typeof proofSchema>;

const root = path.resolve(import.meta.dirname, "../..");
const secretKey = Buffer.alloc(32, 7);
const readySeconds = 60;

export interface ChaosStackOptions {
  readonly timeScale: number;
  /** Units that each SKU for bursts opens with. */
  readonly stockEach: number;
  /** Processes of the API; one unless told. Each answers so many calls a minute. */
  readonly apiProcesses?: number;
}

export async function startChaosStack(options: ChaosStackOptions): Promise<ChaosStack> {
  const { timeScale, stockEach, apiProcesses = 1 } = options;
  const home = await fs.mkdtemp(path.join(os.tmpdir(), "creatorflow-chaos-"));
  // PostgreSQL runs as a user of its own and must be able to enter it.
  await fs.chmod(home, 0o755);
  const [postgresPort = 0, temporalPort = 0, simulatorPort = 0, apiPort = 0, ...moreApiPorts] =
    await Promise.all(Array.from({ length: 3 + apiProcesses }, () => findFreePort()));
  const link = (name: string, port: number): Promise<FaultProxy> => startFaultProxy(name, port);
  const [workerDb, apiDb, workerTemporal, apiTemporal, workerShop, shopApi] = await Promise.all([
    link("worker to postgres", postgresPort),
    link("api to postgres", postgresPort),
    link("worker to temporal", temporalPort),
    link("api to temporal", temporalPort),
    link("worker to tiktok shop", simulatorPort),
    link("tiktok shop to api", apiPort),
  ]);
  const links = [workerDb, apiDb, workerTemporal, apiTemporal, workerShop, shopApi];
  const apiUrls = [apiPort, ...moreApiPorts].map((port) => `http://127.0.0.1:${port}`);
  const apiUrl = `http://127.0.0.1:${apiPort}`;
  const simulatorUrl = `http://127.0.0.1:${simulatorPort}`;
  const password = randomBytes(12).toString("base64url");
  const logFile = (name: string): string => path.join(home, "logs", `${name}.log`);
  const log = (): void => undefined;
  const serverAnswers = async (url: string): Promise<boolean> => (await fetch(url)).ok;
  const addresses = { url: "", migrationUrl: "", superuserUrl: "" };
  const armed: Record<"worker" | "api", string | null> = { worker: null, api: null };
  let environment: Record<string, string | null> = {};

  const found = await findTemporal({ ...loadConfig().temporal, address: null, log });
  if (found.kind !== "program") throw new Error("The chaos stack needs a Temporal server that it may kill");

  const postgres = createPart("postgres", {
    async start() {
      const server = await startPostgres({ home, port: postgresPort, log, logFile: logFile("postgres") });
      Object.assign(addresses, server);
      return server.process;
    },
    async pids() {
      const text = await fs.readFile(path.join(home, "postgres", "postmaster.pid"), "utf8").catch(() => "");
      const pid = Number.parseInt(text, 10);
      return Number.isNaN(pid) ? [] : [pid];
    },
  });
  const temporal = createPart("temporal", {
    async start() {
      const server = await startTemporal({
        program: found.path,
        home,
        port: temporalPort,
        uiPort: null,
        namespace: "default",
        searchAttributes,
        logFile: logFile("temporal"),
      });
      return server.process;
    },
    pids: () => findProcesses(home, path.join(home, "temporal.db")),
  });
  const simulator = createPart("simulator", {
    async start() {
      const running = startOwn("src/simulator/server.ts", {
        name: "simulator",
        args: [
          ...["--port", String(simulatorPort), "--home", path.join(home, "simulator")],
          ...["--time-scale", String(timeScale), "--orders-per-minute", "0", "--log-level", "warn"],
          ...["--webhook-url", `http://127.0.0.1:${shopApi.port}/webhooks/tiktok-shop`],
        ],
        graceSeconds: 2,
        logFile: logFile("simulator"),
      });
      await untilServing(running, () => serverAnswers(`${simulatorUrl}/_sim/health`));
      return running;
    },
    pids: () => findProcesses(home, "src/simulator/server.ts"),
  });
  const worker = createPart("worker", {
    async start() {
      let ready = false;
      const running = startOwn("worker.ts", {
        name: "worker",
        args: [],
        preload: "src/workflow-thread.js",
        environment: {
          ...environment,
          DATABASE_URL: through(addresses.url, workerDb.port),
          TEMPORAL_ADDRESS: `127.0.0.1:${workerTemporal.port}`,
          CREATORFLOW_CRASH_POINT: armed.worker,
        },
        graceSeconds: 5,
        logFile: logFile("worker"),
        onLine: (line) => {
          ready ||= line.includes('"worker ready"');
        },
      });
      await untilServing(running, () => ready);
      return running;
    },
    pids: () => findProcesses(home, "worker.ts"),
  });
  const createApi = (name: string, port: number): Part =>
    createPart(name, {
      async start() {
        const running = startOwn("src/api/server.ts", {
          name,
          args: [],
          environment: {
            ...environment,
            DATABASE_URL: through(addresses.url, apiDb.port),
            TEMPORAL_ADDRESS: `127.0.0.1:${apiTemporal.port}`,
            PORT: String(port),
            // Who has signed in at one of them is known to all.
            PUBLIC_URL: apiUrl,
            CREATORFLOW_CRASH_POINT: armed.api,
          },
          graceSeconds: 5,
          logFile: logFile(name),
        });
        await untilServing(running, () => serverAnswers(`http://127.0.0.1:${port}/readyz`));
        return running;
      },
      pids: () => findProcesses(`\0PORT=${port}\0`, "src/api/server.ts"),
    });
  const api = createApi("api", apiPort);
  const moreApis = moreApiPorts.map((port, index) => createApi(`api-${index + 2}`, port));
  const parts = { postgres, temporal, simulator, worker, api };

  const stack: ChaosStack = {
    home,
    parts,
    links,
    apiUrl,
    apiUrls,
    simulatorUrl,
    password,
    async restart(name, crashPoint) {
      if (parts[name].isRunning()) await parts[name].kill();
      armed[name] = crashPoint;
      await parts[name].start();
    },
    async sql<Row extends object>(statement: string, values: readonly unknown[] = []): Promise<Row[]> {
      const client = new pg.Client({
        connectionString: addresses.superuserUrl.replace(/\/[^/]*$/, "/creatorflow"),
      });
      client.on("error", () => undefined);
      await client.connect();
      try {
        return (await client.query<Row>(statement, [...values])).rows;
      } finally {
        await client.end();
      }
    },
    async control<Answer>(method: "GET" | "POST" | "PUT", route: string, body?: object): Promise<Answer> {
      const response = await fetch(`${simulatorUrl}${route}`, {
        method,
        ...(body === undefined
          ? {}
          : { body: JSON.stringify(body), headers: { "content-type": "application/json" } }),
      });
      const text = await response.text();
      if (!response.ok) throw new ControlRefusal(response.status, `${method} ${route}: ${text}`);
      return JSON.parse(text) as Answer;
    },
    async prove(settleSeconds) {
      await fs.writeFile(
        path.join(home, "running.json"),
        JSON.stringify({
          pid: process.pid,
          addresses: {
            apiUrl,
            databaseUrl: addresses.url,
            migrationUrl: addresses.migrationUrl,
            temporalAddress: `127.0.0.1:${temporalPort}`,
            temporalUiUrl: null,
            simulatorUrl,
          },
        }),
      );
      const words = ["--json", "proof", "--settle", String(settleSeconds)];
      const { stdout } = await promisify(execFile)(
        process.execPath,
        ["--import", "tsx", "src/cli/main.ts", ...words],
        {
          cwd: root,
          env: {
            ...process.env,
            NODE_ENV: "development",
            CREATORFLOW_HOME: home,
            DATABASE_URL: addresses.url,
          },
          maxBuffer: 64 * 1_024 * 1_024,
        },
        // A proof that is not clean ends with 1 and says why on its output all the same.
      ).catch((failure: unknown) => failure as { stdout: string });
      return proofSchema.parse(JSON.parse(stdout));
    },
    async close() {
      for (const part of Object.values(parts)) await part.wake();
      for (const group of [[worker, api, ...moreApis], [simulator, temporal], [postgres]]) {
        await Promise.all(group.map((part) => part.stop()));
      }
      await Promise.all(links.map((each) => each.close()));
      await fs.rm(await fs.realpath(path.join(home, "postgres")).catch(() => home), {
        recursive: true,
        force: true,
      });
      await fs.rm(home, { recursive: true, force: true });
    },
  };

  try {
    await Promise.all([postgres.start(), temporal.start(), simulator.start()]);
    await migrate({ migrationUrl: addresses.migrationUrl, url: addresses.url });
    await seedDemo({ databaseUrl: addresses.url, simulatorUrl, secretKey, password, log });
    await allowManyCalls(stack);
    for (const { id } of await skusOf(stack)) {
      await stack.control("POST", "/_sim/stock", { skuId: id, available: stockEach });
    }
    const { appKey, appSecret } = await stack.control<{ appKey: string; appSecret: string }>(
      "GET",
      "/_sim/credentials",
    );
    environment = {
      NODE_ENV: "development",
      VITEST: null,
      NODE_V8_COVERAGE: null,
      LOG_LEVEL: "info",
      CREATORFLOW_HOME: home,
      CREATORFLOW_SECRET_KEY: secretKey.toString("base64"),
      MIGRATION_DATABASE_URL: null,
      TIME_SCALE: String(timeScale),
      TIKTOK_SHOP_API_URL: `http://127.0.0.1:${workerShop.port}`,
      TIKTOK_SHOP_AUTH_URL: `http://127.0.0.1:${workerShop.port}`,
      TIKTOK_SHOP_APP_KEY: appKey,
      TIKTOK_SHOP_APP_SECRET: appSecret,
    };
    await Promise.all([worker, api, ...moreApis].map((part) => part.start()));
    await until("the shop is connected", () => isConnected(stack), { seconds: 120 }).catch(
      (cause: unknown) => {
        throw new Error("The shop is not connected, see the logs of the worker", { cause });
      },
    );
  } catch (error) {
    await stack.close().catch(() => undefined);
    throw error;
  }
  return stack;
}

/** What one of the simulator's controls answers when it cannot do what was asked. */
export class ControlRefusal extends Error {
  readonly status: number;

  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }
}

/** The SKUs that nobody orders unless told. */
export async function skusOf(
  stack: Pick<ChaosStack, "control">,
): Promise<readonly { readonly id: string; readonly sellerSku: string }[]> {
  const { products } = await stack.control<{
    products: { skus: { id: string; sellerSku: string; reservedForBursts: boolean }[] }[];
  }>("GET", "/_sim/catalog");
  return products.flatMap((product) => product.skus.filter((sku) => sku.reservedForBursts));
}

export async function isConnected(stack: Pick<ChaosStack, "sql">): Promise<boolean> {
  const rows = await stack.sql("select from shops where status <> 'connected'");
  return rows.length === 0;
}

/** The channel takes much, and the shop's budget knows: what is tested is what breaks, not what waits. */
async function allowManyCalls(stack: ChaosStack): Promise<void> {
  await stack.control("PUT", "/_sim/quota", { requestsPerSecond: 200, burst: 400 });
  await stack.sql(
    `insert into rate_buckets (tenant_id, shop_id, tokens, rate_per_minute, burst, refilled_at)
     select tenant_id, id, 300, 6000, 300, now() from shops`,
  );
}

function through(url: string, port: number): string {
  const changed = new URL(url);
  changed.port = String(port);
  return changed.href;
}

async function untilServing(running: RunningProcess, probe: () => boolean | Promise<boolean>): Promise<void> {
  const deadline = performance.now() + readySeconds * 1_000;
  await until(
    `${running.name} serves`,
    async () => {
      if (running.hasEnded()) return true;
      return await probe();
    },
    { seconds: (deadline - performance.now()) / 1_000 },
  ).catch((cause: unknown) => {
    throw new Error(`${running.name} does not serve. Its last lines:\n${running.lastLines().join("\n")}`, {
      cause,
    });
  });
}
