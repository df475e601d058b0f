import { sql } from "kysely";
import { asId, type LocationId, type OperationId, type SkuId, type TenantId } from "../domain/ids.ts";
import type { StockState } from "../domain/stock/apply-batch.ts";
import type { Transfer } from "../domain/stock/draft.ts";
import { type Level, promisable } from "../domain/stock/movement.ts";
import type { StockOperation, WaitingClaim } from "../domain/stock/operation.ts";
import { findAnnounced } from "./announced-sales.ts";
import { addNextGenerations, findKnown, waitingClaimOf } from "./known-claims.ts";
import type { TenantTransaction } from "./tenant.ts";

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
  const announced = sku.soldInSeveralShops
    ? await findAnnounced(transaction, skuId, operations)
    : new Set<OperationId>();
  return { levels, ...sku, announced, claims, applied, transfers, queue, queueContinues };
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
