/** What was sold of a SKU: units shipped, less shipments that were taken back. */
export interface Sales {
  /** Units in the last 30 days, or since the SKU is observed when that is shorter. */
  readonly unitsSold: number;
  /** Whole days that the SKU has been observed, at most 30. */
  readonly daysObserved: number;
}

/** Days over which sales are looked at. */
export const salesDays = 30;

/** What the first days say is chance: a SKU observed for a shorter time counts as observed for a week. */
const daysObservedMinimum = 7;

/** Days that the units were sold in. */
export function daysOf({ daysObserved }: Sales): number {
  return Math.min(salesDays, Math.max(daysObservedMinimum, daysObserved));
}

/** Units; more reversals than shipments count as no sales. */
export function unitsOf({ unitsSold }: Sales): number {
  return Math.max(0, unitsSold);
}
