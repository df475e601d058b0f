import { InvalidArgumentError } from "commander";

/** Reads a whole number between bounds, written in decimal: what JavaScript takes for a number besides ("", "0x10", "1e3") is a slip. */
export function wholeNumber(least: number, most: number): (text: string) => number {
  return (text) => {
    const value = /^[+-]?\d{1,15}$/.test(text) ? Number(text) : Number.NaN;
    if (value >= least && value <= most) return value;
    throw new InvalidArgumentError(`It must be a whole number from ${least} to ${most}.`);
  };
}

/** Reads a share in percent, above 0 and at most 100. */
export function percent(text: string): number {
  const value = /^\d{1,3}(?:\.\d{1,6})?$/.test(text) ? Number(text) : Number.NaN;
  if (value > 0 && value <= 100) return value;
  throw new InvalidArgumentError("It must be a number above 0 and at most 100.");
}

/** Reads how many entries a page shows; the API takes it as text. */
export function pageSize(text: string): string {
  return String(wholeNumber(1, 200)(text));
}
