import { beforeEach, expect, test } from "vitest";
import type { Database } from "../../src/db/connection.ts";
import { findListings } from "../../src/db/listings.ts";
import { storeSnapshots } from "../../src/db/order-snapshots.ts";
import { cellKey, getOurNumbers } from "../../src/db/our-numbers.ts";
import { applyStockBatch } from "../../src/db/stock.ts";
import { withTenant } from "../../src/db/tenant.ts";
import { asId, type LocationId, type SkuId } from "../../src/domain/ids.ts";
import type { ChannelOrder, ChannelStatus } from "../../src/domain/order/channel-order.ts";
import { aLine, snapshot } from "../domain/order/order-builders.ts";
import { at } from "../domain/stock/stock-builders.ts";
import { seedSecondShop, type SeededShop, seededWarehouse, seedShop, seedSku } from "../support/seed.ts";
import { type UsedTestDatabase, useTestDatabase } from "../support/use-test-database.ts";

/** Two shops sell from one shelf, and the orders of one come faster than they are decided. */

let database: UsedTestDatabase;
let db: Database;
let shop: SeededShop;
let outlet: SeededShop;
let skuId: SkuId;

useTestDatabase((used) => {
  database = used;
  db = used.open();
});
beforeEach(async () => {
  shop = await seedShop(db);
  skuId = await seedSku(db, shop, 10);
  outlet = await seedSecondShop(db, shop, skuId);
});

let last = 0;
/** Stores new orders of the outlet, one unit each. */
async function sell(
  orders: number,
  status: ChannelStatus = "awaiting_shipment",
  where: Partial<ChannelOrder> = { warehouseId: asId(seededWarehouse) },
): Promise<readonly string[]> {
  const [listing] = (await listings()).filter(({ shopId }) => shopId === outlet.shopId);
  const sold = Array.from({ length: orders }, () => {
    last += 1;
    return snapshot(status, {
      orderId: asId(String(last)),
      lines: [aLine("1", { status, channelSkuId: listing!.channelSkuId })],
      ...where,
    });
  });
  const fetched = { recipient: null, fetchBeganAt: new Date().toISOString(), contentHash: "", cause: "test" };
  await withTenant(db, shop.tenantId, (transaction) =>
    storeSnapshots(
      transaction,
      shop.tenantId,
      outlet.shopId,
      sold.map((order) => ({ order, ...fetched })),
    ),
  );
  return sold.map(({ orderId }) => `${outlet.shopId}/${orderId}`);
}

const listings = () => withTenant(db, shop.tenantId, (transaction) => findListings(transaction, [skuId]));

/** What the listing of the one shop or of the other leaves out, as sold by others. */
async function leftOut({ shopId }: SeededShop) {
  const own = (await listings()).filter((listing) => listing.shopId === shopId);
  const ours = await withTenant(db, shop.tenantId, (transaction) =>
    getOurNumbers(
      transaction,
      own.map(({ listingId }) => listingId),
    ),
  );
  const { reservedElsewhere, unreservedElsewhere } = ours.get(
    cellKey(own[0]!.listingId, seededWarehouse),
  )!.ours;
  return { reservedElsewhere, unreservedElsewhere };
}

const toldOfSales = () =>
  database.asSuperuser<{ seller: string }>(
    `select payload ->> 'soldBy' as seller from outbox
     where kind = 'push_offer' and payload ->> 'skuId' = $1 and key like '%/sold/%'`,
    [skuId],
  );

/** Reserves what an order has sold. */
const reserve = (orderRef: string, generation = 1, locationId: LocationId | null = shop.locationId) =>
  applyStockBatch(db, shop.tenantId, skuId, [
    {
      kind: "reserve",
      claim: { orderRef, lineId: "1", generation },
      quantity: 1,
      rank: { paidAt: at(1), orderedAt: at(1) },
      locationId,
    },
  ]);

test("a sale is missing from the other shop's offer from the moment its order is stored, once, reserved or not", async () => {
  const [orderRef] = await sell(1);
  expect(await leftOut(shop)).toEqual({ reservedElsewhere: 0, unreservedElsewhere: 1 });
  expect(await leftOut(outlet)).toEqual({ reservedElsewhere: 0, unreservedElsewhere: 0 });
  await reserve(orderRef!);
  expect(await leftOut(shop)).toEqual({ reservedElsewhere: 1, unreservedElsewhere: 0 });
});

test.each<[what: string, status: ChannelStatus, where: Partial<ChannelOrder>, units: number]>([
  ["that is not paid yet takes units", "unpaid", { warehouseId: asId(seededWarehouse) }, 2],
  [
    "that waits for the carrier takes units",
    "awaiting_collection",
    { warehouseId: asId(seededWarehouse) },
    2,
  ],
  ["that does not say where from takes units", "unpaid", { warehouseId: null }, 2],
  ["that the carrier has takes none", "in_transit", { warehouseId: asId(seededWarehouse) }, 0],
  ["that is cancelled takes none", "cancelled", { warehouseId: asId(seededWarehouse) }, 0],
])("an order %s", async (_what, status, where, units) => {
  await sell(2, status, where);
  expect(await leftOut(shop)).toEqual({ reservedElsewhere: 0, unreservedElsewhere: units });
});

test("the other shops are told of a sale when its order is stored, and not again when it is reserved", async () => {
  const [first, second] = await sell(2);
  expect(await toldOfSales()).toEqual([{ seller: outlet.shopId }, { seller: outlet.shopId }]);
  expect((await reserve(first!)).pushes).toEqual([]);
  expect((await reserve(second!)).pushes).toEqual([]);
});

test.each<[what: string, reserveIt: (orderRef: string) => ReturnType<typeof reserve>]>([
  ["was not stored as one of this SKU", () => reserve(`${outlet.shopId}/unheard of`)],
  ["is asked for anew", (orderRef) => reserve(orderRef, 2)],
  ["does not say where from", (orderRef) => reserve(orderRef, 1, null)],
])("they are told when it is reserved of one that %s", async (_what, reserveIt) => {
  const [orderRef] = await sell(1);
  expect((await reserveIt(orderRef!)).pushes).toMatchObject([{ soldBy: outlet.shopId }]);
});

test("an order that comes cancelled or gone is no sale to tell of", async () => {
  await sell(1, "cancelled");
  await sell(1, "in_transit");
  expect(await toldOfSales()).toEqual([]);
});

test("nobody is told of the sales of a SKU that one shop sells alone", async () => {
  skuId = await seedSku(db, outlet, 10);
  await sell(1);
  expect(await toldOfSales()).toEqual([]);
});
