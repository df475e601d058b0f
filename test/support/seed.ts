import { sql } from "kysely";
import { mapWarehouses, takeInListing } from "../../src/db/catalogue.ts";
import { type Database, openDatabase } from "../../src/db/connection.ts";
import { type TenantTransaction, withTenant } from "../../src/db/tenant.ts";
import { asId, type LocationId, type ShopId, type SkuId, type TenantId } from "../../src/domain/ids.ts";

/** One seller with one shop and one warehouse, as a test's ground. */
export interface SeededShop {
  readonly tenantId: TenantId;
  readonly shopId: ShopId;
  readonly locationId: LocationId;
}

export const seededWarehouse = "7000000000000000001";

let counter = 0;

export async function seedShop(db: Database): Promise<SeededShop> {
  counter += 1;
  const tenantId = asId<"Tenant">(crypto.randomUUID());
  return await withTenant(db, tenantId, async (transaction) => {
    await transaction
      .insertInto("tenants")
      .values({ tenant_id: tenantId, name: `Seller ${counter}` })
      .execute();
    const shopId = await insertShop(transaction, tenantId, `Shop ${counter}`);
    const locations = await mapWarehouses(transaction, tenantId, shopId, [
      { warehouseId: seededWarehouse, name: "Main warehouse", isDefault: true },
    ]);
    return { tenantId, shopId, locationId: locations.get(seededWarehouse)! };
  });
}

async function insertShop(transaction: TenantTransaction, tenantId: TenantId, name: string): Promise<ShopId> {
  const { id } = await transaction
    .insertInto("shops")
    .values({
      tenant_id: tenantId,
      channel: "tiktok-shop",
      channel_shop_id: `shop-${crypto.randomUUID()}`,
      name,
      region: "GB",
      opened_at: sql`now()`,
    })
    .returning("id")
    .executeTakeFirstOrThrow();
  return asId<"Shop">(id);
}

/** A SKU with opening stock. Its channel number is its code. */
export async function seedSku(db: Database, shop: SeededShop, units: number): Promise<SkuId> {
  counter += 1;
  const code = `SKU-${counter}`;
  const { skuId } = await withTenant(db, shop.tenantId, (transaction) =>
    takeInListing(transaction, shop.tenantId, shop.shopId, {
      channelProductId: `product-${counter}`,
      channelSkuId: code,
      productTitle: `Product ${counter}`,
      code,
      name: `Product ${counter}`,
      warehouseIds: [seededWarehouse],
      opening: [{ locationId: shop.locationId, quantity: units }],
    }),
  );
  return skuId;
}

/** Another shop of the same seller that sells the SKU from the same shelf. Its channel number there is "outlet" and its code. */
export async function seedSecondShop(
  db: Database,
  { tenantId, locationId }: SeededShop,
  skuId: SkuId,
): Promise<SeededShop> {
  counter += 1;
  return await withTenant(db, tenantId, async (transaction) => {
    const shopId = await insertShop(transaction, tenantId, `Outlet ${counter}`);
    await transaction
      .insertInto("shop_warehouses")
      .values({
        tenant_id: tenantId,
        shop_id: shopId,
        channel_warehouse_id: seededWarehouse,
        location_id: locationId,
      })
      .execute();
    const { code } = await transaction
      .selectFrom("skus")
      .where("id", "=", skuId)
      .select("code")
      .executeTakeFirstOrThrow();
    await takeInListing(transaction, tenantId, shopId, {
      channelProductId: "outlet",
      channelSkuId: `outlet ${code}`,
      productTitle: "Outlet",
      code,
      name: code,
      warehouseIds: [seededWarehouse],
      opening: [{ locationId, quantity: 0 }],
    });
    return { tenantId, shopId, locationId };
  });
}

/** Opens a pool that acts as the app, for as long as a test file lasts. */
export function openTestDatabase(
  url: string,
  role: "cf_app" | "cf_dispatcher" | "cf_ingest" | "cf_report" = "cf_app",
) {
  return openDatabase({ url, role, poolSize: 8 });
}

/** A SKU's numbers over all locations. */
export async function stockOf(db: Database, tenantId: TenantId, skuId: SkuId) {
  return await withTenant(db, tenantId, (transaction) =>
    transaction
      .selectFrom("stock_levels")
      .where("sku_id", "=", skuId)
      .select((of) => [
        of.fn.sum<string>("current_stock").as("onHand"),
        of.fn.sum<string>("reserved_stock").as("reserved"),
      ])
      .executeTakeFirstOrThrow()
      .then((row) => ({ onHand: Number(row.onHand), reserved: Number(row.reserved) })),
  );
}
