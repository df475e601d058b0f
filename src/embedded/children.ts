import path from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { z } from "zod";
import type { Config } from "../config.ts";
import { errorsOf, readLogLine, step } from "./console.ts";
import { refuseTakenPort } from "./ports.ts";
import { type RunningProcess, startOwn } from "./processes.ts";
import type { Stack } from "./stack.ts";

const readySecondsMax = 60;

/** What every part of one start needs to know. */
export interface Setting {
  readonly config: Config;
  readonly home: string;
  readonly secretKey: Buffer;
  readonly stack: Stack;
  /** Whether the demo seller has a second shop, which sells the same units. */
  readonly secondShop: boolean;
}

export interface Database {
  readonly url: string;
  /** Null when the environment gives the processes' login alone. */
  readonly migrationUrl: string | null;
}

export interface TemporalPlace {
  readonly address: string;
  readonly uiUrl: string | null;
}

export interface Simulator {
  readonly url: string;
  readonly app: { readonly appKey: string; readonly appSecret: string };
}

const credentialsSchema = z.object({ appKey: z.string(), appSecret: z.string() });

/** Starts the simulator with its books in our folder, calling our API's webhooks. */
export async function provideSimulator(
  { config, home, stack, secondShop }: Setting,
  api: string,
): Promise<Simulator> {
  const { simulatorPort: port } = config;
  return await step("TikTok Shop simulator", async () => {
    await refuseTakenPort(port, "SIMULATOR_PORT", "the TikTok Shop simulator");
    const url = `http://127.0.0.1:${port}`;
    const simulator = startOwn("src/simulator/server.ts", {
      name: "simulator",
      args: [
        ...["--port", String(port), "--home", path.join(home, "simulator")],
        ...["--time-scale", String(config.timeScale), "--webhook-url", `${api}/webhooks/tiktok-shop`],
        ...["--orders-per-minute", config.demo.orders ? "12" : "0", "--log-level", "warn"],
        ...["--second-shop", secondShop ? "on" : "off"],
      ],
      graceSeconds: 2,
      logFile: logFile(home, "simulator"),
      onLine: errorsOf("simulator"),
    });
    stack.add(simulator, "support");
    await untilReady(stack, simulator, () => answersOk(`${url}/_sim/health`));
    const response = await fetch(`${url}/_sim/credentials`);
    return { value: { url, app: credentialsSchema.parse(await response.json()) }, told: `127.0.0.1:${port}` };
  });
}

/** What the worker and the API are told beside what we were told ourselves. */
export function childEnvironment(
  { config, home, secretKey }: Setting,
  database: Database,
  temporal: TemporalPlace,
  simulator: Simulator | null,
): Record<string, string | null> {
  return {
    CREATORFLOW_HOME: home,
    CREATORFLOW_SECRET_KEY: secretKey.toString("base64"),
    DATABASE_URL: database.url,
    // The processes work with the login that owns nothing.
    MIGRATION_DATABASE_URL: null,
    TEMPORAL_ADDRESS: temporal.address,
    ...(temporal.uiUrl === null ? {} : { TEMPORAL_UI_URL: temporal.uiUrl }),
    TIME_SCALE: String(config.timeScale),
    ...(simulator === null
      ? {}
      : {
          SIMULATOR_URL: simulator.url,
          TIKTOK_SHOP_API_URL: simulator.url,
          TIKTOK_SHOP_AUTH_URL: simulator.url,
          TIKTOK_SHOP_APP_KEY: simulator.app.appKey,
          TIKTOK_SHOP_APP_SECRET: simulator.app.appSecret,
        }),
  };
}

/** Starts the worker and waits for the line by which it says that it takes work. */
export async function runWorker(
  { home, stack }: Setting,
  environment: Record<string, string | null>,
): Promise<void> {
  await step("Worker", async () => {
    let ready = false;
    const showError = errorsOf("worker");
    const worker = startOwn("worker.ts", {
      name: "worker",
      args: [],
      preload: "src/workflow-thread.js",
      environment,
      graceSeconds: 5,
      logFile: logFile(home, "worker"),
      onLine: (line) => {
        ready ||= readLogLine(line)?.msg === "worker ready";
        showError(line);
      },
    });
    stack.add(worker, "work");
    await untilReady(stack, worker, () => Promise.resolve(ready));
    return { value: null, told: "" };
  });
}

/** Starts the API and waits until it says that it is ready. */
export async function runApi(
  { config, home, stack }: Setting,
  environment: Record<string, string | null>,
  url: string,
): Promise<void> {
  await step("API", async () => {
    const api = startOwn("src/api/server.ts", {
      name: "api",
      args: [],
      environment: { ...environment, PORT: String(config.api.port), HOST: config.api.host },
      graceSeconds: 5,
      logFile: logFile(home, "api"),
      onLine: errorsOf("api"),
    });
    stack.add(api, "work");
    await untilReady(stack, api, () => answersOk(`${url}/readyz`));
    return { value: null, told: url };
  });
}

async function untilReady(
  stack: Stack,
  process: RunningProcess,
  probe: () => Promise<boolean>,
): Promise<void> {
  const deadline = Date.now() + readySecondsMax * 1000;
  while (Date.now() < deadline) {
    if (await probe()) return;
    if (process.hasEnded()) await stack.broken;
    await pause(50);
  }
  throw new Error(
    `${process.name} did not become ready within ${readySecondsMax} s. Its last lines:\n  ${process.lastLines().slice(-15).join("\n  ")}`,
  );
}

async function answersOk(url: string): Promise<boolean> {
  try {
    const response = await fetch(url, { signal: AbortSignal.timeout(2000) });
    await response.body?.cancel();
    return response.ok;
  } catch {
    return false;
  }
}

/** Where a process of this start writes. */
export function logFile(home: string, name: string): string {
  return path.join(home, "logs", `${name}.log`);
}
