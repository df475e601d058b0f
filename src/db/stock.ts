import { crashPoint } from "../crash-points.ts";
import type { SkuId, TenantId } from "../domain/ids.ts";
import { applyBatch, type BatchResult } from "../domain/stock/apply-batch.ts";
import { operationIdOf, type StockAnswer, type StockOperation } from "../domain/stock/operation.ts";
import type { Database } from "./connection.ts";
import { isRefusedByDatabase } from "./failure.ts";
import type { PushAsked } from "./outbox.ts";
import { atTheirLedger, stopIfCorrupt } from "./stock-corruption.ts";
import { pushCauseOf, writeBatchResult } from "./stock-result.ts";
import { lockStockState } from "./stock-state.ts";
import { type TenantTransaction, withTenant } from "./tenant.ts";

export interface StockBatchOutcome {
  /** One for each operation, in their order. */
  readonly answers: readonly StockAnswer[];
  /** True when free units may be left for claims that were not looked at: apply an empty batch. */
  readonly queueRemains: boolean;
  /** The outbox's messages that ask for a push, when what is offered has changed: until it was made they are open. */
  readonly pushes: readonly PushAsked[];
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
    const { answers, queueRemains, offerChange } = result;
    const pushes = offerChange === null ? [] : [{ key: pushCauseOf(skuId, result), ...offerChange }];
    return { answers, queueRemains, pushes, poisoned: [] };
  } catch (error) {
    if (!isRefusedByDatabase(error)) throw error;
    if (operations.length > 1) return await applyInHalves(db, tenantId, skuId, operations);
    const [operation] = operations;
    if (operation === undefined) throw error;
    // A number that was corrupted refuses what is right: with the ledger's numbers it is decided once more.
    const corrupted = await withTenant(db, tenantId, (transaction) =>
      stopIfCorrupt(transaction, tenantId, skuId),
    );
    if (corrupted !== null) return await applyStockBatch(db, tenantId, skuId, operations);
    return {
      answers: [{ outcome: "refused", reason: "poisoned" }],
      queueRemains: false,
      pushes: [],
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
    pushes: [...first.pushes, ...second.pushes],
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
  const repairs = operations.some(({ kind }) => kind === "repair");
  // A person may know of it before the next look at all levels.
  if (repairs) await stopIfCorrupt(transaction, tenantId, skuId);
  const locked = await lockStockState(transaction, tenantId, skuId, operations);
  const state = repairs
    ? { ...locked, levels: await atTheirLedger(transaction, skuId, locked.levels) }
    : locked;
  const result = applyBatch(state, operations);
  await writeBatchResult(transaction, tenantId, skuId, state, result);
  crashPoint("stock: batch written, not committed");
  return result;
}
