import { z } from "zod";
import { type ArmedCrashPoint, readCrashPoint } from "./crash-points.ts";

/**
 * The only reader of the environment. Every key is in `.env.example`; a test compares the two. Text is never coerced
 * to a boolean: a switch is "on" or "off" and anything else is refused.
 */
const port = (byDefault: number) => z.coerce.number().int().min(1).max(65_535).default(byDefault);
const url = z.url();
const secret = z.string().min(1);

/** The master key every development set-up shares; production refuses it. 32 bytes, base64. */
export const demoSecretKey = "Y3JlYXRvcmZsb3ctZGVtby1tYXN0ZXIta2V5LTMyYnk=";

export const environmentSchema = z.object({
  NODE_ENV: z.enum(["development", "test", "production"]).default("development"),
  LOG_LEVEL: z.enum(["fatal", "error", "warn", "info", "debug", "trace", "silent"]).default("info"),

  CREATORFLOW_HOME: z.string().min(1).default(".creatorflow"),
  CREATORFLOW_DEMO: z.enum(["on", "off"]).default("on"),
  CREATORFLOW_DEMO_PASSWORD: z.string().min(8).optional(),
  CREATORFLOW_SECRET_KEY: z
    .string()
    .refine((text) => Buffer.from(text, "base64").length === 32, "must be 32 bytes in base64")
    .default(demoSecretKey),
  CREATORFLOW_CRASH_POINT: z
    .string()
    .refine((text) => readCrashPoint(text) !== null, "must name a crash point of src/crash-points.ts")
    .optional(),

  HOST: z.string().min(1).default("127.0.0.1"),
  PORT: port(3000),
  PUBLIC_URL: url.optional(),

  METRICS_TOKEN: z.string().min(16).optional(),
  WORKER_METRICS_HOST: z.string().min(1).default("127.0.0.1"),
  WORKER_METRICS_PORT: z.coerce.number().int().min(1).max(65_535).optional(),

  DATABASE_URL: url.optional(),
  MIGRATION_DATABASE_URL: url.optional(),
  DATABASE_POOL_SIZE: z.coerce.number().int().min(1).max(200).default(10),
  POSTGRES_PORT: port(5439),

  TEMPORAL_ADDRESS: z.string().min(1).optional(),
  TEMPORAL_NAMESPACE: z.string().min(1).default("default"),
  TEMPORAL_CLI_PATH: z.string().min(1).optional(),
  TEMPORAL_PORT: port(7233),
  TEMPORAL_UI_PORT: port(8233),
  TEMPORAL_UI_URL: url.optional(),

  SIMULATOR_PORT: port(3900),
  TIKTOK_SHOP_API_URL: url.default("https://open-api.tiktokglobalshop.com"),
  TIKTOK_SHOP_AUTH_URL: url.default("https://auth.tiktok-shops.com"),
  TIKTOK_SHOP_APP_KEY: secret.optional(),
  TIKTOK_SHOP_APP_SECRET: secret.optional(),
  TIKTOK_SHOP_APP_SECRET_PREVIOUS: secret.optional(),

  INVENTORY_SYNC_INTERVAL: z.coerce.number().int().min(10_000).max(86_400_000).default(300_000),
  TIME_SCALE: z.coerce.number().min(1).max(100_000).default(1),

  CREATORFLOW_API_URL: url.optional(),
  CREATORFLOW_EMAIL: z.email().optional(),
  CREATORFLOW_PASSWORD: z.string().min(1).optional(),
});

type Environment = z.output<typeof environmentSchema>;

export interface Config {
  readonly production: boolean;
  readonly logLevel: Environment["LOG_LEVEL"];
  /** Where embedded parts keep their data. */
  readonly home: string;
  readonly demo: { readonly orders: boolean; readonly password: string | null };
  /** 32 bytes; encrypts what is personal or secret at rest. */
  readonly secretKey: Buffer;
  /** Where a process ends itself, for the crash sweep; null: nowhere. */
  readonly crashPoint: ArmedCrashPoint | null;
  readonly metrics: {
    /** What a scraper must bring; null: figures are told to this machine alone. */
    readonly token: string | null;
    /** Where a worker tells its figures; null: nowhere. */
    readonly worker: { readonly host: string; readonly port: number } | null;
  };
  readonly api: { readonly host: string; readonly port: number; readonly publicUrl: string };
  readonly database: {
    /** Login of the processes; null means: embedded. Never a superuser. */
    readonly url: string | null;
    /** Login of the owner, for migrations; null means: embedded. */
    readonly migrationUrl: string | null;
    readonly poolSize: number;
    readonly embeddedPort: number;
  };
  readonly temporal: {
    /** A running server; null means: embedded. */
    readonly address: string | null;
    readonly namespace: string;
    readonly cliPath: string | null;
    readonly embeddedPort: number;
    readonly embeddedUiPort: number;
    /** Where operators find the Temporal Web UI; null when nobody said. */
    readonly uiUrl: string | null;
  };
  readonly simulatorPort: number;
  readonly tiktokShop: {
    readonly apiUrl: string;
    readonly authUrl: string;
    /** Null without credentials: then the simulator's demo app is used. */
    readonly app: {
      readonly key: string;
      readonly secret: string;
      /** Still accepted for webhooks while a secret is being rotated. */
      readonly previousSecret: string | null;
    } | null;
  };
  /** How much faster durations pass than on the clock; 1 in production. Times on the wire are never scaled. */
  readonly timeScale: number;
  /** Milliseconds between two polls of a shop's orders, scaled; never so few that polling alone would use the budget up. */
  readonly orderSyncMilliseconds: number;
  /** Milliseconds for which a channel that does not answer is spared, scaled. */
  readonly breakerPauseMilliseconds: number;
  /** What the command line logs in with. */
  readonly client: {
    readonly apiUrl: string | null;
    readonly email: string | null;
    readonly password: string | null;
  };
}

/**
 * Reads and checks the environment.
 *
 * @throws Error naming every key that is wrong and what it must be, and in production every setting that only a demo
 *   may have.
 */
export function loadConfig(environment: NodeJS.ProcessEnv = process.env): Config {
  const given = Object.fromEntries(
    Object.keys(environmentSchema.shape)
      .map((key) => [key, environment[key]] as const)
      .filter(([, value]) => value !== undefined && value !== ""),
  );
  const parsed = environmentSchema.safeParse(given);
  if (!parsed.success) {
    const problems = parsed.error.issues.map((issue) => `  ${issue.path.join(".")}: ${issue.message}`);
    throw new Error(
      `The configuration is not usable:\n${problems.join("\n")}\nEvery key is explained in .env.example.`,
    );
  }
  const value = parsed.data;
  if ((value.TIKTOK_SHOP_APP_KEY === undefined) !== (value.TIKTOK_SHOP_APP_SECRET === undefined)) {
    throw new Error("TIKTOK_SHOP_APP_KEY and TIKTOK_SHOP_APP_SECRET belong together: set both or neither.");
  }
  const config: Config = {
    production: value.NODE_ENV === "production",
    logLevel: value.LOG_LEVEL,
    home: value.CREATORFLOW_HOME,
    demo: { orders: value.CREATORFLOW_DEMO === "on", password: value.CREATORFLOW_DEMO_PASSWORD ?? null },
    secretKey: Buffer.from(value.CREATORFLOW_SECRET_KEY, "base64"),
    crashPoint:
      value.CREATORFLOW_CRASH_POINT === undefined ? null : readCrashPoint(value.CREATORFLOW_CRASH_POINT),
    api: {
      host: value.HOST,
      port: value.PORT,
      publicUrl: value.PUBLIC_URL ?? `http://${value.HOST}:${value.PORT}`,
    },
    metrics: {
      token: value.METRICS_TOKEN ?? null,
      worker:
        value.WORKER_METRICS_PORT === undefined
          ? null
          : { host: value.WORKER_METRICS_HOST, port: value.WORKER_METRICS_PORT },
    },
    database: {
      url: value.DATABASE_URL ?? null,
      migrationUrl: value.MIGRATION_DATABASE_URL ?? null,
      poolSize: value.DATABASE_POOL_SIZE,
      embeddedPort: value.POSTGRES_PORT,
    },
    temporal: {
      address: value.TEMPORAL_ADDRESS ?? null,
      namespace: value.TEMPORAL_NAMESPACE,
      cliPath: value.TEMPORAL_CLI_PATH ?? null,
      embeddedPort: value.TEMPORAL_PORT,
      embeddedUiPort: value.TEMPORAL_UI_PORT,
      uiUrl: value.TEMPORAL_UI_URL ?? null,
    },
    simulatorPort: value.SIMULATOR_PORT,
    tiktokShop: {
      apiUrl: value.TIKTOK_SHOP_API_URL,
      authUrl: value.TIKTOK_SHOP_AUTH_URL,
      app:
        value.TIKTOK_SHOP_APP_KEY === undefined || value.TIKTOK_SHOP_APP_SECRET === undefined
          ? null
          : {
              key: value.TIKTOK_SHOP_APP_KEY,
              secret: value.TIKTOK_SHOP_APP_SECRET,
              previousSecret: value.TIKTOK_SHOP_APP_SECRET_PREVIOUS ?? null,
            },
    },
    timeScale: value.TIME_SCALE,
    orderSyncMilliseconds: Math.max(5_000, Math.round(value.INVENTORY_SYNC_INTERVAL / value.TIME_SCALE)),
    breakerPauseMilliseconds: Math.max(1_000, Math.round(60_000 / value.TIME_SCALE)),
    client: {
      apiUrl: value.CREATORFLOW_API_URL ?? null,
      email: value.CREATORFLOW_EMAIL ?? null,
      password: value.CREATORFLOW_PASSWORD ?? null,
    },
  };
  const isOpen = config.metrics.worker !== null && config.metrics.worker.host !== "127.0.0.1";
  if (isOpen && config.metrics.token === null) {
    throw new Error("WORKER_METRICS_HOST opens the worker's figures to other machines: set METRICS_TOKEN.");
  }
  if (config.production) refuseDemoSettings(config, value);
  return Object.freeze(config);
}

function refuseDemoSettings(config: Config, value: Environment): void {
  const reasons = [
    value.CREATORFLOW_SECRET_KEY === demoSecretKey &&
      "CREATORFLOW_SECRET_KEY is missing or the demo key: make one of your own (openssl rand -base64 32)",
    config.database.url === null &&
      "DATABASE_URL is missing: production does not run on the embedded database",
    config.temporal.address === null &&
      "TEMPORAL_ADDRESS is missing: production does not run on the embedded server",
    config.tiktokShop.app === null && "TIKTOK_SHOP_APP_KEY and TIKTOK_SHOP_APP_SECRET are missing",
    config.timeScale !== 1 && "TIME_SCALE must be 1",
    value.CREATORFLOW_DEMO_PASSWORD !== undefined && "CREATORFLOW_DEMO_PASSWORD must not be set",
    config.crashPoint !== null && "CREATORFLOW_CRASH_POINT must not be set",
  ].filter((reason) => reason !== false);
  if (reasons.length > 0) {
    throw new Error(
      `NODE_ENV=production refuses to start:\n${reasons.map((reason) => `  ${reason}`).join("\n")}`,
    );
  }
}
