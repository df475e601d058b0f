import { describe, expect, test } from "vitest";
import type { Database } from "../../src/db/connection.ts";
import { applyStockBatch } from "../../src/db/stock.ts";
import { type TenantTransaction, withTenant } from "../../src/db/tenant.ts";
import { findRecommendation, followSalesOfPage, setReplenishment } from "../../src/db/thresholds.ts";
import type { SkuId } from "../../src/domain/ids.ts";
import { followSales } from "../../src/intake/sales.ts";
import type { IntakeDependencies } from "../../src/intake/dependencies.ts";
import { claim, reserve } from "../domain/stock/stock-builders.ts";
import { type SeededShop, seedShop, seedSku } from "../support/seed.ts";
import { type UsedTestDatabase, useTestDatabase } from "../support/use-test-database.ts";
import { silent } from "../support/workers.ts";

let database: UsedTestDatabase;
let db: Database;
let shop: SeededShop;

useTestDatabase(async (made) => {
  database = made;
  db = database.open();
  shop = await seedShop(db);
});

const inShop = <Result>(work: (transaction: TenantTransaction) => Promise<Result>) =>
  withTenant(db, shop.tenantId, work);

async function follow(): Promise<void> {
  let after: SkuId | null = null;
  do {
    const from: SkuId | null = after;
    after = await inShop((transaction) => followSalesOfPage(transaction, shop.tenantId, from));
  } while (after !== null);
}

async function sell(skuId: SkuId, name: string, quantity: number): Promise<void> {
  await applyStockBatch(db, shop.tenantId, skuId, [{ ...reserve(name), quantity }]);
  await applyStockBatch(db, shop.tenantId, skuId, [
    { kind: "ship", claim: claim(name), quantity, outside: false },
  ]);
}

const rowOf = (skuId: SkuId) =>
  inShop((transaction) =>
    transaction
      .selectFrom("skus")
      .where("id", "=", skuId)
      .select(["units_sold_30_days", "low_stock_threshold", "threshold_mode"])
      .executeTakeFirstOrThrow(),
  );

/** As if the SKU had been there for a month. */
const makeOld = (skuId: SkuId) =>
  database.asSuperuser(
    `set session_replication_role = replica; update skus set created_at = now() - interval '40 days' where id = '${skuId}'`,
  );

describe("what is sold", () => {
  test("is counted once, however often it is counted and by how many at once", async () => {
    const skuId = await seedSku(db, shop, 500);
    await makeOld(skuId);
    await sell(skuId, "count-1", 120);
    await Promise.all([follow(), follow(), follow()]);
    await sell(skuId, "count-2", 80);
    await Promise.all([follow(), follow()]);
    await follow();
    expect(await rowOf(skuId)).toEqual({
      units_sold_30_days: 200,
      low_stock_threshold: 20,
      threshold_mode: "automatic",
    });
  });

  test("is less by what was taken back, and reservations are no sales", async () => {
    const skuId = await seedSku(db, shop, 500);
    await sell(skuId, "back-1", 90);
    await sell(skuId, "back-2", 20);
    await applyStockBatch(db, shop.tenantId, skuId, [
      { kind: "reverse", claim: claim("back-2"), reason: "cancelled" },
      { ...reserve("back-3"), quantity: 100 },
    ]);
    await follow();
    expect((await rowOf(skuId)).units_sold_30_days).toBe(90);
  });

  test("falls out of the count after 30 days", async () => {
    const skuId = await seedSku(db, shop, 500);
    await sell(skuId, "old-1", 300);
    await follow();
    await database.asSuperuser("update daily_sales set day = day - 30 where sku_id = $1", [skuId]);
    await follow();
    expect((await rowOf(skuId)).units_sold_30_days).toBe(0);
  });

  test("moves an automatic threshold and no fixed one, and has the alerts compared", async () => {
    const [automatic, fixed] = [await seedSku(db, shop, 400), await seedSku(db, shop, 400)];
    await inShop((transaction) =>
      setReplenishment(transaction, shop.tenantId, fixed, { mode: "fixed", threshold: 7 }, 3, "test"),
    );
    for (const skuId of [automatic, fixed]) {
      await makeOld(skuId);
      await sell(skuId, `follow-${skuId}`, 350);
    }
    await follow();
    expect((await rowOf(automatic)).low_stock_threshold).toBe(35);
    expect((await rowOf(fixed)).low_stock_threshold).toBe(7);
    const due = await inShop((transaction) =>
      transaction.selectFrom("outbox").where("kind", "=", "check_alerts").select("payload").execute(),
    );
    expect(due.filter(({ payload }) => (payload as { skuId: string }).skuId === automatic)).toHaveLength(1);
  });

  test("of more SKUs than a page holds is counted by a pass over all sellers", async () => {
    const other = await seedShop(db);
    const [first] = [await seedSku(db, other, 10)];
    await database.asSuperuser(
      `insert into skus (tenant_id, product_id, code, name)
       select tenant_id, product_id, 'many-' || number, 'Many' from skus cross join generate_series(1, 450) as number
       where id = $1`,
      [first],
    );
    const last = await seedSku(db, other, 100);
    await applyStockBatch(db, other.tenantId, last, [{ ...reserve("last"), quantity: 44 }]);
    await applyStockBatch(db, other.tenantId, last, [
      { kind: "ship", claim: claim("last"), quantity: 44, outside: false },
    ]);
    const pages = await followSales({
      db: database.open("cf_dispatcher"),
      logger: silent,
    } as IntakeDependencies);
    expect(pages).toBeGreaterThanOrEqual(3);
    const row = await withTenant(db, other.tenantId, (transaction) =>
      transaction
        .selectFrom("skus")
        .where("id", "=", last)
        .select("units_sold_30_days")
        .executeTakeFirstOrThrow(),
    );
    expect(row.units_sold_30_days).toBe(44);
  });

  test("says what to order, by the SKU's own lead time", async () => {
    const skuId = await seedSku(db, shop, 400);
    await makeOld(skuId);
    await sell(skuId, "reorder", 300);
    await follow();
    await inShop((transaction) =>
      setReplenishment(transaction, shop.tenantId, skuId, { mode: "automatic" }, 20, "test"),
    );
    const recommendation = await inShop((transaction) => findRecommendation(transaction, skuId));
    expect(recommendation).toMatchObject({
      available: 100,
      dailySales: 10,
      leadTimeDays: 20,
      needed: 500,
      quantity: 400,
    });
  });
});
