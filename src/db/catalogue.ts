import { sql } from "kysely";
import {
  asId,
  type ChannelSkuId,
  type LocationId,
  type ShopId,
  type SkuId,
  type TenantId,
} from "../domain/ids.ts";
import { markOfferPending } from "./sync-status.ts";
import { appendToOutbox } from "./outbox.ts";
import { applyInTransaction } from "./stock.ts";
import type { TenantTransaction } from "./tenant.ts";

/** One SKU of a shop's catalogue, with the stock to open it with. */
export interface ListedSku {
  readonly channelProductId: string;
  readonly channelSkuId: string;
  readonly productTitle: string;
  readonly code: string;
  readonly name: string;
  readonly warehouseIds: readonly string[];
  /** Units at each location: the channel's available and committed together. */
  readonly opening: readonly { readonly locationId: LocationId; readonly quantity: number }[];
}

/**
 * Takes a SKU of a shop's catalogue in: product, SKU, stock levels, listing and opening movement, in one transaction.
 * A listing that is known already is left as it is, its stock above all.
 *
 * @returns the SKU's id, and whether it was new.
 */
export async function takeInListing(
  transaction: TenantTransaction,
  tenantId: TenantId,
  shopId: ShopId,
  listed: ListedSku,
): Promise<{ readonly skuId: SkuId; readonly isNew: boolean }> {
  const known = await transaction
    .selectFrom("listings")
    .where("shop_id", "=", shopId)
    .where("channel_sku_id", "=", listed.channelSkuId)
    .select("sku_id")
    .executeTakeFirst();
  if (known !== undefined) return { skuId: asId<"Sku">(known.sku_id), isNew: false };
  const { skuId, isNew } = await saveSku(transaction, tenantId, listed);
  const listing = await transaction
    .insertInto("listings")
    .values({
      tenant_id: tenantId,
      shop_id: shopId,
      sku_id: skuId,
      channel_product_id: listed.channelProductId,
      channel_sku_id: listed.channelSkuId,
      warehouse_ids: [...listed.warehouseIds],
    })
    .returning("id")
    .executeTakeFirstOrThrow();
  for (const { locationId, quantity } of listed.opening) {
    await transaction
      .insertInto("stock_levels")
      .values({ tenant_id: tenantId, sku_id: skuId, location_id: locationId })
      .onConflict((conflict) => conflict.doNothing())
      .execute();
    // A SKU that another shop opened already lies on the same shelf: its units are counted once.
    if (!isNew) continue;
    await applyInTransaction(transaction, tenantId, skuId, [
      { kind: "open", listingId: listing.id, locationId, quantity },
    ]);
  }
  if (!isNew) await shareStock(transaction, tenantId, skuId, listing.id);
  await wakeOrdersWith(transaction, tenantId, shopId, listed.channelSkuId);
  return { skuId, isNew: true };
}

/** A SKU that another shop sells too: from now on what one of them sells is told to the other, and their numbers are now. */
async function shareStock(
  transaction: TenantTransaction,
  tenantId: TenantId,
  skuId: SkuId,
  listingId: string,
): Promise<void> {
  await transaction
    .updateTable("skus")
    .set({ sold_in_several_shops: true })
    .where("id", "=", skuId)
    .where(
      (of) =>
        of
          .selectFrom("listings")
          .where("sku_id", "=", skuId)
          .select(({ fn }) => fn.count("shop_id").distinct().as("shops")),
      ">",
      1,
    )
    .execute();
  await markOfferPending(transaction, [skuId]);
  await appendToOutbox(transaction, tenantId, [
    { kind: "push_offer", key: `${skuId}/listed/${listingId}`, payload: { skuId } },
  ]);
}

/** Orders that were held because they name this SKU can go on. */
async function wakeOrdersWith(
  transaction: TenantTransaction,
  tenantId: TenantId,
  shopId: ShopId,
  channelSkuId: string,
): Promise<void> {
  const orders = await transaction
    .selectFrom("order_lines as line")
    .innerJoin("orders", (join) =>
      join.onRef("orders.tenant_id", "=", "line.tenant_id").onRef("orders.id", "=", "line.order_id"),
    )
    .where("line.channel_sku_id", "=", channelSkuId)
    .where("line.sku_id", "is", null)
    .where("orders.shop_id", "=", shopId)
    .select("orders.channel_order_id")
    .distinct()
    .execute();
  await appendToOutbox(
    transaction,
    tenantId,
    orders.map((order) => {
      const orderRef = `${shopId}/${order.channel_order_id}`;
      return {
        kind: "wake_order" as const,
        key: `listed ${channelSkuId} ${orderRef}`,
        payload: { orderRef },
      };
    }),
  );
}

async function saveSku(
  transaction: TenantTransaction,
  tenantId: TenantId,
  listed: ListedSku,
): Promise<{ readonly skuId: SkuId; readonly isNew: boolean }> {
  const existing = await transaction
    .selectFrom("skus")
    .where("code", "=", listed.code)
    .select("id")
    .executeTakeFirst();
  if (existing !== undefined) return { skuId: asId<"Sku">(existing.id), isNew: false };
  const product =
    (await transaction
      .selectFrom("products")
      .where("title", "=", listed.productTitle)
      .select("id")
      .executeTakeFirst()) ??
    (await transaction
      .insertInto("products")
      .values({ tenant_id: tenantId, title: listed.productTitle })
      .returning("id")
      .executeTakeFirstOrThrow());
  const sku = await transaction
    .insertInto("skus")
    .values({
      tenant_id: tenantId,
      product_id: product.id,
      code: listed.code,
      name: listed.name,
      sync_status: "synced",
      last_synced_at: sql`clock_timestamp()`,
    })
    .returning("id")
    .executeTakeFirstOrThrow();
  return { skuId: asId<"Sku">(sku.id), isNew: true };
}

/** Ours for the channel's SKU numbers; what is not listed here is missing. */
export async function findSkusByChannel(
  transaction: TenantTransaction,
  shopId: ShopId,
  channelSkuIds: readonly string[],
): Promise<ReadonlyMap<ChannelSkuId, SkuId>> {
  if (channelSkuIds.length === 0) return new Map();
  const rows = await transaction
    .selectFrom("listings")
    .where("shop_id", "=", shopId)
    .where("channel_sku_id", "in", [...new Set(channelSkuIds)])
    .select(["channel_sku_id", "sku_id"])
    .execute();
  return new Map(rows.map((row) => [asId<"ChannelSku">(row.channel_sku_id), asId<"Sku">(row.sku_id)]));
}

/** Makes sure that a shop's warehouses are locations of the tenant, and says which is which. */
export async function mapWarehouses(
  transaction: TenantTransaction,
  tenantId: TenantId,
  shopId: ShopId,
  warehouses: readonly { readonly warehouseId: string; readonly name: string; readonly isDefault: boolean }[],
): Promise<ReadonlyMap<string, LocationId>> {
  const mapped = new Map<string, LocationId>();
  for (const warehouse of warehouses) {
    const known = await transaction
      .selectFrom("shop_warehouses")
      .where("shop_id", "=", shopId)
      .where("channel_warehouse_id", "=", warehouse.warehouseId)
      .select("location_id")
      .executeTakeFirst();
    const locationId = known?.location_id ?? (await addLocation(transaction, tenantId, warehouse));
    if (known === undefined) {
      await transaction
        .insertInto("shop_warehouses")
        .values({
          tenant_id: tenantId,
          shop_id: shopId,
          channel_warehouse_id: warehouse.warehouseId,
          location_id: locationId,
        })
        .execute();
    }
    mapped.set(warehouse.warehouseId, asId<"Location">(locationId));
  }
  return mapped;
}

async function addLocation(
  transaction: TenantTransaction,
  tenantId: TenantId,
  warehouse: { readonly name: string; readonly isDefault: boolean },
): Promise<string> {
  const known = await transaction
    .selectFrom("locations")
    .where("is_default", "=", true)
    .select("id")
    .executeTakeFirst();
  // A seller's default warehouse is one shelf, in whichever shop's words: its units must be counted once.
  if (warehouse.isDefault && known !== undefined) return known.id;
  const location = await transaction
    .insertInto("locations")
    .values({
      tenant_id: tenantId,
      name: warehouse.name,
      is_default: warehouse.isDefault,
    })
    .returning("id")
    .executeTakeFirstOrThrow();
  return location.id;
}
