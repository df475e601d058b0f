/** The conditions that follow from a SKU's numbers alone. */
export type StockAlertKind = "low_stock" | "out_of_stock";

export interface Crossings {
  readonly opens: readonly StockAlertKind[];
  /** Conditions that are over, by a margin: the next time they occur is a new alert. */
  readonly rearms: readonly StockAlertKind[];
}

const nothing: Crossings = { opens: [], rearms: [] };

/**
 * How far above its line a number must rise before the same alert may be opened anew: 2 units, or 20 % of the line when
 * that is more. Cancellations give back a unit or two and the next orders take them; a delivery brings more.
 */
function marginOf(line: number): number {
  return Math.max(2, Math.ceil(line / 5));
}

/** Units available from which on a low-stock alert is over. */
export function rearmsAt(threshold: number): number {
  return threshold + marginOf(threshold);
}

/**
 * Units available from which on an out-of-stock alert is over: the same rule with its line at nothing. One unit that a
 * cancellation frees is gone with the next order, and whoever was told a minute ago would be told again.
 */
export const outOfStockRearmsAt = marginOf(0);

/**
 * What a change of a SKU's available units opens and ends. Decided from the numbers before and after it alone, so that a
 * batch need not look at alerts that are there: an alert that is open already is not opened twice by its table.
 *
 * @param before units available over all locations; below nothing for a SKU that takes backorders.
 * @param threshold at or below it stock is low; 0 means that nobody wants to be told.
 */
export function crossings(before: number, after: number, threshold: number): Crossings {
  if (before === after) return nothing;
  const opens: StockAlertKind[] = [];
  const rearms: StockAlertKind[] = [];
  for (const { kind, line, over } of linesOf(threshold)) {
    if (before > line && after <= line) opens.push(kind);
    if (before < over && after >= over) rearms.push(kind);
  }
  return { opens, rearms };
}

/**
 * What holds for a SKU at its numbers, for whoever has changed the threshold and not the stock: within the margin an alert
 * stays as it is, open or not.
 */
export function conditionsAt(available: number, threshold: number): Crossings {
  const lines = linesOf(threshold);
  return {
    opens: lines.filter(({ line }) => available <= line).map(({ kind }) => kind),
    rearms: [
      ...lines.filter(({ over }) => available >= over).map(({ kind }) => kind),
      ...(threshold === 0 ? (["low_stock"] as const) : []),
    ],
  };
}

function linesOf(
  threshold: number,
): readonly { readonly kind: StockAlertKind; readonly line: number; readonly over: number }[] {
  const outOfStock = { kind: "out_of_stock", line: 0, over: outOfStockRearmsAt } as const;
  if (threshold === 0) return [outOfStock];
  return [{ kind: "low_stock", line: threshold, over: rearmsAt(threshold) }, outOfStock];
}
