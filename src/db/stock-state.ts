import { sql } from "kysely";
import { asId, type ReservationId, type SkuId } from "../domain/ids.ts";
import type { AppliedOperation, ClaimState, StockState } from "../domain/stock/apply-batch.ts";
import { type Level, promisable } from "../domain/stock/movement.ts";
import {
  claimOperationId,
  operationIdOf,
  reservationIdOf,
  type StockAnswer,
  type StockOperation,
} from "../domain/stock/operation.ts";
import type { WaitingClaim } from "../domain/stock/shortage-queue.ts";
import { currentTenant, type TenantTransaction } from "./tenant.ts";

/** Waiting claims looked at in one batch; what is behind them comes in the next. */
const queueHeadMaximum = 1_000;

/** Everything about a SKU that deciding these operations needs. Its levels stay locked until the transaction ends. */
export async function lockStockState(
  transaction: TenantTransaction,
  skuId: SkuId,
  operations: readonly StockOperation[],
): Promise<StockState> {
  const levels = await lockLevels(transaction, skuId);
  const known = await findKnown(transaction, operations);
  const queue = mayFreeUnits(levels, operations) ? await findQueueHead(transaction, skuId) : [];
  return { levels, ...known, queue, queueContinues: queue.length === queueHeadMaximum };
}

/** Locked in one order by everybody: the default location first, then by id. */
async function lockLevels(transaction: TenantTransaction, skuId: SkuId): Promise<Level[]> {
  const rows = await transaction
    .selectFrom("stock_levels as level")
    .innerJoin("locations as location", (join) =>
      join.onRef("location.tenant_id", "=", "level.tenant_id").onRef("location.id", "=", "level.location_id"),
    )
    .where("level.sku_id", "=", skuId)
    .orderBy("location.is_default", "desc")
    .orderBy("level.location_id")
    .select([
      "level.location_id",
      "level.current_stock",
      "level.reserved_stock",
      "level.backorder_floor",
      "level.version",
      "level.last_sequence",
    ])
    .forUpdate("level")
    .execute();
  return rows.map((row) => ({
    locationId: asId<"Location">(row.location_id),
    onHand: row.current_stock,
    reserved: row.reserved_stock,
    backorderFloor: row.backorder_floor,
    version: row.version,
    lastSequence: row.last_sequence,
  }));
}

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
    readonly order_ref: string;
    readonly line_id: string;
    readonly generation: number;
    readonly paid_at: string | null;
    readonly ordered_at: string;
  };
}

/** What is known of the operations and of the claims they name, in one look. Must run under the levels' lock. */
async function findKnown(
  transaction: TenantTransaction,
  operations: readonly StockOperation[],
): Promise<Pick<StockState, "claims" | "applied">> {
  const claimed = new Map(
    operations.flatMap((operation) =>
      "claim" in operation ? [[reservationIdOf(operation.claim), operation.claim] as const] : [],
    ),
  );
  const closingIds = new Map(
    [...claimed].map(([id, claim]) => [claimOperationId(claim, "release") as string, id]),
  );
  const operationIds = [...new Set([...operations.map(operationIdOf), ...closingIds.keys()])];
  const reservationIds = [...claimed.keys()];
  const { rows } = await sql<KnownRow>`
    select 'operation' as source, operation_id as id, jsonb_build_object('input', input, 'answer', answer) as row
      from stock_operations
      where tenant_id = ${currentTenant} and operation_id = any (${operationIds})
    union all
    select 'reservation', reservation_id, jsonb_build_object('state', state, 'quantity', quantity,
        'location_id', location_id, 'reversed', reversed_at is not null)
      from reservations
      where tenant_id = ${currentTenant} and reservation_id = any (${reservationIds})
    union all
    select 'shortage', reservation_id, to_jsonb(shortages)
      from shortages
      where tenant_id = ${currentTenant} and reservation_id = any (${reservationIds}) and state <> 'served'
  `.execute(transaction);

  const claims = new Map<ReservationId, ClaimState>();
  const applied = new Map<ReturnType<typeof operationIdOf>, AppliedOperation>();
  for (const { source, id, row } of rows) {
    if (source === "operation") {
      const operationId = asId<"Operation">(id);
      applied.set(operationId, { operationId, input: row.input, answer: row.answer });
      const closes = closingIds.get(id);
      if (closes !== undefined && row.answer.outcome === "closed" && !claims.has(closes)) {
        claims.set(closes, { state: "closed" });
      }
    } else {
      claims.set(asId<"Reservation">(id), claimStateOf(source, row));
    }
  }
  return { claims, applied };
}

function claimStateOf(source: "reservation" | "shortage", row: KnownRow["row"]): ClaimState {
  if (source === "shortage") {
    return row.state === "waiting" ? { state: "waiting", ...waitingClaimOf(row) } : { state: "released" };
  }
  if (row.reversed) return { state: "reversed" };
  const held = { quantity: row.quantity, locationId: asId<"Location">(row.location_id) };
  switch (row.state) {
    case "held":
      return { state: "held", ...held };
    case "shipped":
      return { state: "shipped", ...held };
    default:
      return { state: "released" };
  }
}

function waitingClaimOf(row: {
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

/** The queue is read only when a unit may be free after this batch: with nothing to give, nobody's turn can come. */
function mayFreeUnits(levels: readonly Level[], operations: readonly StockOperation[]): boolean {
  return (
    levels.some((level) => promisable(level) > 0) ||
    operations.some((operation) => operation.kind !== "reserve" && operation.kind !== "rank")
  );
}

async function findQueueHead(transaction: TenantTransaction, skuId: SkuId): Promise<WaitingClaim[]> {
  const rows = await transaction
    .selectFrom("shortages")
    .where("sku_id", "=", skuId)
    .where("state", "=", "waiting")
    .orderBy("paid_at", (order) => order.asc().nullsLast())
    .orderBy("ordered_at")
    .orderBy("reservation_id")
    .limit(queueHeadMaximum)
    .select(["order_ref", "line_id", "generation", "quantity", "location_id", "paid_at", "ordered_at"])
    .execute();
  return rows.map(waitingClaimOf);
}
