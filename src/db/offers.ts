import { type Expression, sql } from "kysely";
import {
  asId,
  type ChannelProductId,
  type ChannelSkuId,
  type ChannelWarehouseId,
  type ShopId,
  type SkuId,
  type TenantId,
} from "../domain/ids.ts";
import { channelStatuses } from "../domain/order/channel-order.ts";
import { isHandedOver } from "../domain/order/transitions.ts";
import { clocksApartMilliseconds } from "../domain/shop/clocks.ts";
import type { ChannelNumbers, OurNumbers } from "../domain/stock/offer.ts";
import type { TenantTransaction } from "./tenant.ts";

/** One SKU as sold in one shop. */
export interface Listing {
  readonly listingId: string;
  readonly shopId: ShopId;
  readonly channelProductId: ChannelProductId;
  readonly channelSkuId: ChannelSkuId;
  readonly warehouseIds: readonly ChannelWarehouseId[];
}

export async function findListings(
  transaction: TenantTransaction,
  skuId: SkuId,
): Promise<readonly Listing[]> {
  const rows = await transaction
    .selectFrom("listings")
    .where("sku_id", "=", skuId)
    .orderBy("id")
    .select(["id", "shop_id", "channel_product_id", "channel_sku_id", "warehouse_ids"])
    .execute();
  return rows.map((row) => ({
    listingId: row.id,
    shopId: asId<"Shop">(row.shop_id),
    channelProductId: asId<"ChannelProduct">(row.channel_product_id),
    channelSkuId: asId<"ChannelSku">(row.channel_sku_id),
    warehouseIds: row.warehouse_ids.map((id) => asId<"ChannelWarehouse">(id)),
  }));
}

/** While an order is in one of these, the channel counts its units as committed, whether they have left us or not. */
const stillCommitted = channelStatuses.filter((status) => status !== "cancelled" && !isHandedOver(status));

/**
 * Our numbers of a SKU at the location behind each of a listing's warehouses. Units are under way from our `ship` until the
 * order's news say that the carrier has them, which is when the channel deducts them.
 */
export async function getOurNumbers(
  transaction: TenantTransaction,
  listing: Listing,
  skuId: SkuId,
): Promise<ReadonlyMap<ChannelWarehouseId, OurNumbers>> {
  const { rows } = await sql<{
    channel_warehouse_id: string;
    current_stock: number;
    reserved_stock: number;
    under_way: number;
    buffer: number;
  }>`
    select warehouse.channel_warehouse_id, coalesce(level.current_stock, 0) as current_stock,
      coalesce(level.reserved_stock, 0) as reserved_stock, sku.buffer,
      (select coalesce(sum(reservation.quantity), 0)::integer
         from reservations as reservation
         join orders on orders.tenant_id = reservation.tenant_id and orders.order_ref = reservation.order_ref
         where reservation.tenant_id = warehouse.tenant_id and reservation.sku_id = sku.id
           and reservation.location_id = warehouse.location_id
           and reservation.state = 'shipped' and reservation.reversed_at is null
           and orders.shop_id = warehouse.shop_id
           and orders.channel_status = any (${stillCommitted}::text[])
      ) as under_way
    from shop_warehouses as warehouse
    join skus as sku on sku.tenant_id = warehouse.tenant_id and sku.id = ${skuId}
    left join stock_levels as level on level.tenant_id = warehouse.tenant_id and level.sku_id = sku.id
      and level.location_id = warehouse.location_id
    where warehouse.shop_id = ${listing.shopId} and warehouse.channel_warehouse_id = any (${[...listing.warehouseIds]})
  `.execute(transaction);
  return new Map(
    rows.map((row) => [
      asId<"ChannelWarehouse">(row.channel_warehouse_id),
      {
        onHand: row.current_stock,
        reserved: row.reserved_stock,
        underWay: row.under_way,
        buffer: row.buffer,
      },
    ]),
  );
}

/**
 * Opens a transaction in which a SKU's offer is compared. What was observed before it is seen by all news of hand-overs that
 * it does not see itself (`findComparedSince`): of a comparison and such news one always knows of the other.
 */
export async function beginComparison(transaction: TenantTransaction, skuId: SkuId): Promise<void> {
  await sql`select pg_advisory_xact_lock(${comparisonLock(sql.val(skuId))})`.execute(transaction);
}

/**
 * SKUs of an order that were compared with the channel although it may have changed the order before: to be asked in the
 * transaction that takes the change in.
 *
 * @param unchangedAt ISO time by the channel's clock at which the order was last known as it was before.
 */
export async function findComparedSince(
  transaction: TenantTransaction,
  orderId: string,
  unchangedAt: string,
): Promise<readonly SkuId[]> {
  const since = new Date(Date.parse(unchangedAt) - clocksApartMilliseconds).toISOString();
  // Comparisons under way are waited for here, and seen by the statement after it.
  await sql`select pg_advisory_xact_lock_shared(${comparisonLock(sql.ref("sku_id"))}) from (
    select distinct sku_id from order_lines where order_id = ${orderId} and sku_id is not null
  ) as skus`.execute(transaction);
  const rows = await transaction
    .selectFrom("order_lines")
    .where("order_id", "=", orderId)
    .where((eb) =>
      eb.exists(
        eb
          .selectFrom("channel_observations")
          .whereRef("channel_observations.sku_id", "=", "order_lines.sku_id")
          .where("observed_at", ">=", since),
      ),
    )
    .select("sku_id")
    .distinct()
    .execute();
  return rows.flatMap(({ sku_id: skuId }) => (skuId === null ? [] : [asId<"Sku">(skuId)]));
}

function comparisonLock(skuId: Expression<string | null>) {
  return sql`hashtextextended('comparison ' || ${skuId}, 0)`;
}

/** What the channel said of a listing at one warehouse. */
export type Observation = ChannelNumbers & { readonly warehouseId: ChannelWarehouseId };

export async function appendObservations(
  transaction: TenantTransaction,
  tenantId: TenantId,
  listing: Listing,
  skuId: SkuId,
  observations: readonly Observation[],
): Promise<void> {
  if (observations.length === 0) return;
  await transaction
    .insertInto("channel_observations")
    .values(
      observations.map((observation) => ({
        tenant_id: tenantId,
        listing_id: listing.listingId,
        sku_id: skuId,
        warehouse_id: observation.warehouseId,
        available: observation.available,
        committed: observation.committed,
      })),
    )
    .execute();
}

/** A number about to be pushed, with what it was computed from. */
export interface IntendedPush {
  readonly warehouseId: ChannelWarehouseId;
  readonly desired: number;
  readonly seen: ChannelNumbers;
}

/**
 * Writes down what is about to be pushed. One push is in flight for a listing and warehouse: one that was left open by an
 * attempt with an unclear outcome is superseded, since the channel has been read anew.
 */
export async function openPushIntents(
  transaction: TenantTransaction,
  tenantId: TenantId,
  listing: Listing,
  skuId: SkuId,
  pushes: readonly IntendedPush[],
): Promise<void> {
  await closePushIntents(transaction, listing, "superseded", "read anew");
  await transaction
    .insertInto("push_intents")
    .values(
      pushes.map((push) => ({
        tenant_id: tenantId,
        listing_id: listing.listingId,
        sku_id: skuId,
        warehouse_id: push.warehouseId,
        desired_available: push.desired,
        available_seen: push.seen.available,
        committed_seen: push.seen.committed,
      })),
    )
    .execute();
}

export async function closePushIntents(
  transaction: TenantTransaction,
  listing: Listing,
  state: "confirmed" | "refused" | "superseded",
  outcome: string,
): Promise<void> {
  await transaction
    .updateTable("push_intents")
    .set({ state, outcome: outcome.slice(0, 1_000), closed_at: sql`clock_timestamp()` })
    .where("listing_id", "=", listing.listingId)
    .where("state", "=", "open")
    .execute();
}

/** How a SKU stands with its channels, for people. */
export async function setSyncStatus(
  transaction: TenantTransaction,
  skuId: SkuId,
  status: "synced" | "pending" | "failed",
): Promise<void> {
  await transaction
    .updateTable("skus")
    .set({ sync_status: status, ...(status === "synced" ? { last_synced_at: sql`clock_timestamp()` } : {}) })
    .where("id", "=", skuId)
    .execute();
}
