import { execFile } from "node:child_process";
import fs from "node:fs";
import path from "node:path";
import { describe, expect, it } from "vitest";
import { loadConfig, loadProcessConfig } from "../src/config.ts";
import { demoSecretKey, environmentSchema } from "../src/environment.ts";

const example = fs.readFileSync(path.resolve(import.meta.dirname, "../.env.example"), "utf8");
const exampleEntries = [...example.matchAll(/^([A-Z_]+)=(.*)$/gm)].map(
  ([, key, value]) => [key!, value!] as const,
);

const production = {
  NODE_ENV: "production",
  CREATORFLOW_SECRET_KEY: Buffer.alloc(32, 7).toString("base64"),
  DATABASE_URL: "postgres://app:secret@db.example/creatorflow",
  TEMPORAL_ADDRESS: "temporal.example:7233",
  TIKTOK_SHOP_APP_KEY: "key",
  TIKTOK_SHOP_APP_SECRET: "secret",
  METRICS_TOKEN: "0123456789abcdef",
};

/** Values that somebody may well have set; each holds a mark that no message may repeat. */
const wrongPorts = ["0", "-1", "65536", "31337.5", "0x7a69", "1e4", "ⅻ-leak", " 31337", "31337 "];
const wrongUrls = [
  "leak",
  "//leak.example",
  "http://",
  "ftp://leak.example",
  "javascript:leak",
  "leak.example:80",
];
const wrongLines = [" leak", "leak\n", "le\u0007ak", " ", "\t"];
const wrongDatabases = ["leak:5432", "http://user:leak@db.example/x", "db.leak.example", "postgres//leak"];
const wrongHosts = ["http://leak", "leak leak", "leak/24", "leak\n"];
const wrongValues: Readonly<Record<keyof typeof environmentSchema.shape, readonly string[]>> = {
  NODE_ENV: ["staging-leak", "Production", " "],
  LOG_LEVEL: ["loud-leak", "INFO", "30"],
  CREATORFLOW_HOME: wrongLines,
  CREATORFLOW_DEMO: ["true", "false", "ON", "1", "leak"],
  CREATORFLOW_DEMO_PASSWORD: ["leak", "leak-leak-leak\n"],
  CREATORFLOW_SECRET_KEY: [
    "c2hvcnQ=",
    "leak",
    `${demoSecretKey}=`,
    demoSecretKey.slice(1),
    ` ${demoSecretKey}`,
  ],
  CREATORFLOW_CRASH_POINT: ["leak", ":2", "leak:0"],
  HOST: wrongHosts,
  PORT: wrongPorts,
  PUBLIC_URL: wrongUrls,
  METRICS_TOKEN: ["leak", "leak leak leak leak", "leak-with-umlaut-ä", "leak-leak-leak-leak\n"],
  WORKER_METRICS_HOST: wrongHosts,
  WORKER_METRICS_PORT: wrongPorts,
  DATABASE_URL: wrongDatabases,
  MIGRATION_DATABASE_URL: wrongDatabases,
  DATABASE_POOL_SIZE: ["0", "201", "-5", "1.5", "many-leak"],
  POSTGRES_PORT: wrongPorts,
  SIMULATOR_URL: wrongUrls,
  TEMPORAL_ADDRESS: ["leak", "http://leak:7233", "leak:", ":7233", "leak:7233/x", "le ak:7233"],
  TEMPORAL_NAMESPACE: wrongLines,
  TEMPORAL_CLI_PATH: wrongLines,
  TEMPORAL_PORT: wrongPorts,
  TEMPORAL_UI_PORT: wrongPorts,
  TEMPORAL_UI_URL: wrongUrls,
  SIMULATOR_PORT: wrongPorts,
  TIKTOK_SHOP_API_URL: wrongUrls,
  TIKTOK_SHOP_AUTH_URL: wrongUrls,
  TIKTOK_SHOP_APP_KEY: wrongLines,
  TIKTOK_SHOP_APP_SECRET: wrongLines,
  TIKTOK_SHOP_APP_SECRET_PREVIOUS: wrongLines,
  INVENTORY_SYNC_INTERVAL: ["9999", "86400001", "-300000", "5 minutes (leak)", "NaN", "Infinity"],
  TIME_SCALE: ["0", "0.5", "-1", "100001", "fast-leak", "Infinity", "0x10"],
  LOW_STOCK_ALERT_ENABLED: ["on", "off", "TRUE", "1", "leak"],
  SMTP_URL: ["leak", "http://mail.leak.example", "mail.leak.example:25", "smtp//leak"],
  ALERT_FROM: [
    "leak",
    "leak@",
    "a b@leak.example",
    "Leak <leak.example>",
    "Leak <a@leak.example>\nBcc: x",
    '"<leak@x.example>"',
  ],
  TWILIO_ACCOUNT_SID: ["leak", "AC0", `ac${"0".repeat(32)}`, `AC${"0".repeat(32)} leak`],
  TWILIO_AUTH_TOKEN: wrongLines,
  TWILIO_FROM: ["leak", "447700900123", "+0441234567", "+44 7700 900123", "MGleak"],
  TWILIO_API_URL: wrongUrls,
  ENGINEERING_EMAIL: ["nobody-leak", "leak@", "@leak.example", "a b@leak.example"],
  CREATORFLOW_API_URL: wrongUrls,
  CREATORFLOW_EMAIL: ["nobody-leak", "leak@", "@leak.example", "a b@leak.example"],
  CREATORFLOW_PASSWORD: ["leak\n", "le\u0000ak"],
};

describe(".env.example", () => {
  it("has exactly the keys that the configuration reads, each once", () => {
    const keys = exampleEntries.map(([key]) => key);
    expect([...keys].sort()).toEqual(Object.keys(environmentSchema.shape).sort());
  });

  it("shows the values that are used when nothing is set", () => {
    expect(loadConfig(Object.fromEntries(exampleEntries))).toEqual(loadConfig({}));
  });
});

/** What loading says against these settings. */
function refusalOf(
  environment: NodeJS.ProcessEnv,
  load: (from: NodeJS.ProcessEnv) => unknown = loadConfig,
): string {
  try {
    load(environment);
  } catch (error) {
    return String(error);
  }
  throw new Error(`Accepted: ${JSON.stringify(environment)}`);
}

describe("the configuration", () => {
  it("runs without any setting in development, embedded and with the demo", () => {
    expect(loadConfig({})).toMatchObject({
      production: false,
      demo: { orders: true, password: null },
      database: { url: null, migrationUrl: null },
      temporal: { address: null },
      tiktokShop: { app: null },
      timeScale: 1,
    });
  });

  it.each(Object.entries(wrongValues))(
    "refuses every wrong %s by its name, says what it must be with an example, and does not repeat the value",
    (key, values) => {
      for (const value of values) {
        const lines = refusalOf({ [key]: value }).split("\n");
        const about = lines.filter((line) => line.startsWith(`  ${key} must `));
        expect(about, value).toHaveLength(1);
        expect(about[0], value).toMatch(/for example \S|must be one of: \S/);
        expect(lines.join(), value).not.toMatch(/leak|31337/);
      }
    },
  );

  it("names everything that is wrong at once, also what is wrong with settings together", () => {
    const said = refusalOf({
      ...{ NODE_ENV: "production", PORT: "no", LOG_LEVEL: "loud", TIME_SCALE: "2" },
      ...{ TIKTOK_SHOP_APP_KEY: "key", WORKER_METRICS_PORT: "9464", WORKER_METRICS_HOST: "0.0.0.0" },
    });
    expect([...said.matchAll(/^ {2}([A-Z_]+) (\w+ \w+)/gm)].map(([, key, what]) => `${key} ${what}`)).toEqual(
      [
        "LOG_LEVEL must be",
        "PORT must be",
        "CREATORFLOW_SECRET_KEY is missing",
        "DATABASE_URL is missing",
        "TEMPORAL_ADDRESS is missing",
        "TIKTOK_SHOP_APP_SECRET is missing",
        "METRICS_TOKEN is missing",
        "WORKER_METRICS_HOST opens the",
        "TIME_SCALE must be",
      ],
    );
  });

  it("takes an empty value for one that is not given", () => {
    expect(loadConfig({ PORT: "", DATABASE_URL: "" })).toEqual(loadConfig({}));
  });

  it("refuses half of a TikTok app", () => {
    expect(() => loadConfig({ TIKTOK_SHOP_APP_KEY: "key" })).toThrow(/belong together/);
    expect(() => loadConfig({ TIKTOK_SHOP_APP_SECRET: "secret" })).toThrow(/belong together/);
  });

  it("is enough for an API or a worker only with what they work with", () => {
    const said = refusalOf({}, loadProcessConfig);
    for (const key of ["DATABASE_URL", "TIKTOK_SHOP_APP_KEY", "TIKTOK_SHOP_APP_SECRET"])
      expect(said).toContain(`  ${key} is missing: `);
    expect(loadProcessConfig(production).database.url).toBe(production.DATABASE_URL);
  });

  it("shows a worker's figures on no port by default, on the loopback when only a port is given", () => {
    expect(loadConfig({}).metrics.worker).toBeNull();
    expect(loadConfig({ WORKER_METRICS_PORT: "9464" }).metrics.worker).toEqual({
      host: "127.0.0.1",
      port: 9464,
    });
  });

  it.each(["0.0.0.0", "::", "10.0.0.1", "127.example", "worker.example"])(
    "shows them on %s only to who has a token",
    (host) => {
      const open = { WORKER_METRICS_PORT: "9464", WORKER_METRICS_HOST: host };
      expect(refusalOf(open)).toContain("set METRICS_TOKEN");
      const { metrics } = loadConfig({ ...open, METRICS_TOKEN: production.METRICS_TOKEN });
      expect(metrics).toEqual({ token: production.METRICS_TOKEN, worker: { host, port: 9464 } });
    },
  );

  it("cannot be changed after it was read", () => {
    expect(Object.isFrozen(loadConfig({}))).toBe(true);
  });
});

describe("production", () => {
  it("starts when everything is given and nothing is of the demo", () => {
    expect(loadConfig(production).production).toBe(true);
  });

  it.each([
    {
      flaw: "the demo's secret key",
      change: { CREATORFLOW_SECRET_KEY: demoSecretKey },
      says: "CREATORFLOW_SECRET_KEY",
    },
    { flaw: "no secret key", change: { CREATORFLOW_SECRET_KEY: undefined }, says: "CREATORFLOW_SECRET_KEY" },
    { flaw: "the embedded database", change: { DATABASE_URL: undefined }, says: "DATABASE_URL" },
    {
      flaw: "the embedded Temporal server",
      change: { TEMPORAL_ADDRESS: undefined },
      says: "TEMPORAL_ADDRESS",
    },
    {
      flaw: "the simulator",
      change: { TIKTOK_SHOP_APP_KEY: undefined, TIKTOK_SHOP_APP_SECRET: undefined },
      says: "TIKTOK_SHOP_APP_KEY",
    },
    { flaw: "time that runs faster", change: { TIME_SCALE: "720" }, says: "TIME_SCALE" },
    { flaw: "figures for everybody", change: { METRICS_TOKEN: undefined }, says: "METRICS_TOKEN is missing" },
    {
      flaw: "a demo password",
      change: { CREATORFLOW_DEMO_PASSWORD: "password-of-the-demo" },
      says: "CREATORFLOW_DEMO_PASSWORD",
    },
  ])("refuses to start with $flaw, and names the setting", ({ change, says }) => {
    const load = (): unknown => loadConfig({ ...production, ...change });
    expect(load).toThrow(/^The configuration is not usable/);
    expect(load).toThrow(says);
  });
});

describe("a process with a wrong configuration", () => {
  it.each(["src/api/server.ts", "worker.ts", "src/cli/main.ts", "src/embedded/start.ts"])(
    "%s says all of it in plain words and ends with 1",
    async (file) => {
      const environment = {
        DATABASE_URL: "http://user:leak@db.example",
        PORT: "leak",
        METRICS_TOKEN: "leak",
      };
      const { code, output } = await run(file, environment);
      expect(code, output).toBe(1);
      for (const key of Object.keys(environment)) expect(output).toContain(`  ${key} must be `);
      expect(output).not.toMatch(/leak|^\s+at |node:internal/m);
    },
  );
});

function run(file: string, environment: NodeJS.ProcessEnv): Promise<{ code: unknown; output: string }> {
  return new Promise((resolve) => {
    execFile(
      process.execPath,
      ["--import", "tsx", file],
      { cwd: path.resolve(import.meta.dirname, ".."), env: { PATH: process.env["PATH"], ...environment } },
      (error, stdout, stderr) => resolve({ code: error?.code ?? 0, output: stdout + stderr }),
    );
  });
}
