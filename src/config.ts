import { z } from "zod";
import { type ArmedCrashPoint, crashPoints, readCrashPoint } from "./crash-points.ts";

/**
 * The only reader of the environment. Every key is in `.env.example`; a test compares the two. Text is never coerced
 * to a boolean: a switch is "on" or "off" and anything else is refused. What a setting must be is said with an example and
 * never with the value that was given, which may be a secret.
 */
const text = (pattern: RegExp, wanted: string) => z.string().regex(pattern, { error: `must be ${wanted}` });

const choice = <const Values extends readonly [string, ...string[]]>(...values: Values) =>
  z.enum(values, { error: `must be one of: ${values.join(", ")}` });

const wholeNumber = (least: number, most: number, example: number) =>
  z
    .string()
    .refine((given) => /^\d{1,9}$/.test(given) && Number(given) >= least && Number(given) <= most, {
      error: `must be a whole number from ${least} to ${most}, for example ${example}`,
    })
    .transform(Number);

const portNumber = (example: number) => wholeNumber(1, 65_535, example);
const port = (byDefault: number) => portNumber(byDefault).default(byDefault);
const httpUrl = (example: string) =>
  z.url({ protocol: /^https?$/, error: `must be an http or https address, for example ${example}` });
const postgresUrl = z.url({
  protocol: /^postgres(?:ql)?$/,
  error: "must be a PostgreSQL address, for example postgres://user:password@127.0.0.1:5432/creatorflow",
});
/** What is pasted often brings a line break along, and then nothing that is signed with it is right. */
const oneLine = (example: string) =>
  text(/^(?!\s)[^\p{Cc}]+(?<!\s)$/u, `one line without blanks around it, for example ${example}`);
const password = (example: string) => text(/^[^\p{Cc}]+$/u, `one line, for example ${example}`);
const host = text(/^[A-Za-z0-9_.:-]+$/, "a host's name or address, for example 127.0.0.1");

/** The master key every development set-up shares; production refuses it. 32 bytes, base64. */
export const demoSecretKey = "Y3JlYXRvcmZsb3ctZGVtby1tYXN0ZXIta2V5LTMyYnk=";

export const environmentSchema = z.object({
  NODE_ENV: choice("development", "test", "production").default("development"),
  LOG_LEVEL: choice("fatal", "error", "warn", "info", "debug", "trace", "silent").default("info"),

  CREATORFLOW_HOME: oneLine(".creatorflow").default(".creatorflow"),
  CREATORFLOW_DEMO: choice("on", "off").default("on"),
  CREATORFLOW_DEMO_PASSWORD: text(
    /^[^\p{Cc}]{8,}$/u,
    "one line of 8 characters at least, for example a-long-password",
  ).optional(),
  CREATORFLOW_SECRET_KEY: text(
    /^[A-Za-z0-9+/]{43}=$/,
    "32 bytes in base64, for example what `openssl rand -base64 32` prints",
  ).default(demoSecretKey),
  CREATORFLOW_CRASH_POINT: z
    .string()
    .refine((given) => readCrashPoint(given) !== null, {
      error: `must name a crash point of src/crash-points.ts, for example ${Object.keys(crashPoints)[0]}`,
    })
    .optional(),

  HOST: host.default("127.0.0.1"),
  PORT: port(3000),
  PUBLIC_URL: httpUrl("https://creatorflow.example").optional(),

  METRICS_TOKEN: text(
    /^[\x21-\x7e]{16,}$/,
    "16 visible ASCII characters at least, for example what `openssl rand -hex 16` prints",
  ).optional(),
  WORKER_METRICS_HOST: host.default("127.0.0.1"),
  WORKER_METRICS_PORT: portNumber(9464).optional(),

  DATABASE_URL: postgresUrl.optional(),
  MIGRATION_DATABASE_URL: postgresUrl.optional(),
  DATABASE_POOL_SIZE: wholeNumber(1, 200, 10).default(10),
  POSTGRES_PORT: port(5439),

  TEMPORAL_ADDRESS: text(
    /^(?:\[[0-9a-fA-F:]+\]|[A-Za-z0-9_.-]+):\d{1,5}$/,
    "a host and a port, for example 127.0.0.1:7233",
  ).optional(),
  TEMPORAL_NAMESPACE: oneLine("default").default("default"),
  TEMPORAL_CLI_PATH: oneLine("/usr/local/bin/temporal").optional(),
  TEMPORAL_PORT: port(7233),
  TEMPORAL_UI_PORT: port(8233),
  TEMPORAL_UI_URL: httpUrl("http://127.0.0.1:8233").optional(),

  SIMULATOR_PORT: port(3900),
  TIKTOK_SHOP_API_URL: httpUrl("https://open-api.tiktokglobalshop.com").default(
    "https://open-api.tiktokglobalshop.com",
  ),
  TIKTOK_SHOP_AUTH_URL: httpUrl("https://auth.tiktok-shops.com").default("https://auth.tiktok-shops.com"),
  TIKTOK_SHOP_APP_KEY: oneLine("6ab1cdefghijk").optional(),
  TIKTOK_SHOP_APP_SECRET: oneLine("the 40 characters of the Partner Center").optional(),
  TIKTOK_SHOP_APP_SECRET_PREVIOUS: oneLine("the 40 characters of the Partner Center").optional(),

  INVENTORY_SYNC_INTERVAL: wholeNumber(10_000, 86_400_000, 300_000).default(300_000),
  TIME_SCALE: z
    .string()
    .refine(
      (given) => /^\d{1,6}(?:\.\d{1,6})?$/.test(given) && Number(given) >= 1 && Number(given) <= 100_000,
      {
        error: "must be a number from 1 to 100000, for example 720",
      },
    )
    .transform(Number)
    .default(1),

  CREATORFLOW_API_URL: httpUrl("http://127.0.0.1:3000").optional(),
  CREATORFLOW_EMAIL: z.email({ error: "must be an e-mail address, for example admin@demo.local" }).optional(),
  CREATORFLOW_PASSWORD: password("the password of that account").optional(),
});

type Environment = z.output<typeof environmentSchema>;

interface TikTokApp {
  readonly key: string;
  readonly secret: string;
  /** Still accepted for webhooks while a secret is being rotated. */
  readonly previousSecret: string | null;
}

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
    readonly app: TikTokApp | null;
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

/** Of a process that starts nothing itself: what it works with is named. */
export type ProcessConfig = Config & {
  readonly database: { readonly url: string };
  readonly tiktokShop: { readonly app: TikTokApp };
};

/**
 * Reads and checks the environment.
 *
 * @throws Error naming every setting that is wrong and what it must be, and in production every one that is missing or
 *   that only a demo may have. It holds no value that was given.
 */
export function loadConfig(environment: NodeJS.ProcessEnv = process.env): Config {
  return load(environment, []);
}

/** Reads and checks the environment of the API and of a worker; see `loadConfig`. */
export function loadProcessConfig(environment: NodeJS.ProcessEnv = process.env): ProcessConfig {
  // What the type promises beyond `Config` is what the needed settings are made into.
  return load(environment, neededByProcesses) as ProcessConfig;
}

/** Gives what was loaded, or says on standard error why it could not be and ends the process with 1. For entry points. */
export function configOrExit<Loaded extends Config>(load: () => Loaded): Loaded {
  try {
    return load();
  } catch (error) {
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
    process.exit(1);
  }
}

type Key = keyof Environment;
type Given = Readonly<Partial<Record<Key, string>>>;

const neededByProcesses = ["DATABASE_URL", "TIKTOK_SHOP_APP_KEY", "TIKTOK_SHOP_APP_SECRET"] as const;

function load(environment: NodeJS.ProcessEnv, needed: readonly (keyof typeof whyMissing)[]): Config {
  const given: Given = Object.fromEntries(
    Object.keys(environmentSchema.shape)
      .map((key) => [key, environment[key]] as const)
      .filter(([, value]) => value !== undefined && value !== ""),
  );
  const parsed = environmentSchema.safeParse(given);
  const problems = [
    ...(parsed.error?.issues ?? []).map((issue) => `${issue.path.join(".")} ${issue.message}`),
    ...findContradictions(given, needed),
  ];
  if (!parsed.success || problems.length > 0) {
    const lines = problems.map((problem) => `  ${problem}\n`).join("");
    throw new Error(`The configuration is not usable:\n${lines}Every setting is explained in .env.example.`);
  }
  return Object.freeze(makeConfig(parsed.data));
}

/** What a setting that must be there is for, with an example. */
const whyMissing = {
  CREATORFLOW_SECRET_KEY:
    "the demo's key protects nothing; make one of your own, for example by `openssl rand -base64 32`",
  DATABASE_URL:
    "the embedded database is started by `npm start` alone; for example postgres://creatorflow_app:password@db.example/creatorflow",
  TEMPORAL_ADDRESS: "the embedded server is for demos alone; for example temporal.example:7233",
  TIKTOK_SHOP_APP_KEY: "the Partner Center shows it, for example 6ab1cdefghijk",
  TIKTOK_SHOP_APP_SECRET: "the Partner Center shows it beside the key",
  METRICS_TOKEN:
    "a proxy on the same machine would tell the figures to everybody; for example what `openssl rand -hex 16` prints",
} as const satisfies Partial<Record<Key, string>>;

/** What is wrong with settings together, each of which may be right alone. */
function findContradictions(
  given: Given,
  neededAnyway: readonly (keyof typeof whyMissing)[],
): readonly string[] {
  const isProduction = given.NODE_ENV === "production";
  const isHalfAnApp =
    (given.TIKTOK_SHOP_APP_KEY === undefined) !== (given.TIKTOK_SHOP_APP_SECRET === undefined);
  const isWorkerOpen = given.WORKER_METRICS_PORT !== undefined && !isLoopback(given.WORKER_METRICS_HOST);
  const needed: readonly (keyof typeof whyMissing)[] = isProduction
    ? (Object.keys(whyMissing) as (keyof typeof whyMissing)[])
    : neededAnyway;
  return [
    ...needed.filter((key) => given[key] === undefined).map((key) => `${key} is missing: ${whyMissing[key]}`),
    ...(isHalfAnApp && !needed.includes("TIKTOK_SHOP_APP_KEY")
      ? ["TIKTOK_SHOP_APP_KEY and TIKTOK_SHOP_APP_SECRET belong together: set both or neither"]
      : []),
    ...(isWorkerOpen && given.METRICS_TOKEN === undefined
      ? [
          "WORKER_METRICS_HOST opens the worker's figures to other machines: set METRICS_TOKEN, for example to what `openssl rand -hex 16` prints",
        ]
      : []),
    ...(isProduction ? findDemoSettings(given) : []),
  ];
}

function isLoopback(host: string | undefined): boolean {
  return host === undefined || host === "localhost" || host === "::1" || /^127(?:\.\d{1,3}){3}$/.test(host);
}

function findDemoSettings(given: Given): readonly string[] {
  return [
    given.CREATORFLOW_SECRET_KEY === demoSecretKey &&
      `CREATORFLOW_SECRET_KEY must not be the demo's in production: ${whyMissing.CREATORFLOW_SECRET_KEY}`,
    given.TIME_SCALE !== undefined && Number(given.TIME_SCALE) !== 1 && "TIME_SCALE must be 1 in production",
    given.CREATORFLOW_DEMO_PASSWORD !== undefined &&
      "CREATORFLOW_DEMO_PASSWORD must not be set in production",
    given.CREATORFLOW_CRASH_POINT !== undefined && "CREATORFLOW_CRASH_POINT must not be set in production",
  ].filter((problem) => problem !== false);
}

function makeConfig(value: Environment): Config {
  return {
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
}
