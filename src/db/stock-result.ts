import { sql } from "kysely";
import type { SkuId, TenantId } from "../domain/ids.ts";
import type { BatchResult } from "../domain/stock/apply-batch.ts";
import type { ReferenceType } from "../domain/stock/movement.ts";
import { type Claim, claimOperationId, holdIdOf } from "../domain/stock/operation.ts";
import { markOfferPending } from "./sync-status.ts";
import { appendToOutbox, type MessageToAppend, pushMilliseconds } from "./outbox.ts";
import { alertOfBatch } from "./stock-alerts.ts";
import { saveClaims } from "./stock-claims.ts";
import type { LockedStockState } from "./stock-state.ts";
import type { TenantTransaction } from "./tenant.ts";

/** Writes what a batch has decided: levels, ledger, claims, answers, and what it must cause elsewhere. */
export async function writeBatchResult(
  transaction: TenantTransaction,
  tenantId: TenantId,
  skuId: SkuId,
  state: LockedStockState,
  result: BatchResult,
): Promise<void> {
  if (result.levels.length > 0) await saveLevels(transaction, tenantId, skuId, result);
  if (result.movements.length > 0) await appendMovements(transaction, tenantId, skuId, result);
  if (result.claims.size > 0) await saveClaims(transaction, tenantId, skuId, result);
  if (result.transfers.length > 0) await saveTransfers(transaction, tenantId, skuId, result);
  if (result.applied.length > 0) await appendOperations(transaction, tenantId, skuId, result);
  if (result.offerChange !== null) await markOfferPending(transaction, [skuId], result.offerChange.soldBy);
  await alertOfBatch(transaction, tenantId, skuId, state, result);
  await appendToOutbox(transaction, tenantId, [
    ...result.served.map(({ claim }) => ({
      kind: "wake_order" as const,
      key: claimOperationId(claim, "serve"),
      payload: { orderRef: claim.orderRef },
    })),
    ...result.leftShort.map((claim) => ({
      kind: "wake_order" as const,
      key: claimOperationId(claim, "yield"),
      payload: { orderRef: claim.orderRef },
    })),
    ...[...result.claims.values()].flatMap(({ claim, is }) =>
      is.state === "held" && is.expiresAt !== undefined ? [holdMessage(skuId, claim, is.expiresAt)] : [],
    ),
    ...(result.offerChange === null
      ? []
      : [
          {
            kind: "push_offer" as const,
            key: pushCauseOf(skuId, result),
            payload: {
              skuId,
              ...(result.offerChange.soldBy === null ? {} : { soldBy: result.offerChange.soldBy }),
            },
            notBefore: new Date(Date.now() + pushMilliseconds).toISOString(),
          },
        ]),
  ]);
}

/** The key of the message that asks for the push. */
export function pushCauseOf(skuId: SkuId, result: BatchResult): string {
  return `${skuId}/${causeOf(result)}`;
}

/** Its workflow releases the hold when its time is over. */
function holdMessage(skuId: SkuId, claim: Claim, expiresAt: string): MessageToAppend {
  const holdId = holdIdOf(claim);
  return { kind: "begin_hold", key: holdId, payload: { skuId, holdId, expiresAt } };
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
    backorder_floor: level.backorderFloor,
    stopped: level.stopped,
  }));
  await sql`
    update stock_levels as level
    set current_stock = given.current_stock, reserved_stock = given.reserved_stock, version = given.version,
        last_sequence = given.last_sequence, backorder_floor = given.backorder_floor, updated_at = clock_timestamp(),
        stopped_at = case when given.stopped then level.stopped_at end,
        stop_reason = case when given.stopped then level.stop_reason end
    from jsonb_to_recordset(${JSON.stringify(rows)}::jsonb)
      as given (location_id uuid, current_stock integer, reserved_stock integer, version integer, last_sequence bigint,
        backorder_floor integer, stopped boolean)
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
  const byHand = movements.filter(({ reference }) => !doneBySystem.includes(reference.type));
  if (byHand.length === 0) return;
  await transaction
    .insertInto("inventory_audit_log")
    .values(
      byHand.map((movement) => ({
        tenant_id: tenantId,
        event_type: movement.kind === "adjust" ? "adjustment" : movement.kind,
        user_id: movement.actorId,
        sku_id: skuId,
        old_values: JSON.stringify({
          current_stock: movement.previousStock,
          reserved_stock: movement.previousReserved,
        }),
        new_values: JSON.stringify({
          current_stock: movement.newStock,
          reserved_stock: movement.newReserved,
          location_id: movement.locationId,
        }),
        reason: movement.reason,
        request_id: movement.reference.id,
      })),
    )
    .execute();
}

/** Movements with these references follow from what orders and the catalogue do; all others are somebody's decision. */
const doneBySystem: readonly ReferenceType[] = ["order_line", "opening"];

async function saveTransfers(
  transaction: TenantTransaction,
  tenantId: TenantId,
  skuId: SkuId,
  { transfers }: BatchResult,
): Promise<void> {
  await transaction
    .insertInto("stock_transfers")
    .values(
      transfers.map((transfer) => ({
        tenant_id: tenantId,
        transfer_id: transfer.transferId,
        sku_id: skuId,
        from_location_id: transfer.fromLocationId,
        to_location_id: transfer.toLocationId,
        quantity: transfer.quantity,
        received: transfer.received,
        missing: transfer.missing,
      })),
    )
    .onConflict((conflict) =>
      conflict.columns(["tenant_id", "transfer_id"]).doUpdateSet((given) => ({
        received: given.ref("excluded.received"),
        missing: given.ref("excluded.missing"),
        updated_at: sql`clock_timestamp()`,
      })),
    )
    .execute();
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
