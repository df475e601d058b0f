import { sql } from "kysely";
import type { SkuId, TenantId } from "../domain/ids.ts";
import { type Corruption, describeCorruption } from "../domain/stock/corruption.ts";
import { openAlerts } from "./alerts.ts";
import { markOfferPending } from "./offers.ts";
import { appendToOutbox } from "./outbox.ts";
import { lockLevels } from "./stock-state.ts";
import { currentTenant, type TenantTransaction } from "./tenant.ts";

/**
 * Looks whether a SKU's levels are what its ledger and its open reservations add up to. One that is not takes the ledger's
 * numbers and is stopped: nothing is promised from the SKU until a person has repaired it, and engineering is told. All
 * under the lock of its batches, so that what is under way is never taken for corruption.
 *
 * @returns what is wrong in words, or null when nothing new is.
 */
export async function stopIfCorrupt(
  transaction: TenantTransaction,
  tenantId: TenantId,
  skuId: SkuId,
): Promise<string | null> {
  await lockLevels(transaction, skuId);
  const corrupted = await findCorruption(transaction, skuId);
  if (corrupted.length === 0) return null;
  const reason = corrupted.map(describeCorruption).join("; ");
  for (const { locationId, ledger } of corrupted) {
    await sql`
      update stock_levels
      set stopped_at = clock_timestamp(), stop_reason = ${reason.slice(0, 500)}, version = version + 1,
        current_stock = ${ledger.onHand}, reserved_stock = ${ledger.reserved}, last_sequence = ${ledger.lastSequence},
        backorder_floor = least(backorder_floor, ${ledger.onHand - ledger.reserved}), updated_at = clock_timestamp()
      where tenant_id = ${currentTenant} and sku_id = ${skuId} and location_id = ${locationId}
    `.execute(transaction);
  }
  await openAlerts(transaction, tenantId, [
    { kind: "stock_corrupt", skuId, facts: { reason: `${reason}.`.slice(0, 500) } },
  ]);
  await markOfferPending(transaction, skuId);
  const { rows } = await sql<{ at: string }>`select clock_timestamp() as at`.execute(transaction);
  await appendToOutbox(transaction, tenantId, [
    { kind: "push_offer", key: `${skuId}/stopped ${rows[0]?.at ?? ""}`, payload: { skuId } },
  ]);
  return reason;
}

interface CorruptedLevel extends Corruption {
  readonly locationId: string;
  readonly ledger: {
    readonly onHand: number;
    readonly reserved: number;
    readonly lastSequence: number;
  };
}

async function findCorruption(
  transaction: TenantTransaction,
  skuId: SkuId,
): Promise<readonly CorruptedLevel[]> {
  const { rows } = await sql<{
    location_id: string;
    location_name: string;
    current_stock: number;
    reserved_stock: number;
    on_hand: number;
    reserved: number;
    last_sequence: number;
    held: number;
  }>`
    select level.location_id, location.name as location_name, level.current_stock, level.reserved_stock,
      ledger.on_hand, ledger.reserved, ledger.last_sequence, claims.held
    from stock_levels as level
    join locations as location on location.tenant_id = level.tenant_id and location.id = level.location_id
    cross join lateral (
      select coalesce(sum(on_hand_effect), 0)::integer as on_hand, coalesce(sum(reserved_effect), 0)::integer as reserved,
        coalesce(max(sequence), 0) as last_sequence
      from inventory_transactions as movement
      where movement.tenant_id = level.tenant_id and movement.sku_id = level.sku_id
        and movement.location_id = level.location_id
    ) as ledger
    cross join lateral (
      select coalesce(sum(quantity), 0)::integer as held from reservations as reservation
      where reservation.tenant_id = level.tenant_id and reservation.sku_id = level.sku_id
        and reservation.location_id = level.location_id and reservation.state = 'held'
    ) as claims
    where level.tenant_id = ${currentTenant} and level.sku_id = ${skuId} and level.stopped_at is null
      and (level.current_stock, level.reserved_stock, level.reserved_stock)
        is distinct from (ledger.on_hand, ledger.reserved, claims.held)
  `.execute(transaction);
  return rows.map((row) => ({
    locationId: row.location_id,
    locationName: row.location_name,
    level: { onHand: row.current_stock, reserved: row.reserved_stock },
    ledger: { onHand: row.on_hand, reserved: row.reserved, lastSequence: row.last_sequence },
    heldUnits: row.held,
  }));
}

/**
 * SKUs of a seller with a level that is not where its last movement left it: corrupted, or a batch of this moment. Quick
 * enough to look at every level every few minutes; `stopIfCorrupt` says which it was.
 */
export async function listSuspectSkus(transaction: TenantTransaction): Promise<readonly SkuId[]> {
  const { rows } = await sql<{ sku_id: SkuId }>`
    select distinct level.sku_id
    from stock_levels as level
    left join lateral (
      select new_stock, new_reserved from inventory_transactions as movement
      where movement.tenant_id = level.tenant_id and movement.sku_id = level.sku_id
        and movement.sequence = level.last_sequence and movement.location_id = level.location_id
    ) as last on true
    where level.tenant_id = ${currentTenant} and level.stopped_at is null
      and (level.current_stock, level.reserved_stock)
        is distinct from (coalesce(last.new_stock, 0), coalesce(last.new_reserved, 0))
  `.execute(transaction);
  return rows.map((row) => row.sku_id);
}
