import { sql } from "kysely";
import { asId, type ReservationId, type SkuId, type TenantId } from "../domain/ids.ts";
import {
  type AppliedOperation,
  applyBatch,
  type BatchResult,
  type ClaimState,
  type StockState,
} from "../domain/stock/apply-batch.ts";
import { type Level, promisable } from "../domain/stock/movement.ts";
import {
  type Claim,
  claimOperationId,
  operationIdOf,
  reservationIdOf,
  type StockAnswer,
  type StockOperation,
} from "../domain/stock/operation.ts";
import type { WaitingClaim } from "../domain/stock/shortage-queue.ts";
import type { Database } from "./connection.ts";
import { isRefusedByDatabase } from "./failure.ts";
import { setSyncStatus } from "./offers.ts";
import { appendToOutbox } from "./outbox.ts";
import { type TenantTransaction, withTenant } from "./tenant.ts";

/** Waiting claims looked at in one batch; what is behind them comes in the next. */
const queueHeadMaximum = 1_000;

export interface StockBatchOutcome {
  /** One for each operation, in their order. */
  readonly answers: readonly StockAnswer[];
  /** True when free units may be left for claims that were not looked at: apply an empty batch. */
  readonly queueRemains: boolean;
  /** Operations that the database refused even alone. Engineering must look. */
  readonly poisoned: readonly { readonly operationId: string; readonly error: string }[];
}

/**
 * Applies the operations of one SKU in one transaction: each at most once, ever. A batch that the database refuses for a
 * reason of its own is split until the refused operation stands alone; the others go on.
 *
 * @throws what the driver throws when the database cannot be reached or gives up; nothing was applied then, and the same
 *   call may be made again.
 */
export async function applyStockBatch(
  db: Database,
  tenantId: TenantId,
  skuId: SkuId,
  operations: readonly StockOperation[],
): Promise<StockBatchOutcome> {
  try {
    const result = await withTenant(db, tenantId, (transaction) =>
      applyInTransaction(transaction, tenantId, skuId, operations),
    );
    return { answers: result.answers, queueRemains: result.queueRemains, poisoned: [] };
  } catch (error) {
    if (!isRefusedByDatabase(error)) throw error;
    if (operations.length > 1) return await applyInHalves(db, tenantId, skuId, operations);
    const [operation] = operations;
    if (operation === undefined) throw error;
    return {
      answers: [{ outcome: "refused", reason: "poisoned" }],
      queueRemains: false,
      poisoned: [{ operationId: operationIdOf(operation), error: String(error) }],
    };
  }
}

async function applyInHalves(
  db: Database,
  tenantId: TenantId,
  skuId: SkuId,
  operations: readonly StockOperation[],
): Promise<StockBatchOutcome> {
  const middle = Math.ceil(operations.length / 2);
  const first = await applyStockBatch(db, tenantId, skuId, operations.slice(0, middle));
  const second = await applyStockBatch(db, tenantId, skuId, operations.slice(middle));
  return {
    answers: [...first.answers, ...second.answers],
    queueRemains: first.queueRemains || second.queueRemains,
    poisoned: [...first.poisoned, ...second.poisoned],
  };
}

/** The transaction itself: lock, look up, decide, write. */
export async function applyInTransaction(
  transaction: TenantTransaction,
  tenantId: TenantId,
  skuId: SkuId,
  operations: readonly StockOperation[],
): Promise<BatchResult> {
  const levels = await lockLevels(transaction, skuId);
  const known = await findKnown(transaction, operations);
  const queue = mayFreeUnits(levels, operations) ? await findQueueHead(transaction, skuId) : [];
  const result = applyBatch(
    { levels, ...known, queue, queueContinues: queue.length === queueHeadMaximum },
    operations,
  );
  await writeResult(transaction, tenantId, skuId, result);
  return result;
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

const currentTenant = sql`current_setting('app.tenant_id')::uuid`;

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

async function writeResult(
  transaction: TenantTransaction,
  tenantId: TenantId,
  skuId: SkuId,
  result: BatchResult,
): Promise<void> {
  if (result.levels.length > 0) await saveLevels(transaction, tenantId, skuId, result);
  if (result.movements.length > 0) await appendMovements(transaction, tenantId, skuId, result);
  if (result.claims.size > 0) await saveClaims(transaction, tenantId, skuId, result);
  if (result.applied.length > 0) await appendOperations(transaction, tenantId, skuId, result);
  if (result.offerChanged) await setSyncStatus(transaction, skuId, "pending");
  await appendToOutbox(transaction, tenantId, [
    ...result.served.map(({ claim }) => ({
      kind: "wake_order" as const,
      key: claimOperationId(claim, "serve"),
      payload: { orderRef: claim.orderRef },
    })),
    ...(result.offerChanged
      ? [{ kind: "push_offer" as const, key: `${skuId}/${causeOf(result)}`, payload: { skuId } }]
      : []),
  ]);
}

/** The first operation of the batch, or of the entity's own when it only served the queue: it happens in one batch alone. */
function causeOf(result: BatchResult): string {
  const [applied] = result.applied;
  const [served] = result.served;
  if (applied !== undefined) return applied.operationId;
  return served === undefined ? "nothing" : claimOperationId(served.claim, "serve");
}

async function saveLevels(
  transaction: TenantTransaction,
  tenantId: TenantId,
  skuId: SkuId,
  { levels }: BatchResult,
): Promise<void> {
  const rows = levels.map((level) => ({
    location_id: level.locationId,
    current_stock: level.onHand,
    reserved_stock: level.reserved,
    version: level.version,
    last_sequence: level.lastSequence,
  }));
  await sql`
    update stock_levels as level
    set current_stock = given.current_stock, reserved_stock = given.reserved_stock, version = given.version,
        last_sequence = given.last_sequence, updated_at = clock_timestamp()
    from jsonb_to_recordset(${JSON.stringify(rows)}::jsonb)
      as given (location_id uuid, current_stock integer, reserved_stock integer, version integer, last_sequence bigint)
    where level.tenant_id = ${tenantId} and level.sku_id = ${skuId} and level.location_id = given.location_id
  `.execute(transaction);
}

async function appendMovements(
  transaction: TenantTransaction,
  tenantId: TenantId,
  skuId: SkuId,
  { movements }: BatchResult,
): Promise<void> {
  const rows = movements.map((movement) => ({
    location_id: movement.locationId,
    sequence: movement.sequence,
    kind: movement.kind,
    quantity: movement.quantity,
    on_hand_effect: movement.onHandEffect,
    reserved_effect: movement.reservedEffect,
    previous_stock: movement.previousStock,
    new_stock: movement.newStock,
    previous_reserved: movement.previousReserved,
    new_reserved: movement.newReserved,
    reason: movement.reason,
    operation_id: movement.operationId,
    reference_type: movement.reference.type,
    reference_id: movement.reference.id,
    created_by: movement.actorId,
  }));
  await sql`
    insert into inventory_transactions (tenant_id, sku_id, location_id, sequence, kind, quantity, on_hand_effect,
      reserved_effect, previous_stock, new_stock, previous_reserved, new_reserved, reason, operation_id, reference_type,
      reference_id, created_by)
    select ${tenantId}, ${skuId}, location_id, sequence, kind, quantity, on_hand_effect, reserved_effect, previous_stock,
      new_stock, previous_reserved, new_reserved, reason, operation_id, reference_type, reference_id, created_by
    from jsonb_to_recordset(${JSON.stringify(rows)}::jsonb)
      as given (location_id uuid, sequence bigint, kind text, quantity integer, on_hand_effect integer,
        reserved_effect integer, previous_stock integer, new_stock integer, previous_reserved integer,
        new_reserved integer, reason text, operation_id text, reference_type text, reference_id text, created_by uuid)
  `.execute(transaction);
  const adjustments = movements.filter((movement) => movement.kind === "adjust");
  if (adjustments.length === 0) return;
  await transaction
    .insertInto("inventory_audit_log")
    .values(
      adjustments.map((movement) => ({
        tenant_id: tenantId,
        event_type: "adjustment",
        user_id: movement.actorId,
        sku_id: skuId,
        old_values: JSON.stringify({ current_stock: movement.previousStock }),
        new_values: JSON.stringify({ current_stock: movement.newStock }),
        reason: movement.reason,
        request_id: movement.reference.id,
      })),
    )
    .execute();
}

/** A claim's row lives in `shortages` while it waits and in `reservations` once it holds or has held units. */
async function saveClaims(
  transaction: TenantTransaction,
  tenantId: TenantId,
  skuId: SkuId,
  { claims }: BatchResult,
): Promise<void> {
  const holding: object[] = [];
  const waiting: object[] = [];
  const gone: string[] = [];
  for (const [reservationId, { claim, is }] of claims) {
    if (is.state === "held" || is.state === "shipped") {
      holding.push({
        ...claimColumns(reservationId, claim),
        state: is.state,
        quantity: is.quantity,
        location_id: is.locationId,
      });
    } else if (is.state === "waiting") {
      waiting.push({
        ...claimColumns(reservationId, claim),
        quantity: is.quantity,
        location_id: is.locationId,
        paid_at: is.rank.paidAt,
        ordered_at: is.rank.orderedAt,
      });
    } else {
      gone.push(reservationId);
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
        as given (reservation_id text, order_ref text, line_id text, generation integer, state text, quantity integer,
          location_id uuid)
    ), served as (
      update shortages set state = 'served', resolved_at = clock_timestamp()
      from given
      where shortages.tenant_id = ${tenantId} and shortages.reservation_id = given.reservation_id
        and shortages.state = 'waiting'
    )
    insert into reservations as reservation (tenant_id, reservation_id, sku_id, location_id, order_ref, line_id,
      generation, quantity, state, resolved_at)
    select ${tenantId}, reservation_id, ${skuId}, location_id, order_ref, line_id, generation, quantity, state,
      case when state = 'shipped' then clock_timestamp() end
    from given
    on conflict (tenant_id, reservation_id) do update
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
    on conflict (tenant_id, reservation_id) do update set paid_at = excluded.paid_at
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

async function appendOperations(
  transaction: TenantTransaction,
  tenantId: TenantId,
  skuId: SkuId,
  { applied }: BatchResult,
): Promise<void> {
  const rows = applied.map((each) => ({
    operation_id: each.operationId,
    input: each.input,
    answer: each.answer,
  }));
  await sql`
    insert into stock_operations (tenant_id, operation_id, sku_id, input, answer)
    select ${tenantId}, operation_id, ${skuId}, input, answer
    from jsonb_to_recordset(${JSON.stringify(rows)}::jsonb) as given (operation_id text, input text, answer jsonb)
  `.execute(transaction);
}
