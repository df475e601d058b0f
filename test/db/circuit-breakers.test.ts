import { sql } from "kysely";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from "vitest";
import { createCircuitBreaker } from "../../src/db/circuit-breakers.ts";
import type { Database } from "../../src/db/connection.ts";
import { getChannelHealth, listTenantShops } from "../../src/db/read-models/shops.ts";
import { withTenant } from "../../src/db/tenant.ts";
import type { Breaker } from "../../src/integrations/tiktok-shop/breaker.ts";
import { createTestDatabase, type TestDatabase } from "../support/database.ts";
import { openTestDatabase, type SeededShop, seedShop } from "../support/seed.ts";
import { until } from "../support/until.ts";

let database: TestDatabase;
let db: Database;
let otherDb: Database;
let shop: SeededShop;
let breaker: Breaker;
let otherProcess: Breaker;

beforeAll(async () => {
  database = await createTestDatabase();
  db = openTestDatabase(database.url);
  otherDb = openTestDatabase(database.url);
});
afterAll(async () => {
  await Promise.all([db.destroy(), otherDb.destroy()]);
  await database.drop();
});
beforeEach(async () => {
  shop = await seedShop(db);
  breaker = createCircuitBreaker(db);
  otherProcess = createCircuitBreaker(otherDb);
});

afterEach(() => void vi.restoreAllMocks());

async function fail(times: number, by: Breaker = breaker): Promise<void> {
  for (let time = 0; time < times; time += 1) await by.unanswered(shop, "HTTP 503");
}

/** Lets the pause pass: the row's times grow older. */
const age = (seconds: number) =>
  withTenant(db, shop.tenantId, (transaction) =>
    transaction
      .updateTable("circuit_breakers")
      .set({ retry_at: sql<string>`retry_at - make_interval(secs => ${seconds})` })
      .where("shop_id", "=", shop.shopId)
      .execute(),
  );

const shown = () =>
  withTenant(db, shop.tenantId, async (transaction) => ({
    shop: (await listTenantShops(transaction))[0]!,
    health: await getChannelHealth(transaction),
  }));

describe("a shop's circuit breaker", () => {
  test("opens after five calls in a row without an answer, for all processes, and says when to come back", async () => {
    expect(await otherProcess.permit(shop)).toEqual({ granted: true });
    await fail(4);
    expect(await breaker.permit(shop)).toEqual({ granted: true });
    await fail(1);
    const grant = await breaker.permit(shop);
    if (grant.granted) throw new Error("it is open");
    expect(grant.retryAt - Date.now()).toBeGreaterThan(55_000);
    await until("the other process has heard of it", async () => !(await otherProcess.permit(shop)).granted);
  });

  test("begins to count anew with every answer", async () => {
    await fail(4);
    await breaker.answered(shop, 10);
    await fail(4);
    expect(await breaker.permit(shop)).toEqual({ granted: true });
  });

  test("is each shop's own", async () => {
    await fail(5);
    expect(await breaker.permit(await seedShop(db))).toEqual({ granted: true });
  });

  test("lets one call of all processes try after the pause, and its answer closes it for everybody", async () => {
    await fail(5);
    await age(61);
    const processes = Array.from({ length: 6 }, () => createCircuitBreaker(otherDb));
    const grants = await Promise.all(processes.map((each) => each.permit(shop)));
    expect(grants.filter((grant) => grant.granted)).toHaveLength(1);
    await processes[grants.findIndex((grant) => grant.granted)]!.answered(shop, 5);
    await until("everybody may call again", async () => (await breaker.permit(shop)).granted);
    // What had failed here before says nothing any more.
    await fail(4);
    expect(await breaker.permit(shop)).toEqual({ granted: true });
    expect((await shown()).shop.breaker).toMatchObject({ state: "closed", retry_at: null });
  });

  test.each([
    ["behind", -3_600_000],
    ["ahead", 3_600_000],
  ])("goes by the time that passes, though this process's clock is an hour %s", async (_how, offset) => {
    const trueNow = Date.now.bind(Date);
    vi.spyOn(Date, "now").mockImplementation(() => trueNow() + offset);
    await fail(5);
    for (const process of [breaker, otherProcess]) {
      const passage = await process.permit(shop);
      if (passage.granted) throw new Error("it is open");
      expect(passage.retryAt - Date.now()).toBeGreaterThan(50_000);
      expect(passage.retryAt - Date.now()).toBeLessThanOrEqual(60_000);
    }
    await age(61);
    await until("the pause is over", async () => (await breaker.permit(shop)).granted);
  });

  test("costs no round trip a call while it is open, though this process's clock is an hour ahead", async () => {
    const trueNow = Date.now.bind(Date);
    vi.spyOn(Date, "now").mockImplementation(() => trueNow() + 3_600_000);
    await fail(5);
    await db.destroy();
    try {
      expect((await breaker.permit(shop)).granted).toBe(false);
    } finally {
      db = openTestDatabase(database.url);
    }
  });

  test("lets the next call of any process try when the one that was to try was never made", async () => {
    await fail(5);
    await age(61);
    const [trying, other] = [createCircuitBreaker(otherDb), createCircuitBreaker(db)];
    const passage = await trying.permit(shop);
    if (!passage.granted || passage.trialUntil === undefined) throw new Error("it may try");
    expect((await other.permit(shop)).granted).toBe(false);
    await trying.giveBack(shop, passage.trialUntil);
    await until("the other one may try", async () => (await other.permit(shop)).granted);
    expect((await trying.permit(shop)).granted).toBe(false);
  });

  test("costs no round trip a call while it is closed", async () => {
    expect(await breaker.permit(shop)).toEqual({ granted: true });
    await db.destroy();
    try {
      // With its pool closed any round trip would fail.
      for (let call = 0; call < 200; call += 1) {
        expect(await breaker.permit(shop)).toEqual({ granted: true });
        await breaker.answered(shop, 3);
      }
    } finally {
      db = openTestDatabase(database.url);
    }
  });

  test("is shown with the shop and in the health, with the latency of the last calls", async () => {
    expect((await shown()).health).toEqual({
      shops: 1,
      shopsSpared: 0,
      latencyMilliseconds: null,
      lastAnswerAt: null,
      retryAt: null,
    });
    await breaker.permit(shop);
    await breaker.answered(shop, 40);
    await until("written down", async () => {
      await breaker.permit(shop);
      return (await shown()).health.latencyMilliseconds === 40;
    });
    await fail(5);
    const { shop: seen, health } = await shown();
    expect(seen.breaker).toMatchObject({ state: "open", last_failure: "HTTP 503" });
    expect(health).toMatchObject({ shops: 1, shopsSpared: 1 });
    await age(61);
    expect((await shown()).shop.breaker.state).toBe("half_open");
  });
});
