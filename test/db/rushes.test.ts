import { sql } from "kysely";
import { beforeEach, expect, test } from "vitest";
import type { Database } from "../../src/db/connection.ts";
import { storeSnapshots } from "../../src/db/order-snapshots.ts";
import { type TenantTransaction, withTenant } from "../../src/db/tenant.ts";
import { asId } from "../../src/domain/ids.ts";
import { countUndecidedOrders, Rushes } from "../../src/db/rushes.ts";
import { at } from "../domain/stock/stock-builders.ts";
import { snapshot } from "../domain/order/order-builders.ts";
import { storeDeliveries } from "../support/deliveries.ts";
import { readBy } from "../support/read-by.ts";
import { openTestDatabase, type SeededShop, seedShop } from "../support/seed.ts";
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

const throwIt = (_shop: unknown, error: unknown): void => {
  throw error;
};

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
  await rushes.lookAgain(db, throwIt);
  expect(rushes.list()).toEqual([shop.shopId]);
  await decideAbout(1);
  await rushes.lookAgain(db, throwIt);
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

test("whoever wants to know is told when a rush begins and when it is over, once each", async () => {
  const told: boolean[] = [];
  const rushes = new Rushes((_shop, rush) => told.push(rush));
  await takeIn(100);
  for (let look = 0; look < 3; look += 1) await rushes.look(db, shop);
  await decideAbout(100);
  for (let look = 0; look < 3; look += 1) await rushes.look(db, shop);
  expect(told).toEqual([true, false]);
});

test("a shop that cannot be looked at stays as it was, and keeps nobody from looking at the others", async () => {
  const rushes = new Rushes();
  await takeIn(100);
  await rushes.look(db, shop);
  const away = openTestDatabase("postgres://nobody@127.0.0.1:1/nothing");
  const failed: unknown[] = [];
  await rushes.lookAgain(away, (each) => failed.push(each));
  expect(failed).toMatchObject([{ shopId: shop.shopId }]);
  expect(rushes.list()).toEqual([shop.shopId]);
});

test("an order that is stored while its delivery is worked on is counted once", async () => {
  const rushes = new Rushes();
  await takeIn(60);
  await storeDeliveries(database, shop, { count: 60, waitedSeconds: 1, first: true });
  await database.asSuperuser("update webhook_deliveries set leased_until = now() + interval '15 seconds'");
  expect(await rushes.look(db, shop)).toBe(false);
});

test("a look reads what waits, and not what the shop was ever sent", async () => {
  await storeDeliveries(database, shop, { count: 5_000, waitedSeconds: 1, first: true });
  await database.asSuperuser("update webhook_deliveries set state = 'processed'");
  const read = await readBy(db, "webhook_deliveries", async (transaction) => {
    await sql`select set_config('app.tenant_id', ${shop.tenantId}, true)`.execute(transaction);
    // Often enough for the plan that serves all values.
    for (let look = 0; look < 12; look += 1)
      await countUndecidedOrders(transaction as TenantTransaction, shop.shopId);
  });
  expect(read).toBeLessThan(500);
});

test("an order whose news wait is not counted: it holds its units already", async () => {
  const rushes = new Rushes();
  await takeIn(120);
  await database.asSuperuser("update orders set handled_version = 1, snapshot_version = 2");
  await storeDeliveries(database, shop, { count: 120, waitedSeconds: 1 });
  expect(await rushes.look(db, shop)).toBe(false);
});
