import { sql } from "kysely";
import type { SkuId, TenantId } from "../domain/ids.ts";
import { type Corruption, describeCorruption } from "../domain/stock/corruption.ts";
import type { Level } from "../domain/stock/movement.ts";
import { openAlerts } from "./alerts.ts";
import { markOfferPending } from "./sync-status.ts";
import { appendToOutbox } from "./outbox.ts";
import { lockLevels } from "./stock-state.ts";
import { currentTenant, type TenantTransaction } from "./tenant.ts";

/**
 * Looks whether a SKU's levels are what its ledger and its open reservations add up to. One that is not takes the ledger's
 * numbers and is stopped: nothing is promised from the SKU until a person has repaired it, and engineering is told. All
 * under the lock of its batches, so that what is under way is never taken for corruption. Where more has left than the
 * ledger knows to have come, the level stands at nothing until the repair.
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
        current_stock = ${Math.max(0, ledger.onHand)}, reserved_stock = ${ledger.reserved},
        last_sequence = ${ledger.lastSequence}, updated_at = clock_timestamp()
      where tenant_id = ${currentTenant} and sku_id = ${skuId} and location_id = ${locationId}
    `.execute(transaction);
  }
  await openAlerts(transaction, tenantId, [
    { kind: "stock_corrupt", skuId, facts: { reason: `${reason}.`.slice(0, 500) } },
  ]);
  await markOfferPending(transaction, [skuId]);
  const { rows } = await sql<{ at: string }>`select clock_timestamp() as at`.execute(transaction);
  await appendToOutbox(transaction, tenantId, [
    { kind: "push_offer", key: `${skuId}/stopped ${rows[0]?.at ?? ""}`, payload: { skuId } },
  ]);
  return reason;
}

/**
 * The levels with those that are stopped at what their movements add up to, where the repair begins: a stopped level stands
 * elsewhere when that is below nothing, or when somebody has changed it once more. Must run under the levels' lock.
 */
export async function atTheirLedger<At extends Level>(
  transaction: TenantTransaction,
  skuId: SkuId,
  levels: readonly At[],
): Promise<readonly At[]> {
  if (!levels.some(({ stopped }) => stopped)) return levels;
  const { rows } = await sql<{
    location_id: string;
    on_hand: number;
    reserved: number;
    last_sequence: number;
  }>`
    select level.location_id, ledger.* from stock_levels as level cross join lateral (${ledgerOfLevel}) as ledger
    where level.tenant_id = ${currentTenant} and level.sku_id = ${skuId} and level.stopped_at is not null
  `.execute(transaction);
  const ledgers = new Map(rows.map((row) => [row.location_id, row]));
  return levels.map((level) => {
    const ledger = ledgers.get(level.locationId);
    return ledger === undefined
      ? level
      : { ...level, onHand: ledger.on_hand, reserved: ledger.reserved, lastSequence: ledger.last_sequence };
  });
}

/** What the movements at a level add up to. */
const ledgerOfLevel = sql`
  select coalesce(sum(on_hand_effect), 0)::integer as on_hand, coalesce(sum(reserved_effect), 0)::integer as reserved,
    coalesce(max(sequence), 0) as last_sequence
  from inventory_transactions as movement
  where movement.tenant_id = level.tenant_id and movement.sku_id = level.sku_id
    and movement.location_id = level.location_id`;

interface CorruptedLevel extends Corruption {
  readonly locationId: string;
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
    level_sequence: number;
    last_sequence: number;
    held: number;
  }>`
    select level.location_id, location.name as location_name, level.current_stock, level.reserved_stock,
      level.last_sequence as level_sequence, ledger.on_hand, ledger.reserved, ledger.last_sequence, claims.held
    from stock_levels as level
    join locations as location on location.tenant_id = level.tenant_id and location.id = level.location_id
    cross join lateral (${ledgerOfLevel}) as ledger
    cross join lateral (
      select coalesce(sum(quantity), 0)::integer as held from reservations as reservation
      where reservation.tenant_id = level.tenant_id and reservation.sku_id = level.sku_id
        and reservation.location_id = level.location_id and reservation.state = 'held'
    ) as claims
    where level.tenant_id = ${currentTenant} and level.sku_id = ${skuId} and level.stopped_at is null
      and (level.current_stock, level.reserved_stock, level.reserved_stock, level.last_sequence)
        is distinct from (ledger.on_hand, ledger.reserved, claims.held, ledger.last_sequence)
  `.execute(transaction);
  return rows.map((row) => ({
    locationId: row.location_id,
    locationName: row.location_name,
    level: { onHand: row.current_stock, reserved: row.reserved_stock, lastSequence: row.level_sequence },
    ledger: { onHand: row.on_hand, reserved: row.reserved, lastSequence: row.last_sequence },
    heldUnits: row.held,
  }));
}

/** Of a SKU that was changed of late; a busier one is judged by fewer minutes of its ledger. */
const movementsLookedAt = 500;

/**
 * SKUs of a seller with a level that is not where its last movement left it, or with a movement of late that did not begin
 * where the one before it ended, since a batch upon a corrupted number leads on from it: corrupted, or a batch of this
 * moment. Quick enough to look at every level every few minutes; `stopIfCorrupt` says which it was.
 */
export async function listSuspectSkus(transaction: TenantTransaction): Promise<readonly SkuId[]> {
  const { rows } = await sql<{ sku_id: SkuId }>`
    select level.sku_id
    from stock_levels as level
    left join lateral (
      select new_stock, new_reserved from inventory_transactions as movement
      where movement.tenant_id = level.tenant_id and movement.sku_id = level.sku_id
        and movement.sequence = level.last_sequence and movement.location_id = level.location_id
    ) as last on true
    where level.tenant_id = ${currentTenant} and level.stopped_at is null
      and (level.current_stock, level.reserved_stock)
        is distinct from (coalesce(last.new_stock, 0), coalesce(last.new_reserved, 0))
    union
    select level.sku_id
    from stock_levels as level
    cross join lateral (
      select previous_stock, previous_reserved, lag(new_stock) over before as stock_before,
        lag(new_reserved) over before as reserved_before,
        sequence <= max(sequence) filter (where reference_type = 'repair') over () as is_repaired
      from inventory_transactions as movement
      where movement.tenant_id = level.tenant_id and movement.sku_id = level.sku_id
        and movement.location_id = level.location_id and movement.sequence > level.last_sequence - ${movementsLookedAt}
      window before as (order by sequence)
    ) as chained
    where level.tenant_id = ${currentTenant} and level.stopped_at is null
      and level.updated_at > now() - interval '15 minutes' and chained.is_repaired is not true
      and (chained.previous_stock <> chained.stock_before or chained.previous_reserved <> chained.reserved_before)
  `.execute(transaction);
  return rows.map((row) => row.sku_id);
}
