import { beforeEach, expect, test } from "vitest";
import type { Database } from "../../src/db/connection.ts";
import { storeSnapshots } from "../../src/db/order-snapshots.ts";
import { withTenant } from "../../src/db/tenant.ts";
import { asId } from "../../src/domain/ids.ts";
import { Rushes } from "../../src/intake/rushes.ts";
import { at } from "../domain/stock/stock-builders.ts";
import { snapshot } from "../domain/order/order-builders.ts";
import { type SeededShop, seedShop } from "../support/seed.ts";
import { type UsedTestDatabase, useTestDatabase } from "../support/use-test-database.ts";

let database: UsedTestDatabase;
let db: Database;
let shop: SeededShop;

useTestDatabase((used) => {
  database = used;
  db = used.open();
});
beforeEach(async () => {
  shop = await seedShop(db);
});

const takeIn = (orders: number) =>
  withTenant(db, shop.tenantId, (transaction) =>
    storeSnapshots(
      transaction,
      shop.tenantId,
      shop.shopId,
      Array.from({ length: orders }, (_, index) => ({
        order: snapshot("unpaid", { orderId: asId<"ChannelOrder">(`${index}`), updatedAt: at(1) }),
        recipient: null,
        fetchBeganAt: at(1),
        contentHash: "hash",
        cause: "test",
      })),
    ),
  );

test("a shop is in a rush while a hundred of its orders or more are not decided about", async () => {
  const rushes = new Rushes();
  await takeIn(99);
  await rushes.look(db, shop);
  expect(rushes.list()).toEqual([]);
  await takeIn(100);
  await rushes.look(db, shop);
  expect(rushes.list()).toEqual([shop.shopId]);
  await database.asSuperuser("update orders set handled_version = 1 where channel_order_id = '7'");
  await rushes.lookAgain(db);
  expect(rushes.list()).toEqual([]);
});

test("an order whose news wait is not counted: it holds its units already", async () => {
  const rushes = new Rushes();
  await takeIn(120);
  await database.asSuperuser("update orders set handled_version = 1, snapshot_version = 2");
  await rushes.look(db, shop);
  expect(rushes.list()).toEqual([]);
});
