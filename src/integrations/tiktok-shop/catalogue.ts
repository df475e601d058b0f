import { invariant } from "../../domain/assert.ts";
import { asId, type ChannelSkuId } from "../../domain/ids.ts";
import type { ItemResult, SalesChannel, ShopKey } from "../ports/sales-channel.ts";
import type { Call, Client } from "./client.ts";
import { readItems, refuseAllUnreadable, type Warner } from "./reading.ts";
import { translateProduct, translateStock } from "./translate.ts";
import {
  productSchema,
  productsAnswer,
  shopsAnswer,
  stockAnswer,
  stockSchema,
  stockUpdateAnswer,
  warehousesAnswer,
} from "./wire.ts";
import type { z } from "zod";

const productPageSize = "100";
const skusLookedUpMax = 10;
const skusReadMax = 600;
/** What became of a number is read back in any case, so a late answer tells nothing more; meanwhile the SKU's next number waits. */
const updateAnswerMilliseconds = 3_000;

/** The shops a token opens; named apart because it is asked before a shop is stored as well. */
export const authorisedShopsCall = {
  method: "GET",
  path: "/authorization/202309/shops",
  withoutCipher: true,
  priority: 3,
  answer: shopsAnswer,
} as const satisfies Call<typeof shopsAnswer>;

export function translateShops(answer: z.output<typeof shopsAnswer>) {
  return answer.shops.map(({ id, ...shop }) => ({ channelShopId: id, ...shop }));
}

/** Shops, warehouses, products and their stock. */
export function catalogueCalls(
  client: Client,
  logger: Warner | undefined,
): Pick<
  SalesChannel,
  "authorisedShops" | "listWarehouses" | "listProducts" | "findProductsBySku" | "readStock" | "setAvailable"
> {
  async function searchProducts(shop: ShopKey, filter: object, pageToken: string | null) {
    const answer = await client.call(shop, {
      method: "POST",
      path: "/product/202502/products/search",
      query: { page_size: productPageSize, page_token: pageToken },
      body: filter,
      priority: 3,
      answer: productsAnswer,
    });
    const context = { what: "A product", shopId: shop.shopId, logger };
    return {
      products: readItems(answer.products, productSchema, translateProduct, context),
      nextPageToken: answer.next_page_token,
    };
  }

  return {
    authorisedShops: async (shop) => translateShops(await client.call(shop, authorisedShopsCall)),

    listWarehouses: async (shop) => {
      const { warehouses } = await client.call(shop, {
        method: "GET",
        path: "/logistics/202309/warehouses",
        priority: 3,
        answer: warehousesAnswer,
      });
      return warehouses
        .filter((warehouse) => warehouse.type !== "RETURN_WAREHOUSE")
        .map((warehouse) => ({
          warehouseId: asId<"ChannelWarehouse">(warehouse.id),
          name: warehouse.name,
          isDefault: warehouse.is_default === true,
          enabled: warehouse.effect_status !== "DISABLED",
        }));
    },

    listProducts: (shop, pageToken) => searchProducts(shop, { status: "ALL" }, pageToken),

    findProductsBySku: async (shop, skuIds) => {
      if (skuIds.length === 0) return [];
      invariant(skuIds.length <= skusLookedUpMax, `at most ${skusLookedUpMax} SKUs a call`);
      return (await searchProducts(shop, { sku_ids: skuIds }, null)).products;
    },

    readStock: async (shop, skuIds, priority) => {
      if (skuIds.length === 0) return [];
      invariant(skuIds.length <= skusReadMax, `at most ${skusReadMax} SKUs a call`);
      const { inventory } = await client.call(shop, {
        method: "POST",
        path: "/product/202309/inventory/search",
        body: { sku_ids: skuIds },
        priority,
        answer: stockAnswer,
      });
      const context = { what: "A product's stock", shopId: shop.shopId, logger };
      const stock = readItems(inventory, stockSchema, translateStock, context);
      refuseAllUnreadable(inventory.length, stock.length, `Reading stock of shop ${shop.shopId}`);
      return stock.flat();
    },

    setAvailable: async (shop, productId, levels, priority) => {
      if (levels.length === 0) return [];
      const skuIds = [...new Set(levels.map((level) => level.channelSkuId))];
      const { errors } = await client.call(shop, {
        method: "POST",
        path: `/product/202309/products/${encodeURIComponent(productId)}/inventory/update`,
        body: {
          skus: skuIds.map((id) => ({
            id,
            inventory: levels
              .filter((level) => level.channelSkuId === id)
              .map((level) => ({ warehouse_id: level.warehouseId, quantity: level.available })),
          })),
        },
        priority,
        answerMilliseconds: updateAnswerMilliseconds,
        answer: stockUpdateAnswer,
      });
      return skuResults(skuIds, errors);
    },
  };
}

/** An error that names no SKU of the call could be any one's, so it is everyone's who has none of their own. */
function skuResults(
  skuIds: readonly ChannelSkuId[],
  errors: z.output<typeof stockUpdateAnswer>["errors"],
): readonly ItemResult<ChannelSkuId>[] {
  const known: ReadonlySet<string> = new Set(skuIds);
  const anyone = errors.find((error) => !known.has(error.detail?.sku_id ?? ""));
  return skuIds.map((key) => {
    const error = errors.find((each) => each.detail?.sku_id === key) ?? anyone;
    if (error === undefined) return { key, ok: true };
    const warehouses = (error.detail?.extra_errors ?? []).map(
      (extra) => `warehouse ${extra.warehouse_id ?? "unknown"}: ${extra.code} ${extra.message}`,
    );
    return { key, ok: false, channelCode: error.code, message: [error.message, ...warehouses].join("; ") };
  });
}
