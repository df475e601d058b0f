import { sql } from "kysely";
import { asId, type ChannelOrderId, type ShopId, type SkuId, type TenantId } from "../domain/ids.ts";
import type { ChannelOrder } from "../domain/order/channel-order.ts";
import { findSkusByChannel } from "./catalogue.ts";
import type { TenantTransaction } from "./tenant.ts";

/** A snapshot as it is to be stored; the recipient is encrypted already. */
export interface SnapshotToStore {
  readonly order: ChannelOrder;
  readonly recipient: Buffer | null;
  readonly fetchBeganAt: string;
  readonly contentHash: string;
  /** What made us look: a delivery, a poll, a person. */
  readonly cause: string;
}

export type SnapshotFate = "new_order" | "news" | "same" | "stale";

/**
 * Stores what the channel says of an order. Of two snapshots the one with the later channel time wins, and at equal
 * times the one whose fetch began later; one with equal contents is no news.
 *
 * @returns what became of it, and whether the order has news that its workflow has not handled.
 */
export async function storeSnapshot(
  transaction: TenantTransaction,
  tenantId: TenantId,
  shopId: ShopId,
  snapshot: SnapshotToStore,
): Promise<{ readonly fate: SnapshotFate; readonly unhandled: boolean }> {
  const inserted = await insertOrder(transaction, tenantId, shopId, snapshot);
  if (inserted !== null) {
    await appendSnapshot(transaction, tenantId, inserted, 1, snapshot);
    return { fate: "new_order", unhandled: true };
  }
  const row = await transaction
    .selectFrom("orders")
    .innerJoin("order_snapshots as latest", (join) =>
      join
        .onRef("latest.tenant_id", "=", "orders.tenant_id")
        .onRef("latest.order_id", "=", "orders.id")
        .onRef("latest.version", "=", "orders.snapshot_version"),
    )
    .where("orders.shop_id", "=", shopId)
    .where("orders.channel_order_id", "=", snapshot.order.orderId)
    .select([
      "orders.id",
      "orders.snapshot_version",
      "orders.handled_version",
      "latest.channel_updated_at",
      "latest.fetch_began_at",
      "latest.content_hash",
    ])
    .forUpdate("orders")
    .executeTakeFirstOrThrow();
  const unhandled = row.handled_version < row.snapshot_version;
  const older =
    snapshot.order.updatedAt < row.channel_updated_at ||
    (snapshot.order.updatedAt === row.channel_updated_at && snapshot.fetchBeganAt <= row.fetch_began_at);
  if (older) return { fate: "stale", unhandled };
  if (snapshot.contentHash === row.content_hash) return { fate: "same", unhandled };
  await appendSnapshot(transaction, tenantId, row.id, row.snapshot_version + 1, snapshot);
  await insertLines(transaction, tenantId, row.id, shopId, snapshot.order);
  await transaction
    .updateTable("orders")
    .set({
      snapshot_version: row.snapshot_version + 1,
      ...(snapshot.recipient === null ? {} : { recipient: snapshot.recipient }),
    })
    .where("id", "=", row.id)
    .execute();
  return { fate: "news", unhandled: true };
}

async function insertOrder(
  transaction: TenantTransaction,
  tenantId: TenantId,
  shopId: ShopId,
  { order, recipient }: SnapshotToStore,
): Promise<string | null> {
  const row = await transaction
    .insertInto("orders")
    .values({
      tenant_id: tenantId,
      shop_id: shopId,
      channel_order_id: order.orderId,
      status: "pending",
      channel_status: order.status,
      next_step: "Received; about to be worked on.",
      snapshot_version: 1,
      shipping: order.shipping,
      warehouse_id: order.warehouseId,
      currency: order.currency,
      total_minor: order.totalMinor,
      ordered_at: order.createdAt,
      paid_at: order.paidAt,
      ship_by: order.shipBy,
      cancel_by: order.cancelBy,
      recipient,
    })
    .onConflict((conflict) => conflict.columns(["tenant_id", "shop_id", "channel_order_id"]).doNothing())
    .returning("id")
    .executeTakeFirst();
  if (row === undefined) return null;
  await insertLines(transaction, tenantId, row.id, shopId, order);
  return row.id;
}

async function insertLines(
  transaction: TenantTransaction,
  tenantId: TenantId,
  orderId: string,
  shopId: ShopId,
  order: ChannelOrder,
): Promise<void> {
  if (order.lines.length === 0) return;
  const skuIds: ReadonlyMap<string, SkuId> = await findSkusByChannel(
    transaction,
    shopId,
    order.lines.map((line) => line.channelSkuId),
  );
  await transaction
    .insertInto("order_lines")
    .values(
      order.lines.map((line) => ({
        tenant_id: tenantId,
        order_id: orderId,
        line_id: line.lineId,
        sku_id: skuIds.get(line.channelSkuId) ?? null,
        channel_sku_id: line.channelSkuId,
        product_name: line.productName,
        sku_name: line.skuName,
        sale_price_minor: line.salePriceMinor,
        package_id: line.packageId,
        ordered: line.quantity,
      })),
    )
    .onConflict((conflict) => conflict.doNothing())
    .execute();
}

async function appendSnapshot(
  transaction: TenantTransaction,
  tenantId: TenantId,
  orderId: string,
  version: number,
  snapshot: SnapshotToStore,
): Promise<void> {
  await transaction
    .insertInto("order_snapshots")
    .values({
      tenant_id: tenantId,
      order_id: orderId,
      version,
      channel_updated_at: snapshot.order.updatedAt,
      fetch_began_at: snapshot.fetchBeganAt,
      content_hash: snapshot.contentHash,
      content: JSON.stringify(snapshot.order),
      cause: snapshot.cause,
    })
    .execute();
}

/** Orders of a shop whose newest stored snapshot has waited longer than this for their workflow; at most 200. */
export async function findUnhandledOrders(
  transaction: TenantTransaction,
  shopId: ShopId,
  olderThanSeconds: number,
): Promise<readonly ChannelOrderId[]> {
  const rows = await transaction
    .selectFrom("orders")
    .innerJoin("order_snapshots as latest", (join) =>
      join
        .onRef("latest.tenant_id", "=", "orders.tenant_id")
        .onRef("latest.order_id", "=", "orders.id")
        .onRef("latest.version", "=", "orders.snapshot_version"),
    )
    .where("orders.shop_id", "=", shopId)
    .whereRef("orders.handled_version", "<", "orders.snapshot_version")
    .where("latest.stored_at", "<", sql<string>`now() - make_interval(secs => ${olderThanSeconds})`)
    .orderBy("latest.stored_at")
    .limit(200)
    .select("orders.channel_order_id")
    .execute();
  return rows.map((row) => asId<"ChannelOrder">(row.channel_order_id));
}
