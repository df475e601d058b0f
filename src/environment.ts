import { z } from "zod";
import { crashPoints, readCrashPoint } from "./crash-points.ts";

/**
 * What each setting must be, alone and together with the others. Every key is in `.env.example`; a test compares the two.
 * Text is never coerced to a boolean: a switch is "on" or "off" and anything else is refused. What a setting must be is
 * said with an example and never with the value that was given, which may be a secret.
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
  SIMULATOR_URL: httpUrl("http://127.0.0.1:3900").optional(),
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

  LOW_STOCK_ALERT_ENABLED: choice("true", "false").default("true"),
  SMTP_URL: z
    .url({
      protocol: /^smtps?$/,
      error: "must be an address of a mail server, for example smtps://user:password@mail.example:465",
    })
    .optional(),
  ALERT_FROM: text(
    /^(?:[^\p{Cc}<>@"]{1,100} <[^\s<>@"]+@[A-Za-z0-9.-]+>|[^\s<>@"]+@[A-Za-z0-9.-]+)$/u,
    "an e-mail address, with or without a name, for example CreatorFlow <alerts@creatorflow.example>",
  ).optional(),
  TWILIO_ACCOUNT_SID: text(
    /^AC[0-9a-f]{32}$/,
    "an account's id, AC and 32 hexadecimal digits, for example the one that the Twilio Console shows",
  ).optional(),
  TWILIO_AUTH_TOKEN: oneLine("the 32 characters of the Twilio Console").optional(),
  TWILIO_FROM: text(
    /^(?:\+[1-9]\d{6,14}|MG[0-9a-f]{32})$/,
    "a number of yours or the id of a messaging service, for example +447700900123",
  ).optional(),
  TWILIO_API_URL: httpUrl("https://api.twilio.com").default("https://api.twilio.com"),
  ENGINEERING_EMAIL: z
    .email({ error: "must be an e-mail address, for example engineering@creatorflow.example" })
    .optional(),

  CREATORFLOW_API_URL: httpUrl("http://127.0.0.1:3000").optional(),
  CREATORFLOW_EMAIL: z.email({ error: "must be an e-mail address, for example admin@demo.local" }).optional(),
  CREATORFLOW_PASSWORD: password("the password of that account").optional(),
});

export type Environment = z.output<typeof environmentSchema>;

type Key = keyof Environment;
type Given = Readonly<Partial<Record<Key, string>>>;

/**
 * Reads the environment.
 *
 * @param needed settings that must be there in any case; production needs more.
 * @throws Error naming every setting that is missing or wrong and what it must be. It holds no value that was given.
 */
export function readEnvironment(environment: NodeJS.ProcessEnv, needed: readonly Needed[]): Environment {
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
  return parsed.data;
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

type Needed = keyof typeof whyMissing;

/** What is wrong with settings together, each of which may be right alone. */
function findContradictions(given: Given, neededAnyway: readonly Needed[]): readonly string[] {
  const isProduction = given.NODE_ENV === "production";
  const isHalfAnApp =
    (given.TIKTOK_SHOP_APP_KEY === undefined) !== (given.TIKTOK_SHOP_APP_SECRET === undefined);
  const isWorkerOpen = given.WORKER_METRICS_PORT !== undefined && !isLoopback(given.WORKER_METRICS_HOST);
  const needed: readonly Needed[] = isProduction ? (Object.keys(whyMissing) as Needed[]) : neededAnyway;
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
    ...findHalfMessaging(given),
    ...(isProduction ? findDemoSettings(given) : []),
  ];
}

function findHalfMessaging(given: Given): readonly string[] {
  const twilio = [given.TWILIO_ACCOUNT_SID, given.TWILIO_AUTH_TOKEN, given.TWILIO_FROM];
  const set = twilio.filter((value) => value !== undefined).length;
  return [
    ...(given.SMTP_URL !== undefined && given.ALERT_FROM === undefined
      ? [
          "ALERT_FROM is missing: SMTP_URL needs to know whom mails come from, for example alerts@creatorflow.example",
        ]
      : []),
    ...(set > 0 && set < twilio.length
      ? ["TWILIO_ACCOUNT_SID, TWILIO_AUTH_TOKEN and TWILIO_FROM belong together: set all or none"]
      : []),
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
