import { sql } from "kysely";
import { asId, type ChannelOrderId, type ShopId, type SkuId, type TenantId } from "../domain/ids.ts";
import type { ChannelOrder } from "../domain/order/channel-order.ts";
import { committedStatuses } from "../domain/order/transitions.ts";
import { announceSales, type SoldLine } from "./announced-sales.ts";
import { findSkusByChannel } from "./catalogue.ts";
import { currentTenant, type TenantTransaction } from "./tenant.ts";

/** A snapshot as it is to be stored; the recipient is encrypted already. */
export interface SnapshotToStore {
  readonly order: ChannelOrder;
  readonly recipient: Buffer | null;
  /** ISO time by the database's clock, read before the fetch: times of several machines' clocks could not be compared. */
  readonly fetchBeganAt: string;
  readonly contentHash: string;
  /** What made us look: a delivery, a poll, a person. */
  readonly cause: string;
}

export type SnapshotFate = "new_order" | "news" | "same" | "stale";

/** What became of one order's snapshot, and whether the order has news that its workflow has not handled. */
export interface StoredSnapshot {
  readonly fate: SnapshotFate;
  readonly unhandled: boolean;
}

/**
 * Stores what the channel says of orders, each named once, in a handful of statements however many there are. Of two
 * snapshots of an order the one with the later channel time wins, and at equal times the one whose fetch began later;
 * one with equal contents is no news.
 *
 * @returns by order. Missing is an order that another transaction took in at the same moment: ask again.
 */
export async function storeSnapshots(
  transaction: TenantTransaction,
  tenantId: TenantId,
  shopId: ShopId,
  snapshots: readonly SnapshotToStore[],
): Promise<ReadonlyMap<ChannelOrderId, StoredSnapshot>> {
  const known = await lockKnown(transaction, shopId, snapshots);
  const fresh = snapshots.filter(({ order }) => !known.has(order.orderId));
  const ids = await insertOrders(transaction, tenantId, shopId, fresh);
  const changes: Change[] = [];
  const stored = new Map<ChannelOrderId, StoredSnapshot>();
  for (const snapshot of snapshots) {
    const { orderId } = snapshot.order;
    const before = known.get(orderId);
    const id = before?.id ?? ids.get(orderId);
    if (id === undefined) continue;
    const fate = before === undefined ? "new_order" : fateOf(snapshot, before);
    const changed = fate === "new_order" || fate === "news";
    if (changed) changes.push({ id, version: (before?.snapshotVersion ?? 0) + 1, snapshot });
    stored.set(orderId, {
      fate,
      unhandled: changed || (before !== undefined && before.handledVersion < before.snapshotVersion),
    });
  }
  if (changes.length > 0) {
    await appendSnapshots(transaction, tenantId, changes);
    const lines = await insertLines(transaction, tenantId, shopId, changes);
    await announceSales(transaction, tenantId, shopId, soldIn(changes, lines));
    await raiseVersions(
      transaction,
      changes.filter(({ version }) => version > 1),
    );
  }
  return stored;
}

interface KnownOrder {
  readonly id: string;
  readonly snapshotVersion: number;
  readonly handledVersion: number;
  readonly channelUpdatedAt: string;
  readonly fetchBeganAt: string;
  readonly contentHash: string;
}

interface Change {
  readonly id: string;
  readonly version: number;
  readonly snapshot: SnapshotToStore;
}

function fateOf({ order, fetchBeganAt, contentHash }: SnapshotToStore, known: KnownOrder): SnapshotFate {
  const older =
    order.updatedAt < known.channelUpdatedAt ||
    (order.updatedAt === known.channelUpdatedAt && fetchBeganAt <= known.fetchBeganAt);
  if (older) return "stale";
  return contentHash === known.contentHash ? "same" : "news";
}

/** Orders, each with its newest stored snapshot. */
function withLatest(transaction: TenantTransaction) {
  return transaction
    .selectFrom("orders")
    .innerJoin("order_snapshots as latest", (join) =>
      join
        .onRef("latest.tenant_id", "=", "orders.tenant_id")
        .onRef("latest.order_id", "=", "orders.id")
        .onRef("latest.version", "=", "orders.snapshot_version"),
    );
}

/** Locks the orders that are known, in one order for all, so that two batches cannot wait for each other in a circle. */
async function lockKnown(
  transaction: TenantTransaction,
  shopId: ShopId,
  snapshots: readonly SnapshotToStore[],
): Promise<ReadonlyMap<ChannelOrderId, KnownOrder>> {
  const locked = await transaction
    .selectFrom("orders")
    .where("shop_id", "=", shopId)
    .where(
      "channel_order_id",
      "in",
      snapshots.map(({ order }) => order.orderId),
    )
    .select(["id", "channel_order_id", "snapshot_version", "handled_version"])
    .orderBy("channel_order_id")
    .forUpdate()
    .execute();
  if (locked.length === 0) return new Map();
  // A statement of its own, after the locks: what another transaction stored while we waited is seen.
  const newest = await withLatest(transaction)
    .where(
      "orders.id",
      "in",
      locked.map(({ id }) => id),
    )
    .select(["latest.order_id", "latest.channel_updated_at", "latest.fetch_began_at", "latest.content_hash"])
    .execute();
  const byOrder = new Map(newest.map((snapshot) => [snapshot.order_id, snapshot]));
  return new Map(
    locked.map((order) => {
      const snapshot = byOrder.get(order.id);
      if (snapshot === undefined) throw new Error(`Broken invariant: order ${order.id} has no snapshot`);
      return [
        asId<"ChannelOrder">(order.channel_order_id),
        {
          id: order.id,
          snapshotVersion: order.snapshot_version,
          handledVersion: order.handled_version,
          channelUpdatedAt: snapshot.channel_updated_at,
          fetchBeganAt: snapshot.fetch_began_at,
          contentHash: snapshot.content_hash,
        },
      ];
    }),
  );
}

/** @returns the ids of those that were not there yet. */
async function insertOrders(
  transaction: TenantTransaction,
  tenantId: TenantId,
  shopId: ShopId,
  snapshots: readonly SnapshotToStore[],
): Promise<ReadonlyMap<ChannelOrderId, string>> {
  if (snapshots.length === 0) return new Map();
  const rows = await transaction
    .insertInto("orders")
    .values(
      [...snapshots]
        .sort((a, b) => (a.order.orderId < b.order.orderId ? -1 : 1))
        .map(({ order, recipient }) => ({
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
        })),
    )
    .onConflict((conflict) => conflict.columns(["tenant_id", "shop_id", "channel_order_id"]).doNothing())
    .returning(["id", "channel_order_id"])
    .execute();
  return new Map(rows.map((row) => [asId<"ChannelOrder">(row.channel_order_id), row.id]));
}

/** @returns those that were not there yet. */
async function insertLines(
  transaction: TenantTransaction,
  tenantId: TenantId,
  shopId: ShopId,
  changes: readonly Change[],
) {
  const lines = changes.flatMap(({ id, snapshot }) => snapshot.order.lines.map((line) => ({ id, line })));
  if (lines.length === 0) return [];
  const skuIds: ReadonlyMap<string, SkuId> = await findSkusByChannel(
    transaction,
    shopId,
    lines.map(({ line }) => line.channelSkuId),
  );
  return await transaction
    .insertInto("order_lines")
    .values(
      lines.map(({ id, line }) => ({
        tenant_id: tenantId,
        order_id: id,
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
    .returning(["order_id", "line_id", "sku_id"])
    .execute();
}

/** New lines that take units: of known SKUs, in orders that the channel counts as committed. */
function soldIn(
  changes: readonly Change[],
  lines: Awaited<ReturnType<typeof insertLines>>,
): readonly SoldLine[] {
  const orders = new Map(changes.map(({ id, snapshot }) => [id, snapshot.order]));
  return lines.flatMap(({ order_id: id, line_id: lineId, sku_id: skuId }) => {
    const order = orders.get(id);
    return skuId === null || order === undefined || !committedStatuses.includes(order.status)
      ? []
      : [{ skuId: asId<"Sku">(skuId), orderId: order.orderId, lineId }];
  });
}

async function appendSnapshots(
  transaction: TenantTransaction,
  tenantId: TenantId,
  changes: readonly Change[],
): Promise<void> {
  await transaction
    .insertInto("order_snapshots")
    .values(
      changes.map(({ id, version, snapshot }) => ({
        tenant_id: tenantId,
        order_id: id,
        version,
        channel_updated_at: snapshot.order.updatedAt,
        fetch_began_at: snapshot.fetchBeganAt,
        content_hash: snapshot.contentHash,
        content: JSON.stringify(snapshot.order),
        cause: snapshot.cause,
      })),
    )
    .execute();
}

async function raiseVersions(transaction: TenantTransaction, changes: readonly Change[]): Promise<void> {
  if (changes.length === 0) return;
  await sql`
    update orders
    set snapshot_version = given.version, recipient = coalesce(given.recipient, orders.recipient)
    from unnest(${changes.map(({ id }) => id)}::uuid[], ${changes.map(({ version }) => version)}::integer[],
      ${changes.map(({ snapshot }) => snapshot.recipient)}::bytea[]) as given (id, version, recipient)
    where orders.tenant_id = ${currentTenant} and orders.id = given.id
  `.execute(transaction);
}

/** By the channel's time, ISO 8601, as of when a version of an order's snapshots is; null when there is no such version. */
export async function findChannelTime(
  transaction: TenantTransaction,
  orderId: string,
  version: number,
): Promise<string | null> {
  const row = await transaction
    .selectFrom("order_snapshots")
    .where("order_id", "=", orderId)
    .where("version", "=", version)
    .select("channel_updated_at")
    .executeTakeFirst();
  return row?.channel_updated_at ?? null;
}

/** Orders of a shop whose newest stored snapshot has waited longer than this for their workflow; at most 200. */
export async function findUnhandledOrders(
  transaction: TenantTransaction,
  shopId: ShopId,
  olderThanSeconds: number,
): Promise<readonly ChannelOrderId[]> {
  const rows = await withLatest(transaction)
    .where("orders.shop_id", "=", shopId)
    .whereRef("orders.handled_version", "<", "orders.snapshot_version")
    .where("latest.stored_at", "<", sql<string>`now() - make_interval(secs => ${olderThanSeconds})`)
    .orderBy("latest.stored_at")
    .limit(200)
    .select("orders.channel_order_id")
    .execute();
  return rows.map((row) => asId<"ChannelOrder">(row.channel_order_id));
}
