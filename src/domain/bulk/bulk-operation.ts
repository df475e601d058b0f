import type { LocationId, UserId } from "../ids.ts";
import type { StockAnswer, StockOperation } from "../stock/operation.ts";
import type { BulkRow } from "./bulk-row.ts";

/** A row whose SKU and location are known. */
export interface ResolvedRow extends BulkRow {
  readonly rowNumber: number;
  /** Null for the default location. */
  readonly locationId: LocationId | null;
}

/** What became of a row: the SKU's numbers after its batch, or why it was refused. */
export type RowResult =
  | { readonly state: "applied"; readonly onHand: number; readonly available: number }
  | { readonly state: "refused"; readonly problem: string };

/** What the stock is asked for by a row; the id says which row of which operation, so it is done once. */
export function operationOfRow(bulkId: string, row: ResolvedRow, actorId: UserId): StockOperation {
  const { reason, locationId, quantity } = row;
  const id = `${bulkId}:${row.rowNumber}`;
  if (row.mode === "delta") {
    return { kind: "adjust", adjustmentId: id, quantity, reason, actorId, locationId };
  }
  return {
    kind: "count",
    countId: id,
    onHand: quantity,
    // Who fills in a list of counts has seen no version of our numbers.
    expectedVersion: null,
    reason,
    actorId,
    locationId,
    leaveShort: [],
  };
}

export function resultOfRow(answer: StockAnswer): RowResult {
  if (answer.outcome === "adjusted") {
    return { state: "applied", onHand: answer.onHand, available: answer.available };
  }
  return { state: "refused", problem: answer.outcome === "refused" ? answer.reason : answer.outcome };
}
