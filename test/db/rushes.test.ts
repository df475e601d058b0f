import { beforeEach, expect, test } from "vitest";
import type { Database } from "../../src/db/connection.ts";
import { storeSnapshots } from "../../src/db/order-snapshots.ts";
import { withTenant } from "../../src/db/tenant.ts";
import { asId } from "../../src/domain/ids.ts";
import { Rushes } from "../../src/db/rushes.ts";
import { at } from "../domain/stock/stock-builders.ts";
import { snapshot } from "../domain/order/order-builders.ts";
import { storeDeliveries } from "../support/deliveries.ts";
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

const decideAbout = (orders: number) =>
  database.asSuperuser(
    `update orders set handled_version = 1 where id in
       (select id from orders where shop_id = $1 and handled_version = 0 limit $2)`,
    [shop.shopId, orders],
  );

test("a rush begins with a hundred orders that are not decided about, and goes on until its last ten", async () => {
  const rushes = new Rushes();
  await takeIn(99);
  expect(await rushes.look(db, shop)).toBe(false);
  await takeIn(100);
  expect(await rushes.look(db, shop)).toBe(true);
  expect(rushes.list()).toEqual([shop.shopId]);
  await decideAbout(90);
  await rushes.lookAgain(db);
  expect(rushes.list()).toEqual([shop.shopId]);
  await decideAbout(1);
  await rushes.lookAgain(db);
  expect(rushes.list()).toEqual([]);
});

test("orders that only a webhook has named are counted, and whose fetch is put off are not", async () => {
  const rushes = new Rushes();
  await takeIn(40);
  await storeDeliveries(database, shop, { count: 59, waitedSeconds: 1, first: true });
  await storeDeliveries(database, shop, { count: 100, waitedSeconds: -60, first: true });
  expect(await rushes.look(db, shop)).toBe(false);
  await storeDeliveries(database, shop, { count: 1, waitedSeconds: 1, first: true });
  expect(await rushes.look(db, shop)).toBe(true);
});

test("an order whose news wait is not counted: it holds its units already", async () => {
  const rushes = new Rushes();
  await takeIn(120);
  await database.asSuperuser("update orders set handled_version = 1, snapshot_version = 2");
  await storeDeliveries(database, shop, { count: 120, waitedSeconds: 1 });
  expect(await rushes.look(db, shop)).toBe(false);
});
