import { sql } from "kysely";
import { beforeEach, describe, expect, test, vi } from "vitest";
import type { Database } from "../../src/db/connection.ts";
import { createRateBudget } from "../../src/db/rate-buckets.ts";
import { withTenant } from "../../src/db/tenant.ts";
import type { RateBudget } from "../../src/integrations/tiktok-shop/rate-budget.ts";
import { type SeededShop, seedShop } from "../support/seed.ts";
import { type UsedTestDatabase, useTestDatabase } from "../support/use-test-database.ts";

let database: UsedTestDatabase;
let db: Database;
let otherProcess: Database;
let shop: SeededShop;
let budget: RateBudget;

useTestDatabase((made) => {
  database = made;
  db = database.open();
  otherProcess = database.open();
});
beforeEach(async () => {
  shop = await seedShop(db);
  budget = createRateBudget(db);
});

const row = () =>
  withTenant(db, shop.tenantId, (transaction) =>
    transaction
      .selectFrom("rate_buckets")
      .selectAll()
      .where("shop_id", "=", shop.shopId)
      .executeTakeFirstOrThrow(),
  );

/** Lets time pass for the bucket: its row grows older. */
const age = (seconds: number) =>
  withTenant(db, shop.tenantId, (transaction) =>
    transaction
      .updateTable("rate_buckets")
      .set({
        refilled_at: sql<string>`refilled_at - make_interval(secs => ${seconds})`,
        blocked_until: sql<string>`blocked_until - make_interval(secs => ${seconds})`,
      })
      .where("shop_id", "=", shop.shopId)
      .execute(),
  );

async function grantedOf(count: number, priority: 1 | 2 | 3 | 4 = 1): Promise<number> {
  const budgets = [budget, createRateBudget(otherProcess)];
  const grants = await Promise.all(
    Array.from({ length: count }, (_, index) => budgets[index % 2]!.take(shop, priority)),
  );
  return grants.filter((grant) => grant.granted).length;
}

describe("a shop's rate budget", () => {
  test("is one budget for all processes, however many ask at once", async () => {
    const began = performance.now();
    const granted = await grantedOf(60);
    const refilled = ((performance.now() - began) / 60_000) * 100;
    expect(granted).toBeGreaterThanOrEqual(20);
    expect(granted).toBeLessThanOrEqual(20 + Math.ceil(refilled));
  });

  test("is each shop's own", async () => {
    await grantedOf(30);
    const other = await seedShop(db);
    expect(await budget.take(other, 4)).toEqual({ granted: true });
  });

  test("refuses at once, with a time at which the call is granted", async () => {
    await grantedOf(30);
    const grant = await budget.take(shop, 3);
    if (grant.granted) throw new Error("the bucket was empty");
    expect(grant.retryAt).toBeGreaterThan(Date.now());
    await age(Math.ceil((grant.retryAt - Date.now()) / 1_000));
    expect(await createRateBudget(db).take(shop, 3)).toEqual({ granted: true });
  });

  test("believes a refusal without asking again, for its class alone", async () => {
    const lost = database.open();
    const remembering = createRateBudget(lost);
    await grantedOf(30);
    const refused = await remembering.take(shop, 3);
    await lost.destroy();
    expect(await remembering.take(shop, 3)).toMatchObject({ granted: false });
    await expect(remembering.take(shop, 1)).rejects.toThrow();
    expect(refused.granted).toBe(false);
  });

  test("gives what a process asks for at the same moment to the most urgent call first", async () => {
    await budget.take(shop, 1);
    await withTenant(db, shop.tenantId, (transaction) =>
      transaction
        .updateTable("rate_buckets")
        .set({ tokens: 11.05, rate_per_minute: 20, burst: 20 })
        .where("shop_id", "=", shop.shopId)
        .execute(),
    );
    // The least urgent call leaves 10 tokens to the others: it would be granted if it were the first.
    const [least, most] = await Promise.all([budget.take(shop, 4), budget.take(shop, 1)]);
    expect([least.granted, most.granted]).toEqual([false, true]);
    expect(await budget.take(shop, 1)).toEqual({ granted: true });
  });

  test("counts what was accepted with the next call, and rises", async () => {
    for (let call = 0; call < 40; call += 1) budget.accepted(shop);
    await budget.take(shop, 1);
    expect((await row()).rate_per_minute).toBeCloseTo(121);
  });

  test("stops for all processes when one was limited, until the time given", async () => {
    await budget.take(shop, 1);
    const retryAt = Date.now() + 30_000;
    await budget.limited(shop, retryAt);
    const refused = await createRateBudget(otherProcess).take(shop, 1);
    if (refused.granted) throw new Error("the shop is limited");
    // Told by the asking process's clock, reckoned by the database's: a moment passes between the two.
    expect(Math.abs(refused.retryAt - retryAt)).toBeLessThan(5_000);
    expect((await row()).rate_per_minute).toBe(50);
    await age(40);
    expect(await budget.take(shop, 1)).toEqual({ granted: true });
  });

  test.each([
    ["ahead", 3_600_000],
    ["behind", -3_600_000],
  ])(
    "waits as long as the channel asked for, though the limited process's clock is an hour %s",
    async (_how, offset) => {
      const trueNow = Date.now.bind(Date);
      const clock = vi.spyOn(Date, "now").mockImplementation(() => trueNow() + offset);
      await budget.limited(shop, Date.now() + 30_000);
      clock.mockRestore();
      const refused = await createRateBudget(otherProcess).take(shop, 1);
      if (refused.granted) throw new Error("the shop is limited");
      expect(Math.abs(refused.retryAt - Date.now() - 30_000)).toBeLessThan(5_000);
    },
  );

  test("starts where it is told to when more is known", async () => {
    const known = createRateBudget(db, { startPerMinute: 3_000 });
    await known.take(shop, 1);
    expect(await row()).toMatchObject({ rate_per_minute: 3_000, burst: 50 });
  });
});
