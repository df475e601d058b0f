import { sql } from "kysely";
import type { ReservationId, SkuId, TenantId } from "../domain/ids.ts";
import type { BatchResult } from "../domain/stock/apply-batch.ts";
import type { Claim } from "../domain/stock/operation.ts";
import { currentTenant, type TenantTransaction } from "./tenant.ts";

/** A claim's row lives in `shortages` while it waits and in `reservations` once it holds or has held units. */
export async function saveClaims(
  transaction: TenantTransaction,
  tenantId: TenantId,
  skuId: SkuId,
  { claims }: BatchResult,
): Promise<void> {
  const holding: object[] = [];
  const waiting: object[] = [];
  const gone: string[] = [];
  for (const [reservationId, { claim, is: end, passed }] of claims) {
    const over = end.state !== "held" && end.state !== "shipped" && end.state !== "waiting";
    if (over) gone.push(reservationId);
    // A claim that came and went in one batch is written as what it was, and then ends like every other.
    const is = over ? passed : end;
    if (is === undefined) continue;
    if (is.state === "held" || is.state === "shipped") {
      is.parts.forEach((part, index) =>
        holding.push({
          ...claimColumns(reservationId, claim),
          part: index + 1,
          state: is.state,
          quantity: part.quantity,
          location_id: part.locationId,
          expires_at: is.expiresAt ?? null,
        }),
      );
    } else if (is.state === "waiting") {
      waiting.push({
        ...claimColumns(reservationId, claim),
        quantity: is.quantity,
        location_id: is.locationId,
        paid_at: is.rank.paidAt,
        ordered_at: is.rank.orderedAt,
      });
    }
  }
  if (holding.length > 0) await saveHolding(transaction, tenantId, skuId, holding);
  if (waiting.length > 0) await saveWaiting(transaction, tenantId, skuId, waiting);
  if (gone.length > 0) await closeClaims(transaction, gone);
}

function claimColumns(reservationId: ReservationId, claim: Claim): object {
  return {
    reservation_id: reservationId,
    order_ref: claim.orderRef,
    line_id: claim.lineId,
    generation: claim.generation,
  };
}

async function saveHolding(
  transaction: TenantTransaction,
  tenantId: TenantId,
  skuId: SkuId,
  rows: readonly object[],
): Promise<void> {
  await sql`
    with given as (
      select * from jsonb_to_recordset(${JSON.stringify(rows)}::jsonb)
        as given (reservation_id text, part integer, order_ref text, line_id text, generation integer, state text,
          quantity integer, location_id uuid, expires_at timestamptz)
    ), served as (
      update shortages set state = 'served', resolved_at = clock_timestamp()
      from given
      where shortages.tenant_id = ${tenantId} and shortages.reservation_id = given.reservation_id
        and shortages.state = 'waiting'
    )
    insert into reservations as reservation (tenant_id, reservation_id, part, sku_id, location_id, order_ref, line_id,
      generation, quantity, state, resolved_at, expires_at)
    select ${tenantId}, reservation_id, part, ${skuId}, location_id, order_ref, line_id, generation, quantity, state,
      case when state = 'shipped' then clock_timestamp() end, expires_at
    from given
    on conflict (tenant_id, reservation_id, part) do update
      set state = excluded.state, resolved_at = excluded.resolved_at
  `.execute(transaction);
}

async function saveWaiting(
  transaction: TenantTransaction,
  tenantId: TenantId,
  skuId: SkuId,
  rows: readonly object[],
): Promise<void> {
  await sql`
    insert into shortages (tenant_id, reservation_id, sku_id, order_ref, line_id, generation, quantity, location_id,
      paid_at, ordered_at)
    select ${tenantId}, reservation_id, ${skuId}, order_ref, line_id, generation, quantity, location_id, paid_at, ordered_at
    from jsonb_to_recordset(${JSON.stringify(rows)}::jsonb)
      as given (reservation_id text, order_ref text, line_id text, generation integer, quantity integer,
        location_id uuid, paid_at timestamptz, ordered_at timestamptz)
    on conflict (tenant_id, reservation_id) do update set paid_at = excluded.paid_at,
      ranked_at = case when shortages.paid_at is distinct from excluded.paid_at then clock_timestamp() else shortages.ranked_at end
  `.execute(transaction);
}

/** Released, withdrawn or reversed, whichever the row's own state makes of it. */
async function closeClaims(transaction: TenantTransaction, reservationIds: readonly string[]): Promise<void> {
  await sql`
    with withdrawn as (
      update shortages set state = 'withdrawn', resolved_at = clock_timestamp()
      where tenant_id = ${currentTenant} and reservation_id = any (${reservationIds}) and state = 'waiting'
    )
    update reservations
    set state = case state when 'held' then 'released' else state end,
        resolved_at = coalesce(resolved_at, clock_timestamp()),
        reversed_at = case state when 'shipped' then coalesce(reversed_at, clock_timestamp()) end
    where tenant_id = ${currentTenant} and reservation_id = any (${reservationIds}) and state <> 'released'
  `.execute(transaction);
}
