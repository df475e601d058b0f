import { sql } from "kysely";
import type { ResolvedRow, RowResult } from "../domain/bulk/bulk-operation.ts";
import type { BulkMode, BulkRow, ImportCells, RowProblem } from "../domain/bulk/bulk-row.ts";
import { asId, type LocationId, type SkuId, type TenantId, type UserId } from "../domain/ids.ts";
import { appendToOutbox } from "./outbox.ts";
import { currentTenant, type TenantTransaction } from "./tenant.ts";

/**
 * Changes by the thousand. Rows are staged as they come in, a chunk a transaction, under an operation that nobody knows yet;
 * when the last has come the operation gets the id of the request that asked for it, which is unique, and only then it
 * waits for its workflow. A request that died half way leaves rows without a name, which are dropped after an hour; one
 * that is sent again stages its rows again, finds its name taken, and drops them.
 */
const abandonedAfterHours = 1;
/** Abandoned operations that a new one clears away. */
const abandonedMaximum = 3;

/** Opens an operation to stage rows under. */
export async function beginBulk(
  transaction: TenantTransaction,
  tenantId: TenantId,
  operation: { readonly kind: "import" | "batch"; readonly dryRun: boolean; readonly requestedBy: UserId },
): Promise<string> {
  const abandoned = await transaction
    .selectFrom("bulk_operations")
    .where("state", "=", "staging")
    .where("created_at", "<", sql<string>`now() - make_interval(hours => ${abandonedAfterHours})`)
    .orderBy("created_at")
    .limit(abandonedMaximum)
    .select("id")
    .forUpdate()
    .skipLocked()
    .execute();
  for (const { id } of abandoned) await dropStagedBulk(transaction, id);
  const { id } = await transaction
    .insertInto("bulk_operations")
    .values({
      tenant_id: tenantId,
      kind: operation.kind,
      dry_run: operation.dryRun,
      requested_by: operation.requestedBy,
    })
    .returning("id")
    .executeTakeFirstOrThrow();
  return id;
}

/** Drops an operation with its rows, unless it was accepted. */
export async function dropStagedBulk(transaction: TenantTransaction, bulkId: string): Promise<void> {
  const staged = await transaction
    .selectFrom("bulk_operations")
    .where("id", "=", bulkId)
    .where("state", "=", "staging")
    .select("id")
    .forUpdate()
    .executeTakeFirst();
  if (staged === undefined) return;
  await transaction.deleteFrom("bulk_items").where("bulk_id", "=", bulkId).execute();
  await transaction.deleteFrom("bulk_operations").where("id", "=", bulkId).execute();
}

/** A row to stage: what was found of it, or what is wrong with it. */
export interface StagedRow {
  readonly rowNumber: number;
  /** Line of the file; null when there was no file. */
  readonly line: number | null;
  readonly given: ImportCells;
  readonly skuId: SkuId | null;
  readonly locationId: LocationId | null;
  readonly asks: BulkRow | RowProblem;
}

export async function stageBulkRows(
  transaction: TenantTransaction,
  tenantId: TenantId,
  bulkId: string,
  rows: readonly StagedRow[],
): Promise<void> {
  const values = rows.map(({ rowNumber, line, given, skuId, locationId, asks }) => ({
    row_number: rowNumber,
    line,
    given,
    ...(typeof asks === "string"
      ? { state: "refused", problem: asks }
      : { ...asks, sku_id: skuId, location_id: locationId, state: "waiting" }),
  }));
  await sql`
    insert into bulk_items (tenant_id, bulk_id, row_number, line, given, sku_id, location_id, mode, quantity, reason, state,
      problem)
    select ${tenantId}, ${bulkId}, row_number, line, given, sku_id, location_id, mode, quantity, reason, state, problem
    from jsonb_to_recordset(${JSON.stringify(values)}::jsonb)
      as staged (row_number integer, line integer, given jsonb, sku_id uuid, location_id uuid, mode text, quantity integer,
        reason text, state text, problem text)
  `.execute(transaction);
}

export interface BulkToAccept {
  readonly effectId: string;
  /** SHA-256 of what was sent. */
  readonly contentHash: Buffer;
  readonly rowCount: number;
}

/** `other_content`: the request's key was used for something else. */
export type AcceptedBulk = { readonly bulkId: string } | "other_content";

/**
 * Gives a staged operation the name of its request and has its workflow started. When the request has an operation already
 * the staged rows are dropped, and that one is returned.
 */
export async function acceptBulk(
  transaction: TenantTransaction,
  tenantId: TenantId,
  bulkId: string,
  { effectId, contentHash, rowCount }: BulkToAccept,
): Promise<AcceptedBulk> {
  // One at a time for a request: the second waits here until the first is known.
  await sql`select pg_advisory_xact_lock(hashtextextended(${`bulk ${tenantId} ${effectId}`}, 0))`.execute(
    transaction,
  );
  const known = await transaction
    .selectFrom("bulk_operations")
    .where("effect_id", "=", effectId)
    .select(["id", "content_hash"])
    .executeTakeFirst();
  if (known !== undefined) {
    await dropStagedBulk(transaction, bulkId);
    return known.content_hash?.equals(contentHash) === true ? { bulkId: known.id } : "other_content";
  }
  await refuseDoubleCounts(transaction, bulkId);
  await transaction
    .updateTable("bulk_operations")
    .set({ effect_id: effectId, content_hash: contentHash, row_count: rowCount, state: "waiting" })
    .where("id", "=", bulkId)
    .execute();
  await appendToOutbox(transaction, tenantId, [{ kind: "start_bulk", key: bulkId, payload: { bulkId } }]);
  return { bulkId };
}

/**
 * The default location may be named or left out: both mean the same shelf.
 *
 * The rows at fault are found first and once. Of a table that has just been filled the planner knows nothing, and a join with
 * them would look for them again for each of 50,000 rows.
 */
async function refuseDoubleCounts(transaction: TenantTransaction, bulkId: string): Promise<void> {
  const problem: RowProblem = "counted_twice";
  await sql`
    update bulk_items set state = 'refused', problem = ${problem}
    where tenant_id = ${currentTenant} and bulk_id = ${bulkId} and row_number = any (array(
      select row_number from (
        select row_number, count(*) over (partition by sku_id, coalesce(location_id,
          (select id from locations where tenant_id = ${currentTenant} and is_default))) as times
        from bulk_items
        where tenant_id = ${currentTenant} and bulk_id = ${bulkId} and state = 'waiting' and mode = 'count'
      ) as place where times > 1))
  `.execute(transaction);
}

/** SKUs by code and by barcode; what is not there is missing. */
export async function findSkusByCodes(
  transaction: TenantTransaction,
  codes: readonly string[],
  barcodes: readonly string[],
): Promise<{ readonly byCode: ReadonlyMap<string, SkuId>; readonly byBarcode: ReadonlyMap<string, SkuId> }> {
  const { rows } = await sql<{ id: string; code: string; barcode: string | null }>`
    select id, code, barcode from skus where tenant_id = ${currentTenant} and code = any (${codes})
    union all
    select id, code, barcode from skus where tenant_id = ${currentTenant} and barcode = any (${barcodes})
  `.execute(transaction);
  const byBarcode = rows.flatMap(({ id, barcode }) =>
    barcode === null ? [] : [[barcode, asId<"Sku">(id)] as const],
  );
  return {
    byCode: new Map(rows.map(({ id, code }) => [code, asId<"Sku">(id)])),
    byBarcode: new Map(byBarcode),
  };
}

/** The seller's locations. */
export async function listLocations(
  transaction: TenantTransaction,
): Promise<readonly { readonly id: LocationId; readonly name: string }[]> {
  const rows = await transaction.selectFrom("locations").orderBy("id").select(["id", "name"]).execute();
  return rows.map(({ id, name }) => ({ id: asId<"Location">(id), name }));
}

export interface BulkPage {
  readonly dryRun: boolean;
  readonly requestedBy: UserId;
  /** Rows without a result, SKU by SKU, those of one SKU in their order. All that a SKU has left is on one page. */
  readonly skus: readonly { readonly skuId: SkuId; readonly rows: readonly ResolvedRow[] }[];
}

/** The next rows that have no result, about `rowsAbout` of them. */
export async function readBulkPage(
  transaction: TenantTransaction,
  bulkId: string,
  rowsAbout: number,
): Promise<BulkPage> {
  const { dry_run: dryRun, requested_by: requestedBy } = await transaction
    .selectFrom("bulk_operations")
    .where("id", "=", bulkId)
    .select(["dry_run", "requested_by"])
    .executeTakeFirstOrThrow();
  const { rows } = await sql<BulkPageRow>`
    select row_number, sku_id, location_id, mode, quantity, reason from bulk_items
    where tenant_id = ${currentTenant} and bulk_id = ${bulkId} and state = 'waiting' and sku_id <= coalesce(
      (select sku_id from bulk_items where tenant_id = ${currentTenant} and bulk_id = ${bulkId} and state = 'waiting'
       order by sku_id, row_number offset ${rowsAbout - 1} limit 1), 'ffffffff-ffff-ffff-ffff-ffffffffffff')
    order by sku_id, row_number
  `.execute(transaction);
  const bySku = new Map<string, ResolvedRow[]>();
  for (const row of rows) {
    const { sku_id, row_number: rowNumber, location_id, mode, quantity, reason } = row;
    const locationId = location_id === null ? null : asId<"Location">(location_id);
    const list = bySku.get(sku_id) ?? [];
    list.push({ rowNumber, locationId, mode, quantity, reason });
    bySku.set(sku_id, list);
  }
  const skus = [...bySku].map(([skuId, ofSku]) => ({ skuId: asId<"Sku">(skuId), rows: ofSku }));
  return { dryRun, requestedBy: asId<"User">(requestedBy), skus };
}

interface BulkPageRow {
  readonly row_number: number;
  readonly sku_id: string;
  readonly location_id: string | null;
  readonly mode: BulkMode;
  readonly quantity: number;
  readonly reason: string;
}

/** Writes down what became of rows; a row that has its result keeps it. */
export async function recordBulkResults(
  transaction: TenantTransaction,
  bulkId: string,
  results: readonly { readonly rowNumber: number; readonly result: RowResult }[],
): Promise<void> {
  const values = results.map(({ rowNumber, result }) => ({
    row_number: rowNumber,
    state: result.state,
    ...(result.state === "applied"
      ? { on_hand: result.onHand, available: result.available }
      : { problem: result.problem }),
  }));
  await sql`
    update bulk_items as item
    set state = given.state, problem = given.problem, on_hand = given.on_hand, available = given.available
    from jsonb_to_recordset(${JSON.stringify(values)}::jsonb)
      as given (row_number integer, state text, problem text, on_hand integer, available integer)
    where item.tenant_id = ${currentTenant} and item.bulk_id = ${bulkId} and item.row_number = given.row_number
      and item.state = 'waiting'
  `.execute(transaction);
}

/** Marks an operation of which every row has its result. */
export async function finishBulk(transaction: TenantTransaction, bulkId: string): Promise<void> {
  await transaction
    .updateTable("bulk_operations")
    .set({ state: "finished", finished_at: sql`clock_timestamp()` })
    .where("id", "=", bulkId)
    .where("state", "=", "waiting")
    .execute();
}
