import { sql } from "kysely";
import { asId, type LocationId, type ReservationId, type SkuId, type TenantId } from "../domain/ids.ts";
import type { AppliedOperation, StockState } from "../domain/stock/apply-batch.ts";
import type { ClaimState, Part, Transfer } from "../domain/stock/draft.ts";
import { type Level, promisable } from "../domain/stock/movement.ts";
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

/** Waiting claims looked at in one batch; what is behind them comes in the next. */
const queueHeadMaximum = 1_000;

/** What deciding needs, and beside it what its consequences depend on. */
export interface LockedStockState extends StockState {
  /** At or below it the SKU's stock is low; 0 when nobody wants to be told. */
  readonly lowStockThreshold: number;
}

/** Everything about a SKU that deciding these operations needs. Its levels stay locked until the transaction ends. */
export async function lockStockState(
  transaction: TenantTransaction,
  tenantId: TenantId,
  skuId: SkuId,
  operations: readonly StockOperation[],
): Promise<LockedStockState> {
  const { levels, ...sku } = await lockNamedLevels(transaction, tenantId, skuId, operations);
  const { claims, applied } = await findKnown(transaction, operations);
  await addNextGenerations(transaction, operations, claims);
  const transfers = await findTransfers(transaction, operations);
  const queue = mayFreeUnits(levels, operations) ? await findQueueHead(transaction, skuId) : [];
  const queueContinues = queue.length === queueHeadMaximum;
  return { levels, ...sku, claims, applied, transfers, queue, queueContinues };
}

type LockedLevels = Pick<LockedStockState, "soldInSeveralShops" | "lowStockThreshold"> & {
  readonly levels: Level[];
};

/** A location of the seller's that a change by hand names gets a level when the SKU has never lain there. */
async function lockNamedLevels(
  transaction: TenantTransaction,
  tenantId: TenantId,
  skuId: SkuId,
  operations: readonly StockOperation[],
): Promise<LockedLevels> {
  const locked = await lockLevels(transaction, skuId);
  const known = new Set(locked.levels.map((level) => level.locationId));
  const named = operations.flatMap(locationsOf).filter((locationId) => !known.has(locationId));
  if (named.length === 0) return locked;
  await sql`
    insert into stock_levels (tenant_id, sku_id, location_id)
    select tenant_id, ${skuId}, id from locations where tenant_id = ${tenantId} and id = any (${named}::uuid[])
    on conflict do nothing
  `.execute(transaction);
  return await lockLevels(transaction, skuId);
}

function locationsOf(operation: StockOperation): readonly LocationId[] {
  switch (operation.kind) {
    case "adjust":
    case "count":
    case "receive":
    case "return":
      return operation.locationId === null ? [] : [operation.locationId];
    case "send_transfer":
      return [operation.toLocationId];
    default:
      return [];
  }
}

/** Locked in one order by everybody: the default location first, then by id. */
export async function lockLevels(transaction: TenantTransaction, skuId: SkuId): Promise<LockedLevels> {
  const rows = await transaction
    .selectFrom("stock_levels as level")
    .innerJoin("locations as location", (join) =>
      join.onRef("location.tenant_id", "=", "level.tenant_id").onRef("location.id", "=", "level.location_id"),
    )
    .innerJoin("skus as sku", (join) =>
      join.onRef("sku.tenant_id", "=", "level.tenant_id").onRef("sku.id", "=", "level.sku_id"),
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
      "level.stopped_at",
      "sku.sold_in_several_shops",
      "sku.low_stock_threshold",
    ])
    .forUpdate("level")
    .execute();
  const levels = rows.map((row) => ({
    locationId: asId<"Location">(row.location_id),
    onHand: row.current_stock,
    reserved: row.reserved_stock,
    backorderFloor: row.backorder_floor,
    version: row.version,
    lastSequence: row.last_sequence,
    stopped: row.stopped_at !== null,
  }));
  return {
    levels,
    soldInSeveralShops: rows[0]?.sold_in_several_shops ?? false,
    lowStockThreshold: rows[0]?.low_stock_threshold ?? 0,
  };
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
    readonly expires_at: string | null;
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
async function addNextGenerations(
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

async function findTransfers(
  transaction: TenantTransaction,
  operations: readonly StockOperation[],
): Promise<ReadonlyMap<string, Transfer>> {
  const ids = operations.flatMap((operation) =>
    operation.kind === "take_transfer" ? [operation.transferId] : [],
  );
  if (ids.length === 0) return new Map();
  const rows = await transaction
    .selectFrom("stock_transfers")
    .where("transfer_id", "in", ids)
    .select(["transfer_id", "from_location_id", "to_location_id", "quantity", "received", "missing"])
    .execute();
  return new Map(
    rows.map((row) => [
      row.transfer_id,
      {
        transferId: row.transfer_id,
        fromLocationId: asId<"Location">(row.from_location_id),
        toLocationId: asId<"Location">(row.to_location_id),
        quantity: row.quantity,
        received: row.received,
        missing: row.missing,
      },
    ]),
  );
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
