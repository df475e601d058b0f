/** Currencies of TikTok Shop's markets that it writes without decimals; every other one has two. */
const withoutDecimals: ReadonlySet<string> = new Set(["JPY", "IDR", "VND", "KRW", "CLP"]);

/**
 * Turns a decimal in major units into integer minor units, exactly.
 *
 * @throws RangeError when the text is not a decimal, holds a fraction of a minor unit, or is beyond 2^53.
 */
export function minorUnits(decimal: string, currency: string): number {
  const parts = /^(-?)(\d+)(?:\.(\d+))?$/.exec(decimal);
  if (parts === null) throw new RangeError("An amount is not a decimal number");
  const [, sign = "", whole = "", fraction = ""] = parts;
  const digits = withoutDecimals.has(currency) ? 0 : 2;
  if (/[1-9]/.test(fraction.slice(digits)))
    throw new RangeError(`An amount in ${currency} holds a fraction of a minor unit`);
  const minor = Number(whole + fraction.slice(0, digits).padEnd(digits, "0"));
  if (!Number.isSafeInteger(minor)) throw new RangeError(`An amount in ${currency} is too large`);
  return sign === "-" && minor !== 0 ? -minor : minor;
}
