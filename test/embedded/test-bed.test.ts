import pg from "pg";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createTestDatabase, type TestDatabase } from "../support/database.ts";
import { type TestTemporal, testTemporal } from "../support/temporal.ts";
import { until } from "../support/until.ts";

describe("the test bed's databases", () => {
  let first: TestDatabase;
  let second: TestDatabase;
  beforeAll(async () => {
    [first, second] = await Promise.all([createTestDatabase(), createTestDatabase()]);
  });
  afterAll(async () => {
    await Promise.all([first.drop(), second.drop()]);
  });

  const ask = async (url: string, statement: string): Promise<Record<string, unknown>[]> => {
    const client = new pg.Client({ connectionString: url });
    await client.connect();
    return await client
      .query(statement)
      .then(
        ({ rows }) => rows as Record<string, unknown>[],
        (error: unknown) => Promise.reject(error instanceof Error ? error : new Error(String(error))),
      )
      .finally(() => client.end());
  };

  it("hold every migration, and what one file writes the other does not see", async () => {
    expect(await ask(first.superuserUrl, "select to_regclass('tenants') is not null as there")).toEqual([
      { there: true },
    ]);
    await ask(first.migrationUrl, "create table mark (id int)");
    expect(await ask(second.superuserUrl, "select to_regclass('mark') is null as absent")).toEqual([
      { absent: true },
    ]);
  });

  it("are entered by the processes with a login that is no superuser and owns nothing", async () => {
    const [login] = await ask(
      first.url,
      "select rolsuper, rolbypassrls, rolcreaterole, rolcreatedb from pg_roles where rolname = session_user",
    );
    expect(login).toEqual({ rolsuper: false, rolbypassrls: false, rolcreaterole: false, rolcreatedb: false });
    await expect(ask(first.url, "create table mine (id int)")).rejects.toThrow(/permission denied/);
  });
});

describe("the test bed's Temporal server", () => {
  let temporal: TestTemporal;
  beforeAll(async () => {
    temporal = await testTemporal();
  });
  afterAll(async () => {
    await temporal.close();
  });

  it("knows our search attributes with their types", async () => {
    const { customAttributes } = await temporal.client.connection.operatorService.listSearchAttributes({
      namespace: temporal.namespace,
    });
    expect(customAttributes).toMatchObject({
      CfShop: 2,
      CfOrder: 2,
      CfOrderStatus: 2,
      CfSku: 2,
      CfNeedsAttention: 5,
      CfShipBy: 6,
    });
  });
});

describe("until", () => {
  it("returns what the probe found, also when the probe failed before", async () => {
    let asked = 0;
    const found = await until("the third answer", () => {
      asked += 1;
      if (asked === 1) throw new Error("not there");
      return asked === 3 ? "here" : null;
    });
    expect(found).toBe("here");
  });

  it("gives up after its bound, saying what was waited for and the last answer", async () => {
    await expect(until("the impossible", () => false, { seconds: 0.05 })).rejects.toThrow(
      "Waited 0.05 s in vain until the impossible. Last answer: false",
    );
  });
});
