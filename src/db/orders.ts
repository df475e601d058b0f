import { sql } from "kysely";
import {
  asId,
  type ChannelOrderId,
  type LocationId,
  type ReservationId,
  type ShopId,
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
