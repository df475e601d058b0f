import type { z } from "zod";
import type { BulkItemRow, BulkOperationRow } from "../db/read-models/bulk-operations.ts";
import { type RowProblem, rowProblems } from "../domain/bulk/bulk-row.ts";
import type { StockRefusalReason } from "../domain/stock/operation.ts";
import type { bulkItem } from "./contract/bulk.ts";
import { notFound } from "./problem.ts";
import { stockRefusals } from "./stock-refusals.ts";

/** @throws Problem `not-found` when the seller has asked for no such thing. */
export function knownBulk(operation: BulkOperationRow | null): BulkOperationRow {
  if (operation === null) throw notFound("bulk operation");
  return operation;
}

/** A row with its result, and what the seller can do about it when it was refused. */
export function itemBody(item: BulkItemRow): z.output<typeof bulkItem> {
  return { ...item, detail: adviceFor(item.problem) };
}

/** What the seller can do about a row that was refused. */
export function adviceFor(problem: string | null): string | null {
  if (problem === null) return null;
  const texts: Readonly<Record<RowProblem | StockRefusalReason, string>> = {
    ...stockRefusals,
    ...rowProblems,
  };
  return Object.hasOwn(texts, problem) ? texts[problem as RowProblem | StockRefusalReason] : problem;
}
