import { beforeEach, describe, expect, test } from "vitest";
import type { Database } from "../../src/db/connection.ts";
import { followSales } from "../../src/db/demand.ts";
import { findListings } from "../../src/db/listings.ts";
import { cellKey, getOurNumbers } from "../../src/db/our-numbers.ts";
import { findDemand } from "../../src/db/read-models/channel.ts";
import { applyStockBatch } from "../../src/db/stock.ts";
import { type TenantTransaction, withTenant } from "../../src/db/tenant.ts";
import type { SkuId } from "../../src/domain/ids.ts";
import { at } from "../domain/stock/stock-builders.ts";
import { seedSecondShop, type SeededShop, seededWarehouse, seedShop, seedSku } from "../support/seed.ts";
import { type UsedTestDatabase, useTestDatabase } from "../support/use-test-database.ts";

let database: UsedTestDatabase;
let db: Database;
let shop: SeededShop;

useTestDatabase((made) => {
  database = made;
  db = database.open();
});
beforeEach(async () => {
  shop = await seedShop(db);
});

const within = <Result>(work: (transaction: TenantTransaction) => Promise<Result>) =>
  withTenant(db, shop.tenantId, work);
const look = () => within((transaction) => followSales(transaction, shop.tenantId));

let orders = 0;
async function sell(skuId: SkuId, units: number, shopId = shop.shopId): Promise<void> {
  orders += 1;
  await applyStockBatch(
    db,
    shop.tenantId,
    skuId,
    Array.from({ length: units }, (_unit, line) => ({
      kind: "reserve" as const,
      claim: { orderRef: `${shopId}/order-${orders}`, lineId: String(line), generation: 1 },
      quantity: 1,
      rank: { paidAt: at(1), orderedAt: at(1) },
      locationId: null,
    })),
  );
}

const pushes = async (skuId: SkuId) =>
  (
    await database.asSuperuser<{ key: string }>(
      "select key from outbox where kind = 'push_offer' and payload ->> 'skuId' = $1 order by created_at",
      [skuId],
    )
  ).map(({ key }) => key.split("/")[1]);

const numbersOf = (skuId: SkuId) =>
  within(async (transaction) => {
    const listings = await findListings(transaction, [skuId]);
    const ours = await getOurNumbers(
      transaction,
      listings.map(({ listingId }) => listingId),
    );
    return listings.map((listing) => ({
      shopId: listing.shopId,
      viral: listing.viral,
      ...ours.get(cellKey(listing.listingId, seededWarehouse))!.ours,
    }));
  });

describe("sales are followed beside the batches:", () => {
  test("a SKU that goes viral is told once, goes first, and is on record", async () => {
    const skuId = await seedSku(db, shop, 100);
    await sell(skuId, 30);
    expect(await look()).toMatchObject([{ skuId, event: "viral_began", recentPerMinute: 15 }]);
    expect(await look()).toEqual([]);
    expect(await numbersOf(skuId)).toMatchObject([{ viral: true, buffer: 0 }]);
    const audit = await database.asSuperuser("select event_type from inventory_audit_log where sku_id = $1", [
      skuId,
    ]);
    expect(audit).toEqual([{ event_type: "viral_began" }]);
  });

  test("one that hardly sells is neither told nor kept back", async () => {
    const skuId = await seedSku(db, shop, 100);
    await seedSecondShop(db, shop, skuId);
    await sell(skuId, 1);
    expect(await look()).toEqual([]);
    expect((await numbersOf(skuId)).map(({ buffer }) => buffer)).toEqual([0, 0]);
  });

  test("two shops keep units back for each other, and are told when that changes", async () => {
    const skuId = await seedSku(db, shop, 100);
    await seedSecondShop(db, shop, skuId);
    await sell(skuId, 40);
    await look();
    const demand = await within((transaction) => findDemand(transaction, skuId));
    expect(demand?.adaptive_buffer).toBeGreaterThan(0);
    const kept = (await numbersOf(skuId)).map(({ buffer }) => buffer);
    expect(kept).toEqual([demand?.adaptive_buffer, demand?.adaptive_buffer]);
    expect(await pushes(skuId)).toContain("demand");
    const before = await pushes(skuId);
    await look();
    expect(await pushes(skuId)).toEqual(before);
  });
});

test("what one shop sells is told to the other, and is missing from its sum alone", async () => {
  const skuId = await seedSku(db, shop, 10);
  await sell(skuId, 1);
  expect(await pushes(skuId)).toEqual([]);
  const { shopId: other } = await seedSecondShop(db, shop, skuId);
  await sell(skuId, 2);
  expect((await pushes(skuId)).length).toBe(2);
  const numbers = await numbersOf(skuId);
  const here = numbers.find(({ shopId }) => shopId !== other);
  const there = numbers.find(({ shopId }) => shopId === other);
  expect(here).toMatchObject({ onHand: 10, reserved: 3, reservedElsewhere: 0 });
  expect(there).toMatchObject({ onHand: 10, reserved: 3, reservedElsewhere: 3 });
});
