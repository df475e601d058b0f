import { daysOf, type Sales, salesDays, unitsOf } from "./velocity.ts";

/** `fixed`: a person has set it. `automatic`: it follows what is sold. */
export const thresholdModes = ["automatic", "fixed"] as const;
export type ThresholdMode = (typeof thresholdModes)[number];

const thresholdDefault = 10;
const thresholdMaximum = 10_000;

/**
 * At how many available units a SKU's stock is low: what a person has fixed, or the higher of 10 and 10 % of an average
 * month's sales, rounded up.
 */
export function thresholdFor({
  mode,
  fixed,
  ...sales
}: Sales & { readonly mode: ThresholdMode; readonly fixed: number }): number {
  if (mode === "fixed") return fixed;
  const tenthOfMonth = Math.ceil((unitsOf(sales) * salesDays) / daysOf(sales) / 10);
  return Math.min(thresholdMaximum, Math.max(thresholdDefault, tenthOfMonth));
}
