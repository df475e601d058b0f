import { sql } from "kysely";
import {
  asId,
  type ChannelOrderId,
  type LocationId,
  type ReservationId,
  type ShopId,
  type SkuId,
  type TenantId,
} from "../domain/ids.ts";
import type { ChannelOrder } from "../domain/order/channel-order.ts";
import type { OrderDecision, SnapshotContext } from "../domain/order/decide.ts";
import {
  holdOf,
  type LineStage,
  needsAttention,
  nextStepOf,
  type OrderLine,
  type OrderState,
  orderSummaryOf,
} from "../domain/order/order.ts";
import type { ChannelStatus } from "../domain/order/channel-order.ts";
import { findSkusByChannel } from "./catalogue.ts";
import type { TenantTransaction } from "./tenant.ts";

/** An order's row under its lock, with what is stored and not yet handled. */
export interface LockedOrder {
  readonly id: string;
  readonly shopId: ShopId;
  readonly channelOrderId: ChannelOrderId;
  /** Null until its first snapshot was handled. */
  readonly state: OrderState | null;
  readonly snapshotVersion: number;
  readonly handledVersion: number;
  readonly eventSequence: number;
}

/** Locks an order by its channel's number. Null when it was never stored. */
export async function lockOrder(
  transaction: TenantTransaction,
  shopId: ShopId,
  channelOrderId: ChannelOrderId,
): Promise<LockedOrder | null> {
  const row = await transaction
    .selectFrom("orders")
    .where("shop_id", "=", shopId)
    .where("channel_order_id", "=", channelOrderId)
    .selectAll()
    .forUpdate()
    .executeTakeFirst();
  if (row === undefined) return null;
  const locked = {
    id: row.id,
    shopId,
    channelOrderId,
    snapshotVersion: row.snapshot_version,
    handledVersion: row.handled_version,
    eventSequence: row.event_sequence,
  };
  if (row.handled_version === 0) return { ...locked, state: null };
  const lines = await transaction
    .selectFrom("order_lines")
    .where("order_id", "=", row.id)
    .orderBy("line_id")
    .select([
      "line_id",
      "sku_id",
      "channel_sku_id",
      "ordered",
      "package_id",
      "stage",
      "generation",
      "ranked_paid_at",
    ])
    .execute();
  return {
    ...locked,
    state: {
      orderRef: `${shopId}/${channelOrderId}`,
      channelStatus: row.channel_status as ChannelStatus,
      channelOnHold: row.channel_on_hold,
      buyerRequestsCancel: row.buyer_requests_cancel,
      shipping: row.shipping as OrderState["shipping"],
      locationId: await findLocation(transaction, shopId, row.warehouse_id),
      orderedAt: row.ordered_at,
      paidAt: row.paid_at,
      shipBy: row.ship_by,
      cancelBy: row.cancel_by,
      trackingNumber: row.tracking_number,
      shipmentRefusal: row.shipment_refusal,
      cancelRequest:
        row.cancel_state === null
          ? null
          : {
              state: row.cancel_state as "requested" | "accepted" | "refused",
              reason: row.cancel_reason ?? "",
              by: row.cancel_requested_by === null ? null : asId<"User">(row.cancel_requested_by),
            },
      lines: lines.map(
        (line): OrderLine => ({
          lineId: asId<"ChannelLine">(line.line_id),
          skuId: line.sku_id === null ? null : asId<"Sku">(line.sku_id),
          channelSkuId: asId<"ChannelSku">(line.channel_sku_id),
          quantity: line.ordered,
          packageId: line.package_id === null ? null : asId<"ChannelPackage">(line.package_id),
          stage: line.stage as LineStage,
          generation: line.generation,
          rankedPaidAt: line.ranked_paid_at,
        }),
      ),
    },
  };
}

async function findLocation(
  transaction: TenantTransaction,
  shopId: ShopId,
  warehouseId: string | null,
): Promise<LocationId | null> {
  if (warehouseId === null) return null;
  const row = await transaction
    .selectFrom("shop_warehouses")
    .where("shop_id", "=", shopId)
    .where("channel_warehouse_id", "=", warehouseId)
    .select("location_id")
    .executeTakeFirst();
  return row === undefined ? null : asId<"Location">(row.location_id);
}

/** The newest stored snapshot of an order and what deciding about it needs besides. */
export async function getLatestSnapshot(
  transaction: TenantTransaction,
  order: LockedOrder,
): Promise<{ readonly snapshot: ChannelOrder; readonly cause: string; readonly context: SnapshotContext }> {
  const row = await transaction
    .selectFrom("order_snapshots")
    .where("order_id", "=", order.id)
    .where("version", "=", order.snapshotVersion)
    .select(["content", "cause"])
    .executeTakeFirstOrThrow();
  const shop = await transaction
    .selectFrom("shops")
    .where("id", "=", order.shopId)
    .select("opened_at")
    .executeTakeFirstOrThrow();
  const snapshot = row.content as unknown as ChannelOrder;
  return {
    snapshot,
    cause: row.cause,
    context: {
      orderRef: `${order.shopId}/${order.channelOrderId}`,
      skuIds: await findSkusByChannel(
        transaction,
        order.shopId,
        snapshot.lines.map((line) => line.channelSkuId),
      ),
      locationId: await findLocation(transaction, order.shopId, snapshot.warehouseId),
      stockOpenedAt: shop.opened_at,
    },
  };
}

/** Writes what was decided about an order: its row, its lines, and its timeline. */
export async function saveDecision(
  transaction: TenantTransaction,
  tenantId: TenantId,
  order: LockedOrder,
  decision: OrderDecision & { readonly handledVersion: number; readonly cause: string },
): Promise<void> {
  const { state, events } = decision;
  const unchanged =
    state === order.state && events.length === 0 && decision.handledVersion === order.handledVersion;
  if (unchanged) return;
  await transaction
    .updateTable("orders")
    .set({
      status: orderSummaryOf(state),
      channel_status: state.channelStatus,
      channel_on_hold: state.channelOnHold,
      buyer_requests_cancel: state.buyerRequestsCancel,
      paid_at: state.paidAt,
      ship_by: state.shipBy,
      cancel_by: state.cancelBy,
      tracking_number: state.trackingNumber,
      shipment_refusal: state.shipmentRefusal,
      cancel_state: state.cancelRequest?.state ?? null,
      cancel_reason: state.cancelRequest?.reason ?? null,
      cancel_requested_by: state.cancelRequest?.by ?? null,
      hold: holdOf(state),
      next_step: nextStepOf(state),
      needs_attention: needsAttention(state),
      handled_version: decision.handledVersion,
      event_sequence: order.eventSequence + events.length,
      ...(events.some((event) => event.kind === "cancel_requested") ? { touched: true } : {}),
      updated_at: sql`clock_timestamp()`,
    })
    .where("id", "=", order.id)
    .execute();
  await saveLines(transaction, tenantId, order, state);
  if (events.length === 0) return;
  await transaction
    .insertInto("order_events")
    .values(
      events.map(({ kind, ...data }, index) => ({
        tenant_id: tenantId,
        order_id: order.id,
        sequence: order.eventSequence + index + 1,
        kind,
        data: JSON.stringify(data),
        cause: decision.cause,
        actor_id: "by" in data ? data.by : null,
      })),
    )
    .execute();
}

async function saveLines(
  transaction: TenantTransaction,
  tenantId: TenantId,
  order: LockedOrder,
  state: OrderState,
): Promise<void> {
  const before = new Map(order.state?.lines.map((line) => [line.lineId, line]));
  const delivered = state.channelStatus === "delivered" || state.channelStatus === "completed";
  const wasDelivered =
    order.state?.channelStatus === "delivered" || order.state?.channelStatus === "completed";
  const changed = state.lines.filter(
    (line) => before.get(line.lineId) !== line || delivered !== wasDelivered,
  );
  if (changed.length === 0) return;
  const rows = changed.map((line) => ({
    line_id: line.lineId,
    sku_id: line.skuId,
    package_id: line.packageId,
    stage: line.stage,
    generation: line.generation,
    ranked_paid_at: line.rankedPaidAt,
    ...quantitiesOf(line, delivered),
  }));
  await sql`
    update order_lines as line
    set sku_id = given.sku_id, package_id = given.package_id, stage = given.stage, generation = given.generation,
        ranked_paid_at = given.ranked_paid_at, reserved = given.reserved, short = given.short, shipped = given.shipped,
        delivered = given.delivered, cancelled = given.cancelled
    from jsonb_to_recordset(${JSON.stringify(rows)}::jsonb)
      as given (line_id text, sku_id uuid, package_id text, stage text, generation integer, ranked_paid_at timestamptz,
        reserved integer, short integer, shipped integer, delivered integer, cancelled integer)
    where line.tenant_id = ${tenantId} and line.order_id = ${order.id} and line.line_id = given.line_id
  `.execute(transaction);
}

/** The stored quantities of a line follow from its stage: a line moves as a whole. */
function quantitiesOf(line: OrderLine, delivered: boolean) {
  const whole = (...stages: LineStage[]) => (stages.includes(line.stage) ? line.quantity : 0);
  const shipped = whole("shipped", "untracked");
  return {
    reserved: whole("held", "arranged"),
    short: whole("short"),
    shipped,
    delivered: delivered ? shipped : 0,
    cancelled: whole("closing", "cancelled", "reversing", "reversed"),
  };
}

/** The reservations that an order holds now. */
export async function findHeldReservations(
  transaction: TenantTransaction,
  orderRef: string,
): Promise<ReadonlySet<ReservationId>> {
  const rows = await transaction
    .selectFrom("reservations")
    .where("order_ref", "=", orderRef)
    .where("state", "=", "held")
    .select("reservation_id")
    .execute();
  return new Set(rows.map((row) => asId<"Reservation">(row.reservation_id)));
}

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
