import path from "node:path";
import { parseArgs } from "node:util";
import closeWithGrace from "close-with-grace";
import pg from "pg";
import { type Config, loadConfig } from "../config.ts";
import { demoSecretKey } from "../environment.ts";
import { migrate } from "../db/migrate.ts";
import { connectClient, ensureSearchAttributes, searchAttributes } from "../temporal.ts";
import {
  childEnvironment,
  type Database,
  logFile,
  provideSimulator,
  runApi,
  runWorker,
  type Setting,
  type Simulator,
  type TemporalPlace,
} from "./children.ts";
import { step, tell } from "./console.ts";
import { seedDemo } from "./demo.ts";
import { inheritedEnvironment } from "./environment.ts";
import { demoPassword, homeSecretKey, leaveHome, publishAddresses, publishDemo, takeHome } from "./home.ts";
import { refuseTakenPort } from "./ports.ts";
import { startPostgres } from "./postgres.ts";
import { createStack, type Stack } from "./stack.ts";
import { describeStart } from "./summary.ts";
import { startTemporal } from "./temporal.ts";
import { findTemporal } from "./temporal-binary.ts";

/**
 * Zero set-up: everything this product needs, in one command. What the environment names (DATABASE_URL,
 * TEMPORAL_ADDRESS, the TikTok app) is used and never started in its place; the rest runs embedded, as children that
 * end with this process.
 */

/** An hour of the demo passes in five seconds. */
const demoTimeScale = "720";
const stopMillisecondsMax = 15_000;
const stopSignals = ["SIGINT", "SIGTERM"] as const;

async function start(config: Config, home: string, stack: Stack, secondShop: boolean): Promise<void> {
  const began = performance.now();
  const api = localUrl(config.api.host, config.api.port);
  await refuseTakenPort(config.api.port, "PORT", "the API");
  const secretKey =
    config.secretKey.toString("base64") === demoSecretKey ? await homeSecretKey(home) : config.secretKey;
  const setting: Setting = { config, home, secretKey, stack, secondShop };

  const [database, temporal, simulator] = await Promise.all([
    provideDatabase(setting),
    provideTemporal(setting),
    config.tiktokShop.app === null ? provideSimulator(setting, api) : null,
  ]);
  const demo = simulator === null ? null : await provideDemo(setting, database, simulator, api);
  const environment = childEnvironment(setting, database, temporal, simulator);
  await Promise.all([runWorker(setting, environment), runApi(setting, environment, api)]);
  await publishAddresses(home, {
    apiUrl: api,
    databaseUrl: database.url,
    migrationUrl: database.migrationUrl,
    temporalAddress: temporal.address,
    temporalUiUrl: temporal.uiUrl,
    simulatorUrl: simulator?.url ?? null,
  });
  tell(
    describeStart({
      seconds: (performance.now() - began) / 1000,
      apiUrl: api,
      temporalUiUrl: temporal.uiUrl,
      temporalNamespace: config.temporal.namespace,
      simulatorUrl: simulator?.url ?? null,
      demo,
      logFolder: path.join(home, "logs"),
    }),
  );
}

async function provideDatabase({ config, home, stack }: Setting): Promise<Database> {
  const { url, migrationUrl, embeddedPort } = config.database;
  const database = await step<Database>("PostgreSQL", async () => {
    if (url !== null) {
      await reachDatabase(migrationUrl ?? url);
      return { value: { url, migrationUrl }, told: "DATABASE_URL" };
    }
    const server = await startPostgres({
      home,
      port: embeddedPort,
      log: tell,
      logFile: logFile(home, "postgres"),
    });
    stack.add(server.process, "ground");
    return { value: server, told: `embedded, 127.0.0.1:${embeddedPort}` };
  });
  const { migrationUrl: ownerUrl } = database;
  await step("Migrations", async () => {
    if (ownerUrl === null) {
      return { value: null, told: "left to you: MIGRATION_DATABASE_URL is not set" };
    }
    const applied = await migrate({ migrationUrl: ownerUrl, url: database.url });
    return { value: null, told: applied.length === 0 ? "nothing to do" : `${applied.length} applied` };
  });
  return database;
}

async function reachDatabase(url: string): Promise<void> {
  const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: 5000 });
  try {
    await client.connect();
    await client.query("select 1");
  } catch (cause) {
    throw new Error(
      `DATABASE_URL is set, so no embedded PostgreSQL is started, and ${new URL(url).host} cannot be used: ${cause instanceof Error ? cause.message : String(cause)}`,
      { cause },
    );
  } finally {
    await client.end().catch(() => undefined);
  }
}

async function provideTemporal({ config, home, stack }: Setting): Promise<TemporalPlace> {
  const { namespace, address, cliPath, embeddedPort, embeddedUiPort } = config.temporal;
  return await step<TemporalPlace>("Temporal", async () => {
    const found = await findTemporal({ address, cliPath, log: tell });
    if (found.kind === "server") {
      const client = await connectClient({ address: found.address, namespace }).catch((cause: unknown) => {
        throw new Error(
          `TEMPORAL_ADDRESS is set, so no embedded Temporal server is started, and ${found.address} cannot be reached.`,
          { cause },
        );
      });
      const added = await ensureSearchAttributes(client);
      await client.connection.close();
      const attributes =
        added.length === 0
          ? "its search attributes are there"
          : `added the search attributes ${added.join(", ")}`;
      return { value: { address: found.address, uiUrl: null }, told: `${found.how}, ${attributes}` };
    }
    const server = await startTemporal({
      program: found.path,
      home,
      port: embeddedPort,
      uiPort: embeddedUiPort,
      namespace,
      searchAttributes,
      logFile: logFile(home, "temporal"),
    });
    stack.add(server.process, "support");
    return { value: server, told: `embedded, ${server.address}, program from ${found.how}` };
  });
}

async function provideDemo(
  { config, home, secretKey }: Setting,
  database: Database,
  simulator: Simulator,
  api: string,
): Promise<{ readonly accounts: readonly string[]; readonly password: string }> {
  return await step("Demo shop", async () => {
    const password = await demoPassword(home, config.demo.password);
    const { accounts } = await seedDemo({
      databaseUrl: database.url,
      simulatorUrl: simulator.url,
      secretKey,
      password,
      log: tell,
    });
    const [email] = accounts;
    if (email !== undefined) await publishDemo(home, { apiUrl: api, email, password });
    return { value: { accounts, password }, told: `${accounts.length} accounts` };
  });
}

function localUrl(host: string, port: number): string {
  const everywhere: Readonly<Record<string, string>> = { "0.0.0.0": "127.0.0.1", "::": "[::1]" };
  return `http://${everywhere[host] ?? host}:${port}`;
}

/** `--second-shop on`: the demo's seller has a second shop, which sells the same units. */
function wantsSecondShop(): boolean {
  const { values } = parseArgs({ options: { "second-shop": { type: "string", default: "off" } } });
  return values["second-shop"] === "on";
}

async function main(): Promise<void> {
  const secondShop = wantsSecondShop();
  const stack = createStack();
  let home: string | null = null;
  const closing = closeWithGrace(
    { delay: stopMillisecondsMax, logger: false, skip: [...stopSignals] },
    async ({ err }) => {
      tell(err === undefined ? "\nStopping." : `\n${err.message}\n`);
      await stack.stop();
      if (home !== null) await leaveHome(home);
      if (err === undefined) tell("Stopped. Nothing is lost; the next start goes on from here.");
    },
  );
  stopWhenAsked(() => closing.close());
  const given = loadConfig();
  const config =
    given.tiktokShop.app === null ? loadConfig({ TIME_SCALE: demoTimeScale, ...withoutEmpty() }) : given;
  const folder = path.resolve(config.home);
  await takeHome(folder);
  home = folder;
  tell("CreatorFlow is starting.\n");
  await Promise.race([start(config, folder, stack, secondShop), stack.broken]);
  await stack.broken;
}

/** Ctrl-C stops in order; pressed again, at once: the children's guards then end them by themselves. */
function stopWhenAsked(stop: () => void): void {
  let askedAt: number | null = null;
  const onSignal = (): void => {
    if (askedAt === null) {
      askedAt = performance.now();
      stop();
      // npm hands on the signal that the terminal has sent to us as well: one press arrives twice.
    } else if (performance.now() - askedAt > 1000) process.exit(130);
  };
  for (const signal of stopSignals) process.on(signal, onSignal);
}

/** An empty value means "not given", as in .env.example. */
function withoutEmpty(): NodeJS.ProcessEnv {
  return Object.fromEntries(Object.entries(inheritedEnvironment()).filter(([, value]) => value !== ""));
}

void main();
