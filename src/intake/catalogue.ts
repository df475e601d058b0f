import { sql } from "kysely";
import { crashPoint } from "../crash-points.ts";
import { mapWarehouses, takeInListing } from "../db/catalogue.ts";
import { readClock } from "../db/connection.ts";
import { isRefusedByDatabase } from "../db/failure.ts";
import { parkListedOrders } from "../db/sync-cursors.ts";
import { withTenant } from "../db/tenant.ts";
import type { ChannelSkuId, ChannelWarehouseId, LocationId } from "../domain/ids.ts";
import type { ChannelProduct, ChannelStock, ShopKey } from "../integrations/ports/sales-channel.ts";
import type { IntakeDependencies } from "./dependencies.ts";
import { ordersToPark, takeOrders } from "./take-orders.ts";

/** TikTok Shop looks up at most 10 SKUs in its catalogue a call. */
const lookUpMaximum = 10;
/** How far back open orders are fetched when a shop is connected. */
const openOrdersDays = 30;

type CatalogueDependencies = Pick<IntakeDependencies, "db" | "channel" | "logger">;

/** Takes single SKUs in that an order has mentioned. What the channel does not know either is left out. */
export async function takeInSkus(
  dependencies: CatalogueDependencies,
  shop: ShopKey,
  channelSkuIds: readonly ChannelSkuId[],
): Promise<void> {
  const locations = await takeInWarehouses(dependencies, shop);
  for (let start = 0; start < channelSkuIds.length; start += lookUpMaximum) {
    const wanted = new Set(channelSkuIds.slice(start, start + lookUpMaximum));
    const products = await dependencies.channel.findProductsBySku(shop, [...wanted]);
    await takeInProducts(dependencies, shop, products, locations, (channelSkuId) => wanted.has(channelSkuId));
  }
}

/**
 * Connects a shop: its warehouses become locations, its catalogue becomes SKUs with opening stock (what the channel has
 * available and committed together), and its open orders are taken in. Doing it again continues where it stopped and
 * leaves what is there as it is.
 */
export async function takeInShop(
  dependencies: IntakeDependencies,
  shop: ShopKey,
  onProgress: (progress: { readonly skus: number; readonly orders: number }) => void = () => undefined,
): Promise<{ readonly skus: number; readonly orders: number }> {
  const locations = await takeInWarehouses(dependencies, shop);
  crashPoint("shop: warehouses mapped, catalogue not read");
  let skus = 0;
  let orders = 0;
  let pageToken: string | null = null;
  do {
    const page: Awaited<ReturnType<IntakeDependencies["channel"]["listProducts"]>> =
      await dependencies.channel.listProducts(shop, pageToken);
    skus += await takeInProducts(dependencies, shop, page.products, locations, () => true);
    crashPoint("shop: a page of SKUs taken in");
    pageToken = page.nextPageToken;
    onProgress({ skus, orders });
  } while (pageToken !== null);

  await withTenant(dependencies.db, shop.tenantId, (transaction) =>
    transaction
      .updateTable("shops")
      .set({ opened_at: sql`coalesce(opened_at, clock_timestamp())` })
      .where("id", "=", shop.shopId)
      .execute(),
  );
  crashPoint("shop: opened, orders not taken in");

  const updatedFrom = new Date(Date.now() - openOrdersDays * 86_400_000).toISOString();
  do {
    const askedAt = await readClock(dependencies.db);
    const page: Awaited<ReturnType<IntakeDependencies["channel"]["searchOrders"]>> =
      await dependencies.channel.searchOrders(shop, { updatedFrom, updatedBefore: null }, pageToken);
    const fetched = { askedAt, orders: page.orders };
    const taken = await takeOrders(dependencies, shop, fetched, () => "shop connected");
    await withTenant(dependencies.db, shop.tenantId, (transaction) =>
      parkListedOrders(transaction, shop.shopId, ordersToPark(page, taken)),
    );
    crashPoint("shop: a page of orders taken in");
    orders += taken.filter(({ fate }) => fate === "new_order").length;
    pageToken = page.nextPageToken;
    onProgress({ skus, orders });
  } while (pageToken !== null);
  crashPoint("shop: all taken in, not marked connected");

  // Only now: whoever is killed before this line begins again, and no open order is left behind.
  await withTenant(dependencies.db, shop.tenantId, (transaction) =>
    transaction
      .updateTable("shops")
      .set({ status: "connected", status_reason: null })
      .where("id", "=", shop.shopId)
      .execute(),
  );
  return { skus, orders };
}

async function takeInWarehouses(
  { db, channel }: CatalogueDependencies,
  shop: ShopKey,
): Promise<ReadonlyMap<string, LocationId>> {
  const warehouses = await channel.listWarehouses(shop);
  return await withTenant(db, shop.tenantId, (transaction) =>
    mapWarehouses(
      transaction,
      shop.tenantId,
      shop.shopId,
      warehouses.filter((warehouse) => warehouse.enabled),
    ),
  );
}

async function takeInProducts(
  { db, channel, logger }: CatalogueDependencies,
  shop: ShopKey,
  products: readonly ChannelProduct[],
  locations: ReadonlyMap<string, LocationId>,
  isWanted: (channelSkuId: ChannelSkuId) => boolean,
): Promise<number> {
  const listed = products.flatMap((product) =>
    product.skus.filter((sku) => isWanted(sku.channelSkuId)).map((sku) => ({ product, sku })),
  );
  if (listed.length === 0) return 0;
  const stock = await readStockInChunks(
    channel,
    shop,
    listed.map(({ sku }) => sku.channelSkuId),
  );
  let taken = 0;
  for (const { product, sku } of listed) {
    const levels = stock.get(sku.channelSkuId) ?? [];
    const warehouseIds: readonly ChannelWarehouseId[] =
      levels.length > 0 ? levels.map((level) => level.warehouseId) : sku.warehouseIds;
    if (warehouseIds.length === 0) {
      logger.warn({ channelSkuId: sku.channelSkuId }, "A SKU without a warehouse cannot be taken in");
      continue;
    }
    try {
      const { isNew } = await withTenant(db, shop.tenantId, (transaction) =>
        takeInListing(transaction, shop.tenantId, shop.shopId, {
          channelProductId: product.productId,
          channelSkuId: sku.channelSkuId,
          productTitle: product.title,
          code: sku.sellerSku ?? sku.channelSkuId,
          name: sku.name === null ? product.title : `${product.title}, ${sku.name}`,
          warehouseIds,
          opening: levels.flatMap((level) => {
            const locationId = locations.get(level.warehouseId);
            return locationId === undefined
              ? []
              : [{ locationId, quantity: level.available + level.committed }];
          }),
        }),
      );
      crashPoint("shop: a SKU taken in, its page unfinished");
      if (isNew) taken += 1;
    } catch (error) {
      // One SKU that cannot be stored must not keep the others, or the orders that wait for them, from being taken in.
      if (!isRefusedByDatabase(error)) throw error;
      logger.error({ err: error, channelSkuId: sku.channelSkuId }, "A SKU of the channel cannot be stored");
    }
  }
  return taken;
}

/** TikTok Shop reads the stock of at most 600 SKUs a call. */
const stockReadMaximum = 600;

async function readStockInChunks(
  channel: IntakeDependencies["channel"],
  shop: ShopKey,
  channelSkuIds: readonly ChannelSkuId[],
): Promise<ReadonlyMap<ChannelSkuId, readonly ChannelStock[]>> {
  const bySku = new Map<ChannelSkuId, ChannelStock[]>();
  for (let start = 0; start < channelSkuIds.length; start += stockReadMaximum) {
    const levels = await channel.readStock(shop, channelSkuIds.slice(start, start + stockReadMaximum), 2);
    for (const level of levels) {
      const known = bySku.get(level.channelSkuId);
      if (known === undefined) bySku.set(level.channelSkuId, [level]);
      else known.push(level);
    }
  }
  return bySku;
}
