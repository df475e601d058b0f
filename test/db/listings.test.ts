import { describe, expect, test } from "vitest";
import type { Database } from "../../src/db/connection.ts";
import { appendObservations, beginComparison, findComparedSince } from "../../src/db/comparisons.ts";
import { findListings } from "../../src/db/listings.ts";
import { getOurNumbers, markHandedOver } from "../../src/db/our-numbers.ts";
import { applyStockBatch } from "../../src/db/stock.ts";
import { storeSnapshots } from "../../src/db/order-snapshots.ts";
import { type TenantTransaction, withTenant } from "../../src/db/tenant.ts";
import { asId, type SkuId } from "../../src/domain/ids.ts";
import { aLine, snapshot } from "../domain/order/order-builders.ts";
import { at } from "../domain/stock/stock-builders.ts";
import { type SeededShop, seededWarehouse, seedShop, seedSku } from "../support/seed.ts";
import { until } from "../support/until.ts";
import { type UsedTestDatabase, useTestDatabase } from "../support/use-test-database.ts";

let database: UsedTestDatabase;
let db: Database;
let shop: SeededShop;

useTestDatabase(async (made) => {
  database = made;
  db = database.open();
  shop = await seedShop(db);
});

const within = <Result>(work: (transaction: TenantTransaction) => Promise<Result>) =>
  withTenant(db, shop.tenantId, work);

/** An order of one SKU that the channel changed just now. */
async function orderOf(
  skuId: SkuId,
): Promise<{ readonly orderId: string; readonly orderRef: string; readonly changedAt: string }> {
  const [listing] = await within((transaction) => findListings(transaction, [skuId]));
  const orderId = crypto.randomUUID();
  const order = snapshot("in_transit", {
    orderId: asId(orderId),
    updatedAt: at(1),
    lines: [aLine("1", { channelSkuId: listing!.channelSkuId })],
  });
  await within((transaction) =>
    storeSnapshots(transaction, shop.tenantId, shop.shopId, [
      { order, recipient: null, fetchBeganAt: at(1), contentHash: "hash", cause: "test" },
    ]),
  );
  const [row] = await database.asSuperuser<{ id: string; order_ref: string }>(
    "select id, order_ref from orders where channel_order_id = $1",
    [orderId],
  );
  return { orderId: row!.id, orderRef: row!.order_ref, changedAt: new Date().toISOString() };
}

async function observe(skuId: SkuId): Promise<void> {
  await within(async (transaction) => {
    const [listing] = await findListings(transaction, [skuId]);
    const warehouseId = asId<"ChannelWarehouse">(seededWarehouse);
    const nothingLocked = { locked: 0, campaign: 0, creator: 0 };
    await appendObservations(transaction, shop.tenantId, [
      { listing: listing!, warehouseId, available: 1, committed: 0, ...nothingLocked },
    ]);
  });
}

const untilSomebodyWaits = () =>
  until("a transaction waits for the other", async () => {
    const [row] = await database.asSuperuser<{ waiting: number }>(
      `select count(*)::integer as waiting from pg_locks join pg_database on pg_database.oid = pg_locks.database
       where datname = current_database() and locktype = 'advisory' and not granted`,
    );
    return (row?.waiting ?? 0) > 0;
  });

describe("of a comparison and the news of a hand-over one always knows of the other:", () => {
  test("an order whose SKU was not compared since the change has nothing to compare again", async () => {
    const skuId = await seedSku(db, shop, 5);
    const { orderId, changedAt } = await orderOf(skuId);
    expect(await within((transaction) => findComparedSince(transaction, orderId, changedAt))).toEqual([]);
    await observe(skuId);
    expect(await within((transaction) => findComparedSince(transaction, orderId, changedAt))).toEqual([
      skuId,
    ]);
    const later = new Date(Date.now() + 3_600_000).toISOString();
    expect(await within((transaction) => findComparedSince(transaction, orderId, later))).toEqual([]);
  });

  test("news that come while a comparison is decided see it", async () => {
    const skuId = await seedSku(db, shop, 5);
    const { orderId, changedAt } = await orderOf(skuId);
    const found = await within(async (comparison) => {
      await beginComparison(comparison, [skuId]);
      const news = within((transaction) => findComparedSince(transaction, orderId, changedAt));
      await untilSomebodyWaits();
      await observe(skuId);
      return { news };
    });
    expect(await found.news).toEqual([skuId]);
  });

  test("a comparison that comes while news are taken in waits for them", async () => {
    const skuId = await seedSku(db, shop, 5);
    const { orderId, changedAt } = await orderOf(skuId);
    const order: string[] = [];
    const { comparison } = await within(async (news) => {
      await findComparedSince(news, orderId, changedAt);
      const begun = within((transaction) => beginComparison(transaction, [skuId])).then(() =>
        order.push("compared"),
      );
      await untilSomebodyWaits();
      order.push("news taken in");
      return { comparison: begun };
    });
    await comparison;
    expect(order).toEqual(["news taken in", "compared"]);
  });
});

test("units are under way until the carrier has them, and what it has is marked once and not looked at again", async () => {
  const skuId = await seedSku(db, shop, 9);
  const [waiting, gone] = [await orderOf(skuId), await orderOf(skuId)];
  const setStatus = (orderRef: string, status: string) =>
    database.asSuperuser("update orders set channel_status = $2 where order_ref = $1", [orderRef, status]);
  await setStatus(waiting.orderRef, "awaiting_collection");
  await setStatus(gone.orderRef, "in_transit");
  for (const { orderRef } of [waiting, gone]) {
    await applyStockBatch(db, shop.tenantId, skuId, [
      {
        kind: "ship",
        claim: { orderRef, lineId: "1", generation: 1 },
        quantity: 1,
        outside: true,
      },
    ]);
  }
  const underWay = async () => {
    const [listing] = await within((transaction) => findListings(transaction, [skuId]));
    const ours = await within((transaction) => getOurNumbers(transaction, [listing!.listingId]));
    return [...ours.values()].map((cell) => cell.ours.underWay);
  };
  expect(await underWay()).toEqual([1]);
  expect(await within(markHandedOver)).toBe(1);
  expect([await underWay(), await within(markHandedOver)]).toEqual([[1], 0]);
  await setStatus(waiting.orderRef, "delivered");
  expect(await underWay()).toEqual([0]);
  expect(await within(markHandedOver)).toBe(1);
});
