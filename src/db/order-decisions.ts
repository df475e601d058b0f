import { sql } from "kysely";
import type { TenantId } from "../domain/ids.ts";
import type { OrderDecision } from "../domain/order/decide.ts";
import type { OrderEvent } from "../domain/order/events.ts";
import {
  holdOf,
  type LineStage,
  needsAttention,
  nextStepOf,
  type OrderLine,
  type OrderState,
  orderSummaryOf,
} from "../domain/order/order.ts";
import type { LockedOrder } from "./orders.ts";
import type { TenantTransaction } from "./tenant.ts";

/** Writes what was decided about an order, its row, its lines and its timeline, in one statement. */
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
  const rowChange = transaction
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
      shortage_course: state.shortage?.course ?? null,
      shortage_decided_by: state.shortage?.by ?? null,
      others_released: state.othersReleased,
      hold: holdOf(state),
      next_step: nextStepOf(state),
      needs_attention: needsAttention(state),
      handled_version: decision.handledVersion,
      event_sequence: order.eventSequence + events.length,
      ...(events.some(isByPerson) ? { touched: true } : {}),
      updated_at: sql`clock_timestamp()`,
    })
    .where("id", "=", order.id);
  await sql`
    with decided as (${rowChange}),
      moved as (${moveLines(tenantId, order, changedLines(order, state))})
    ${appendEvents(transaction, tenantId, order, decision)}
  `.execute(transaction);
}

function isByPerson(event: OrderEvent): boolean {
  return event.kind === "cancel_requested" || (event.kind === "shortage_course_taken" && event.by !== null);
}

function appendEvents(
  transaction: TenantTransaction,
  tenantId: TenantId,
  order: LockedOrder,
  { events, cause }: OrderDecision & { readonly cause: string },
) {
  if (events.length === 0) return sql`select`;
  return transaction.insertInto("order_events").values(
    events.map(({ kind, ...data }, index) => ({
      tenant_id: tenantId,
      order_id: order.id,
      sequence: order.eventSequence + index + 1,
      kind,
      data: JSON.stringify(data),
      cause,
      actor_id: "by" in data ? data.by : null,
    })),
  );
}

function changedLines(order: LockedOrder, state: OrderState) {
  const before = new Map(order.state?.lines.map((line) => [line.lineId, line]));
  const delivered = state.channelStatus === "delivered" || state.channelStatus === "completed";
  const wasDelivered =
    order.state?.channelStatus === "delivered" || order.state?.channelStatus === "completed";
  return state.lines
    .filter((line) => before.get(line.lineId) !== line || delivered !== wasDelivered)
    .map((line) => ({
      line_id: line.lineId,
      sku_id: line.skuId,
      package_id: line.packageId,
      stage: line.stage,
      generation: line.generation,
      ranked_paid_at: line.rankedPaidAt,
      ...quantitiesOf(line, delivered),
    }));
}

function moveLines(tenantId: TenantId, order: LockedOrder, rows: ReturnType<typeof changedLines>) {
  return sql`
    update order_lines as line
    set sku_id = given.sku_id, package_id = given.package_id, stage = given.stage, generation = given.generation,
        ranked_paid_at = given.ranked_paid_at, reserved = given.reserved, short = given.short, shipped = given.shipped,
        delivered = given.delivered, cancelled = given.cancelled
    from jsonb_to_recordset(${JSON.stringify(rows)}::jsonb)
      as given (line_id text, sku_id uuid, package_id text, stage text, generation integer, ranked_paid_at timestamptz,
        reserved integer, short integer, shipped integer, delivered integer, cancelled integer)
    where line.tenant_id = ${tenantId} and line.order_id = ${order.id} and line.line_id = given.line_id`;
}

/** The stored quantities of a line follow from its stage: a line moves as a whole. */
function quantitiesOf(line: OrderLine, delivered: boolean) {
  const whole = (...stages: LineStage[]) => (stages.includes(line.stage) ? line.quantity : 0);
  const shipped = whole("shipped", "untracked");
  return {
    reserved: whole("held", "yielding", "arranged"),
    short: whole("short", "set_aside"),
    shipped,
    delivered: delivered ? shipped : 0,
    cancelled: whole("closing", "cancelled", "reversing", "reversed"),
  };
}
