import { expect, test } from "vitest";
import type { Database } from "../../src/db/connection.ts";
import { applyInTransaction, applyStockBatch } from "../../src/db/stock.ts";
import { withTenant } from "../../src/db/tenant.ts";
import type { SkuId } from "../../src/domain/ids.ts";
import { prove } from "../../src/proof/proof.ts";
import { adjust, reserve } from "../domain/stock/stock-builders.ts";
import { type SeededShop, seedShop, seedSku } from "../support/seed.ts";
import { until } from "../support/until.ts";
import { type UsedTestDatabase, useTestDatabase } from "../support/use-test-database.ts";

let database: UsedTestDatabase;
let db: Database;
let shop: SeededShop;

useTestDatabase(async (used) => {
  database = used;
  db = database.open();
  shop = await seedShop(db);
});

async function statusOf(skuId: SkuId): Promise<string | undefined> {
  const [row] = await database.asSuperuser<{ status: string }>(
    "select stock_status as status from skus where id = $1",
    [skuId],
  );
  return row?.status;
}

const setThreshold = (skuId: SkuId, threshold: number) =>
  withTenant(db, shop.tenantId, (transaction) =>
    transaction.updateTable("skus").set({ low_stock_threshold: threshold }).where("id", "=", skuId).execute(),
  );

test("a SKU's status follows what is available and the threshold", async () => {
  const skuId = await seedSku(db, shop, 11);
  expect(await statusOf(skuId)).toBe("in_stock");
  await applyStockBatch(db, shop.tenantId, skuId, [reserve("one")]);
  expect(await statusOf(skuId)).toBe("low_stock");
  await setThreshold(skuId, 9);
  expect(await statusOf(skuId)).toBe("in_stock");
  await applyStockBatch(db, shop.tenantId, skuId, [adjust("all", -10)]);
  expect(await statusOf(skuId)).toBe("out_of_stock");
  expect(await statusOf(await seedSku(db, shop, 0))).toBe("out_of_stock");
});

test("a threshold that is changed while a batch is under way waits for the numbers", async () => {
  const skuId = await seedSku(db, shop, 20);
  let changing: Promise<unknown> | undefined;
  await withTenant(db, shop.tenantId, async (transaction) => {
    await applyInTransaction(transaction, shop.tenantId, skuId, [adjust("under way", -8)]);
    changing = setThreshold(skuId, 15);
    await until("the change waits", async () => {
      const waiting = await database.asSuperuser(
        "select from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'",
      );
      return waiting.length > 0;
    });
  });
  await changing;
  expect(await statusOf(skuId)).toBe("low_stock");
});

test("the proof finds a status that is not that of the numbers", async () => {
  const skuId = await seedSku(db, shop, 50);
  await database.asSuperuser("update skus set stock_status = 'out_of_stock' where id = $1", [skuId]);
  const proof = await prove({ db: database.open("cf_report"), simulatorUrl: null, settleSeconds: 0 });
  const found = proof.checks.filter(({ violations }) => violations.length > 0);
  expect(found).toMatchObject([
    {
      check: "a SKU is listed as what its numbers make it",
      violations: [{ explanation: "listed as out_of_stock, 50 units are available, it is low at 10" }],
    },
  ]);
});
