import { sql } from "kysely";
import { conditionsAt, crossings } from "../domain/alert/crossings.ts";
import type { LocationId, SkuId, TenantId } from "../domain/ids.ts";
import type { BatchResult } from "../domain/stock/apply-batch.ts";
import { available, type Level } from "../domain/stock/movement.ts";
import { type AlertToOpen, openAlerts, resolveAlerts } from "./alerts.ts";
import { appendToOutbox } from "./outbox.ts";
import { type LockedStockState, lockLevels } from "./stock-state.ts";
import { currentTenant, type TenantTransaction } from "./tenant.ts";

/**
 * Opens and ends the alerts that follow from what a batch did to a SKU's stock, in the batch's transaction. A batch that
 * crosses no line and leaves nobody waiting asks the database nothing.
 */
export async function alertOfBatch(
  transaction: TenantTransaction,
  tenantId: TenantId,
  skuId: SkuId,
  { levels, claims, lowStockThreshold: threshold }: LockedStockState,
  result: BatchResult,
): Promise<void> {
  const changed = new Map(result.levels.map((level) => [level.locationId, level]));
  const after = availableIn(levels.map((level) => changed.get(level.locationId) ?? level));
  const { opens, rearms } = crossings(availableIn(levels), after, threshold);
  const paidOneWaits = [...result.claims.values()].some(
    ({ is }) => is.state === "waiting" && is.rank.paidAt !== null,
  );
  await openAlerts(transaction, tenantId, [
    ...opens.map((kind): AlertToOpen => ({ kind, skuId, facts: { available: after, threshold } })),
    ...(paidOneWaits ? [{ kind: "shortage" as const, skuId }] : []),
  ]);
  const isRepaired = levels.some((level) => level.stopped) && !isStopped(levels, changed);
  await resolveAlerts(transaction, tenantId, isRepaired ? [...rearms, "stock_corrupt"] : rearms, skuId);
  const someoneLeft =
    result.served.length > 0 ||
    [...result.claims].some(([id, { is }]) => is.state !== "waiting" && claims.get(id)?.state === "waiting");
  if (someoneLeft && !paidOneWaits)
    await resolveAlerts(transaction, tenantId, ["shortage"], skuId, nobodyWaits(skuId));
}

function isStopped(
  levels: readonly Readonly<Level>[],
  changed: ReadonlyMap<LocationId, Readonly<Level>>,
): boolean {
  return levels.some((level) => (changed.get(level.locationId) ?? level).stopped);
}

function availableIn(levels: readonly Readonly<Level>[]): number {
  return levels.reduce((sum, level) => sum + available(level), 0);
}

function nobodyWaits(skuId: SkuId) {
  return sql`not exists (
    select from shortages where shortages.tenant_id = ${currentTenant} and shortages.sku_id = ${skuId} and shortages.state = 'waiting'
  )`;
}

/**
 * Has a SKU's alerts compared with its numbers once the transaction that changes its threshold is committed. Not in it: a
 * batch that is under way has read the old threshold, and a look at the numbers that it is about to change would miss them.
 *
 * @param cause names the change: of two calls with the same one counts.
 */
export async function noteThresholdChanged(
  transaction: TenantTransaction,
  tenantId: TenantId,
  skuId: SkuId,
  cause: string,
): Promise<void> {
  await appendToOutbox(transaction, tenantId, [
    { kind: "check_alerts", key: `${skuId}/${cause}`.slice(0, 400), payload: { skuId } },
  ]);
}

/** Opens and ends what a SKU's numbers, as they are now, ask for. */
export async function checkStockAlerts(
  transaction: TenantTransaction,
  tenantId: TenantId,
  skuId: SkuId,
): Promise<void> {
  const { levels, lowStockThreshold: threshold } = await lockLevels(transaction, skuId);
  if (levels.length === 0) return;
  const now = availableIn(levels);
  const { opens, rearms } = conditionsAt(now, threshold);
  await openAlerts(
    transaction,
    tenantId,
    opens.map((kind) => ({ kind, skuId, facts: { available: now, threshold } })),
  );
  await resolveAlerts(transaction, tenantId, rearms, skuId);
}
