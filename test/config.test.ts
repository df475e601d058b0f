import fs from "node:fs";
import path from "node:path";
import { describe, expect, it } from "vitest";
import { demoSecretKey, environmentSchema, loadConfig } from "../src/config.ts";

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

  it.each([
    { key: "PORT", value: "70000" },
    { key: "PORT", value: "three thousand" },
    { key: "DATABASE_URL", value: "localhost" },
    { key: "CREATORFLOW_DEMO", value: "true" },
    { key: "CREATORFLOW_DEMO_PASSWORD", value: "short" },
    { key: "CREATORFLOW_SECRET_KEY", value: "c2hvcnQ=" },
    { key: "TIME_SCALE", value: "0" },
    { key: "LOG_LEVEL", value: "loud" },
    { key: "NODE_ENV", value: "staging" },
    { key: "CREATORFLOW_EMAIL", value: "nobody" },
  ])("refuses $key=$value and names the key", ({ key, value }) => {
    expect(() => loadConfig({ [key]: value })).toThrow(
      new RegExp(`^The configuration is not usable:\\n {2}${key}: .`),
    );
  });

  it("names every wrong key at once", () => {
    const load = (): unknown => loadConfig({ PORT: "no", LOG_LEVEL: "loud", TIME_SCALE: "-1" });
    for (const key of ["PORT", "LOG_LEVEL", "TIME_SCALE"]) expect(load).toThrow(`  ${key}: `);
  });

  it("takes an empty value for one that is not given", () => {
    expect(loadConfig({ PORT: "", DATABASE_URL: "" })).toEqual(loadConfig({}));
  });

  it("refuses half of a TikTok app", () => {
    expect(() => loadConfig({ TIKTOK_SHOP_APP_KEY: "key" })).toThrow(/belong together/);
    expect(() => loadConfig({ TIKTOK_SHOP_APP_SECRET: "secret" })).toThrow(/belong together/);
  });

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
    {
      flaw: "a demo password",
      change: { CREATORFLOW_DEMO_PASSWORD: "password-of-the-demo" },
      says: "CREATORFLOW_DEMO_PASSWORD",
    },
  ])("refuses to start with $flaw, and names the setting", ({ change, says }) => {
    const load = (): unknown => loadConfig({ ...production, ...change });
    expect(load).toThrow(/^NODE_ENV=production refuses to start/);
    expect(load).toThrow(says);
  });
});
