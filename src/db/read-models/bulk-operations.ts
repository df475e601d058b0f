import { sql } from "kysely";
import type { ImportCells } from "../../domain/bulk/bulk-row.ts";
import type { TenantTransaction } from "../tenant.ts";

export interface BulkRowCounts {
  readonly rows: number;
  readonly waiting: number;
  readonly applied: number;
  readonly refused: number;
}

/** An operation on many SKUs, with how far it has come. */
export interface BulkOperationRow extends BulkRowCounts {
  readonly id: string;
  readonly kind: "import" | "batch";
  readonly dry_run: boolean;
  readonly state: "waiting" | "finished";
  readonly requested_by: string;
  readonly requested_by_name: string;
  readonly created_at: string;
  readonly finished_at: string | null;
}

/** One that is being staged is nobody's business yet. */
export async function findBulkOperation(
  transaction: TenantTransaction,
  id: string,
): Promise<BulkOperationRow | null> {
  const { rows } = await sql<BulkOperationRow>`
    select operation.id, kind, dry_run, operation.state, requested_by, asker.name as requested_by_name,
      operation.created_at, finished_at, row_count as rows, item.waiting, item.applied, item.refused
    from bulk_operations as operation
    join users as asker on asker.tenant_id = operation.tenant_id and asker.id = operation.requested_by
    cross join lateral (
      select (count(*) filter (where state = 'waiting'))::integer as waiting,
        (count(*) filter (where state = 'applied'))::integer as applied,
        (count(*) filter (where state = 'refused'))::integer as refused
      from bulk_items where bulk_items.tenant_id = operation.tenant_id and bulk_items.bulk_id = operation.id
    ) as item
    where operation.id = ${id} and operation.state <> 'staging'
  `.execute(transaction);
  return rows[0] ?? null;
}

export interface BulkItemRow {
  readonly row: number;
  readonly line: number | null;
  readonly given: ImportCells;
  readonly result: "waiting" | "applied" | "refused";
  /** A `RowProblem`, or the stock's refusal. */
  readonly problem: string | null;
  readonly on_hand: number | null;
  readonly available: number | null;
}

/** An operation's rows in their order; one more than asked for when there are more. */
export async function listBulkItems(
  transaction: TenantTransaction,
  bulkId: string,
  result: BulkItemRow["result"] | undefined,
  limit: number,
  after: number,
): Promise<readonly BulkItemRow[]> {
  const { rows } = await sql<BulkItemRow>`
    select row_number as row, line, given, state as result, problem, on_hand, available
    from bulk_items
    where bulk_id = ${bulkId} and row_number > ${after}
      and ${result === undefined ? sql`true` : sql`state = ${result}`}
    order by row_number
    limit ${limit + 1}
  `.execute(transaction);
  return rows;
}
