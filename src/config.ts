import { type ArmedCrashPoint, readCrashPoint } from "./crash-points.ts";
import { type Environment, readEnvironment } from "./environment.ts";

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
  /** Where a simulator's books can be read; null: the channel is the real one, which shows nobody its books. */
  readonly simulatorUrl: string | null;
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
  /** Milliseconds between two looks at what a shop's listings show, scaled. */
  readonly inventorySyncMilliseconds: number;
  /** Milliseconds for which a channel that does not answer is spared, scaled. */
  readonly breakerPauseMilliseconds: number;
  readonly alerts: {
    /** Whether people are told of low stock. */
    readonly lowStock: boolean;
    /** Null: mails are only noted in the log. */
    readonly smtp: { readonly url: string; readonly from: string } | null;
    /** Null: text messages are only noted in the log. */
    readonly twilio: {
      readonly apiUrl: string;
      readonly accountSid: string;
      readonly authToken: string;
      readonly from: string;
    } | null;
    /** Who looks after the installation; null: nobody has said. */
    readonly engineeringEmail: string | null;
  };
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
  return Object.freeze(makeConfig(readEnvironment(environment, [])));
}

/** Reads and checks the environment of the API and of a worker; see `loadConfig`. */
export function loadProcessConfig(environment: NodeJS.ProcessEnv = process.env): ProcessConfig {
  const config = makeConfig(readEnvironment(environment, neededByProcesses));
  // What the type promises beyond `Config` is what the needed settings are made into.
  return Object.freeze(config) as ProcessConfig;
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

const neededByProcesses = ["DATABASE_URL", "TIKTOK_SHOP_APP_KEY", "TIKTOK_SHOP_APP_SECRET"] as const;

/** Between two looks at what a shop's listings show; pushes are read back by themselves. */
const inventorySyncMinutes = 15;

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
    simulatorUrl: value.SIMULATOR_URL ?? null,
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
    inventorySyncMilliseconds: Math.max(
      15_000,
      Math.round((inventorySyncMinutes * 60_000) / value.TIME_SCALE),
    ),
    breakerPauseMilliseconds: Math.max(1_000, Math.round(60_000 / value.TIME_SCALE)),
    alerts: {
      lowStock: value.LOW_STOCK_ALERT_ENABLED === "true",
      smtp:
        value.SMTP_URL === undefined || value.ALERT_FROM === undefined
          ? null
          : { url: value.SMTP_URL, from: value.ALERT_FROM },
      twilio:
        value.TWILIO_ACCOUNT_SID === undefined ||
        value.TWILIO_AUTH_TOKEN === undefined ||
        value.TWILIO_FROM === undefined
          ? null
          : {
              apiUrl: value.TWILIO_API_URL,
              accountSid: value.TWILIO_ACCOUNT_SID,
              authToken: value.TWILIO_AUTH_TOKEN,
              from: value.TWILIO_FROM,
            },
      engineeringEmail: value.ENGINEERING_EMAIL ?? null,
    },
    client: {
      apiUrl: value.CREATORFLOW_API_URL ?? null,
      email: value.CREATORFLOW_EMAIL ?? null,
      password: value.CREATORFLOW_PASSWORD ?? null,
    },
  };
}
