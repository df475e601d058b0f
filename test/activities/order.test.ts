import { beforeAll, expect, test } from "vitest";
import { createOrderActivities } from "../../src/activities/order.ts";
import type { Database } from "../../src/db/connection.ts";
import { findListings } from "../../src/db/listings.ts";
import { storeSnapshots } from "../../src/db/order-snapshots.ts";
import { withTenant } from "../../src/db/tenant.ts";
import { asId, type SkuId } from "../../src/domain/ids.ts";
import type { ChannelStatus } from "../../src/domain/order/channel-order.ts";
import { aLine, snapshot } from "../domain/order/order-builders.ts";
import { type SeededShop, seededWarehouse, seedShop, seedSku } from "../support/seed.ts";
import { type UsedTestDatabase, useTestDatabase } from "../support/use-test-database.ts";
import { noChannel, silent } from "../support/workers.ts";

let database: UsedTestDatabase;
let db: Database;
let shop: SeededShop;
let advanceOrder: ReturnType<typeof createOrderActivities>["advanceOrder"];

useTestDatabase((used) => {
  database = used;
  db = used.open();
});
beforeAll(async () => {
  shop = await seedShop(db);
  const nobody = {} as never;
  ({ advanceOrder } = createOrderActivities(
    {
      db,
      channel: noChannel,
      client: nobody,
      logger: silent,
      alerting: nobody,
      queuePrefix: "",
      takeInChangedOrders: nobody,
      prove: nobody,
    },
    () => Promise.reject(new Error("Nothing is asked of the stock here")),
  ));
});

const minutesAgo = (minutes: number) => new Date(Date.now() - minutes * 60_000).toISOString();

async function compared(skuId: SkuId, minutes: number): Promise<void> {
  await database.asSuperuser(
    `insert into channel_observations (tenant_id, listing_id, sku_id, warehouse_id, available, committed, observed_at)
     select tenant_id, id, sku_id, $2, 1, 0, $3 from listings where sku_id = $1`,
    [skuId, seededWarehouse, minutesAgo(minutes)],
  );
}

async function hear(skuId: SkuId, status: ChannelStatus, minutes: number): Promise<void> {
  const { tenantId, shopId } = shop;
  const orderId = asId<"ChannelOrder">(skuId);
  const listings = await withTenant(db, tenantId, (transaction) => findListings(transaction, [skuId]));
  const listing = listings.find((each) => each.shopId === shopId);
  const order = snapshot(status, {
    orderId,
    createdAt: minutesAgo(120),
    updatedAt: minutesAgo(minutes),
    lines: [aLine("1", { channelSkuId: listing!.channelSkuId })],
  });
  const fetched = { recipient: null, fetchBeganAt: minutesAgo(0), contentHash: status, cause: "test" };
  await withTenant(db, tenantId, (transaction) =>
    storeSnapshots(transaction, tenantId, shopId, [{ order, ...fetched }]),
  );
  await advanceOrder({ tenantId, shopId, orderId, report: { news: true } });
}

/** Messages that have a SKU compared, by what of the order has caused them. */
const comparisonsOrdered = (skuId: SkuId, cause: "handed over" | "late news" | "given up") =>
  database.asSuperuser("select from outbox where kind = 'push_offer' and key like $1 || '/' || $2 || '/%'", [
    skuId,
    cause,
  ]);

// Of each the SKU was compared half an hour ago.
test.each<[what: string, news: readonly (readonly [ChannelStatus, number])[], again: number]>([
  [
    "on its way since before that",
    [
      ["awaiting_collection", 90],
      ["in_transit", 40],
    ],
    1,
  ],
  [
    "on its way, and touched since",
    [
      ["awaiting_collection", 90],
      ["in_transit", 10],
    ],
    1,
  ],
  [
    "delivered, and never heard of on its way",
    [
      ["awaiting_collection", 90],
      ["delivered", 10],
    ],
    1,
  ],
  ["never heard of before", [["in_transit", 10]], 1],
  [
    "known to wait for the carrier when it was compared",
    [
      ["awaiting_collection", 20],
      ["in_transit", 10],
    ],
    0,
  ],
])("a SKU is compared again when an order is heard of as %s", async (_what, news, again) => {
  const skuId = await seedSku(db, shop, 5);
  await compared(skuId, 30);
  for (const [status, minutes] of news) await hear(skuId, status, minutes);
  const ordered = [
    ...(await comparisonsOrdered(skuId, "handed over")),
    ...(await comparisonsOrdered(skuId, "late news")),
  ];
  expect(ordered).toHaveLength(again);
});

test("offers are compared again when units that they have left out are given up, and not when they never were", async () => {
  const [heardOf, cameCancelled] = [await seedSku(db, shop, 5), await seedSku(db, shop, 5)];
  await hear(heardOf, "awaiting_shipment", 20);
  expect(await comparisonsOrdered(heardOf, "given up")).toEqual([]);
  await hear(heardOf, "cancelled", 10);
  expect(await comparisonsOrdered(heardOf, "given up")).toHaveLength(1);
  await hear(cameCancelled, "cancelled", 10);
  expect(await comparisonsOrdered(cameCancelled, "given up")).toEqual([]);
});
