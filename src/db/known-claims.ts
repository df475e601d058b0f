import { sql } from "kysely";
import { asId, type ReservationId } from "../domain/ids.ts";
import type { AppliedOperation, StockState } from "../domain/stock/apply-batch.ts";
import type { ClaimState, Part } from "../domain/stock/draft.ts";
import {
  claimOperationId,
  claimsNamedBy,
  nextGeneration,
  operationIdOf,
  reservationIdOf,
  type StockAnswer,
  type StockOperation,
  type WaitingClaim,
} from "../domain/stock/operation.ts";
import { currentTenant, type TenantTransaction } from "./tenant.ts";

interface KnownRow {
  readonly source: "operation" | "reservation" | "shortage";
  readonly id: string;
  readonly row: {
    readonly input: string;
    readonly answer: StockAnswer;
    readonly state: string;
    readonly quantity: number;
    readonly location_id: string;
    readonly reversed: boolean;
    readonly expires_at: string | null;
    readonly order_ref: string;
    readonly line_id: string;
    readonly generation: number;
    readonly paid_at: string | null;
    readonly ordered_at: string;
  };
}

/** What is known of the operations and of the claims they name, in one look. Must run under the levels' lock. */
export async function findKnown(
  transaction: TenantTransaction,
  operations: readonly StockOperation[],
): Promise<{ claims: Map<ReservationId, ClaimState>; applied: StockState["applied"] }> {
  const claimed = new Map(
    operations.flatMap(claimsNamedBy).map((claim) => [reservationIdOf(claim), claim] as const),
  );
  const closingIds = new Map(
    [...claimed].map(([id, claim]) => [claimOperationId(claim, "release") as string, id]),
  );
  const operationIds = [...new Set([...operations.map(operationIdOf), ...closingIds.keys()])];
  const rows = await lookUp(transaction, operationIds, [...claimed.keys()]);

  const claims = claimStatesOf(rows);
  const applied = new Map<ReturnType<typeof operationIdOf>, AppliedOperation>();
  for (const { source, id, row } of rows) {
    if (source !== "operation") continue;
    const operationId = asId<"Operation">(id);
    applied.set(operationId, { operationId, input: row.input, answer: row.answer });
    const closes = closingIds.get(id);
    if (closes !== undefined && row.answer.outcome === "closed" && !claims.has(closes)) {
      claims.set(closes, { state: "closed" });
    }
  }
  return { claims, applied };
}

/**
 * A claim that was left short by a count goes on as its next generation, and an order that has not heard of it asks under the
 * older one. Few claims are released and asked about again, so this second look is seldom.
 */
export async function addNextGenerations(
  transaction: TenantTransaction,
  operations: readonly StockOperation[],
  claims: Map<ReservationId, ClaimState>,
): Promise<void> {
  const next = operations
    .flatMap(claimsNamedBy)
    .filter((claim) => claims.get(reservationIdOf(claim))?.state === "released")
    .map((claim) => reservationIdOf(nextGeneration(claim)));
  if (next.length === 0) return;
  for (const [id, state] of claimStatesOf(await lookUp(transaction, [], next))) claims.set(id, state);
}

/**
 * Looks rows up one by one by their keys, inside of one statement. Told as `= any (ids)` the same is planned on the empty
 * tables of a fresh installation as a walk through all of a seller's reservations, and the plan stays: ten times the work
 * until the first automatic analyse.
 */
async function lookUp(
  transaction: TenantTransaction,
  operationIds: readonly string[],
  reservationIds: readonly string[],
): Promise<readonly KnownRow[]> {
  const { rows } = await sql<KnownRow>`
    select 'operation' as source, asked.id, known.row
      from unnest(${operationIds}::text[]) as asked (id)
      cross join lateral (
        select jsonb_build_object('input', input, 'answer', answer) as row from stock_operations
        where tenant_id = ${currentTenant} and operation_id = asked.id offset 0
      ) as known
    union all
    select 'reservation', asked.id, known.row
      from unnest(${reservationIds}::text[]) as asked (id)
      cross join lateral (
        select jsonb_build_object('state', state, 'quantity', quantity, 'location_id', location_id,
          'reversed', reversed_at is not null, 'expires_at', expires_at) as row from reservations
        where tenant_id = ${currentTenant} and reservation_id = asked.id order by part offset 0
      ) as known
    union all
    select 'shortage', asked.id, known.row
      from unnest(${reservationIds}::text[]) as asked (id)
      cross join lateral (
        select to_jsonb(shortages) as row from shortages
        where tenant_id = ${currentTenant} and reservation_id = asked.id and state <> 'served' offset 0
      ) as known
  `.execute(transaction);
  return rows;
}

function claimStatesOf(rows: readonly KnownRow[]): Map<ReservationId, ClaimState> {
  const claims = new Map<ReservationId, ClaimState>();
  for (const { source, id, row } of rows) {
    const reservationId = asId<"Reservation">(id);
    if (source === "shortage") {
      claims.set(
        reservationId,
        row.state === "waiting" ? { state: "waiting", ...waitingClaimOf(row) } : { state: "released" },
      );
    } else if (source === "reservation") {
      claims.set(reservationId, holdingStateOf(row, claims.get(reservationId)));
    }
  }
  return claims;
}

/** All parts of a claim are resolved together, so any of them tells its state. */
function holdingStateOf(row: KnownRow["row"], parts: ClaimState | undefined): ClaimState {
  if (row.reversed) return { state: "reversed" };
  if (row.state !== "held" && row.state !== "shipped") return { state: "released" };
  const part: Part = { quantity: row.quantity, locationId: asId<"Location">(row.location_id) };
  const before = parts !== undefined && "parts" in parts ? parts.parts : [];
  return {
    state: row.state,
    parts: [...before, part],
    ...(row.expires_at === null ? {} : { expiresAt: row.expires_at }),
  };
}

/** A waiting claim as its row in `shortages` tells it. */
export function waitingClaimOf(row: {
  readonly order_ref: string;
  readonly line_id: string;
  readonly generation: number;
  readonly quantity: number;
  readonly location_id: string | null;
  readonly paid_at: string | null;
  readonly ordered_at: string;
}): WaitingClaim {
  return {
    claim: { orderRef: row.order_ref, lineId: row.line_id, generation: row.generation },
    quantity: row.quantity,
    rank: {
      paidAt: row.paid_at === null ? null : new Date(row.paid_at).toISOString(),
      orderedAt: new Date(row.ordered_at).toISOString(),
    },
    locationId: row.location_id === null ? null : asId<"Location">(row.location_id),
  };
}
