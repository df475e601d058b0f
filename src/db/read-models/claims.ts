import { sql } from "kysely";
import { asId, type ReservationId, type SkuId } from "../../domain/ids.ts";
import type { TenantTransaction } from "../tenant.ts";

export interface LeavableClaim {
  readonly reservation_id: string;
  readonly order_id: string;
  readonly order_number: string;
  readonly order_ref: string;
  readonly line_id: string;
  readonly generation: number;
  readonly quantity: number;
  readonly units_there: number;
  readonly paid_at: string | null;
  readonly ordered_at: string;
}

/** Claims of orders that hold units at a location and are not being shipped: those that a count could leave short. */
export async function findLeavableClaims(
  transaction: TenantTransaction,
  skuId: SkuId,
  locationId: string,
): Promise<readonly LeavableClaim[]> {
  const { rows } = await sql<LeavableClaim>`
    select reservation.reservation_id, orders.id as order_id, orders.channel_order_id as order_number, orders.order_ref,
      reservation.line_id, reservation.generation, reservation.quantity as units_there,
      (select sum(quantity)::integer from reservations as part where part.tenant_id = reservation.tenant_id
        and part.reservation_id = reservation.reservation_id) as quantity,
      orders.paid_at, orders.ordered_at
    from reservations as reservation
    join orders on orders.tenant_id = reservation.tenant_id and orders.order_ref = reservation.order_ref
    join order_lines as line on line.tenant_id = orders.tenant_id and line.order_id = orders.id
      and line.line_id = reservation.line_id and line.generation = reservation.generation and line.stage = 'held'
    where reservation.sku_id = ${skuId} and reservation.location_id = ${locationId} and reservation.state = 'held'
    order by orders.paid_at desc nulls first, orders.ordered_at desc, reservation.reservation_id desc
    limit 1000
  `.execute(transaction);
  return rows;
}

/** The SKU whose units a reservation holds or has held; null when there is no such reservation. */
export async function findClaimSku(
  transaction: TenantTransaction,
  reservationId: ReservationId,
): Promise<SkuId | null> {
  const row = await transaction
    .selectFrom("reservations")
    .where("reservation_id", "=", reservationId)
    .select("sku_id")
    .executeTakeFirst();
  return row === undefined ? null : asId<"Sku">(row.sku_id);
}
