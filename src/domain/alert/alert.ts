/**
 * What the product warns of. An alert is about one condition of one subject (a SKU, a listing), and there is one alert for
 * it at a time, however often the condition is noticed.
 */
export const alertKinds = [
  "low_stock",
  "out_of_stock",
  "sync_failed",
  "drift",
  "shortage",
  "viral",
  "stock_corrupt",
] as const;
export type AlertKind = (typeof alertKinds)[number];

/** Critical means that money is being lost until somebody acts. */
export const alertSeverities = ["warning", "critical"] as const;
export type AlertSeverity = (typeof alertSeverities)[number];

/** Who is told: the seller's people, those who look after the installation, or both. */
export type AlertAudience = "seller" | "engineering" | "both";

interface AlertRule {
  readonly severity: AlertSeverity;
  readonly audience: AlertAudience;
}

const rules: Readonly<Record<AlertKind, AlertRule>> = {
  low_stock: { severity: "warning", audience: "seller" },
  out_of_stock: { severity: "critical", audience: "seller" },
  // The channel goes on selling by a number that we could not correct.
  sync_failed: { severity: "critical", audience: "both" },
  drift: { severity: "warning", audience: "seller" },
  // Somebody has paid for a unit that is not there.
  shortage: { severity: "critical", audience: "seller" },
  viral: { severity: "warning", audience: "seller" },
  stock_corrupt: { severity: "critical", audience: "engineering" },
};

export function severityOf(kind: AlertKind): AlertSeverity {
  return rules[kind].severity;
}

export function audienceOf(kind: AlertKind): AlertAudience {
  return rules[kind].audience;
}

/** What happened, as far as messages tell it. All of it is about goods, none about people. */
export interface AlertFacts {
  /** Units available over all locations when it opened; only of alerts about stock. */
  readonly available?: number | undefined;
  /** The SKU's threshold when it opened. */
  readonly threshold?: number | undefined;
  /** What was noticed, in words for people: the channel's answer, the difference that was found. */
  readonly reason?: string | undefined;
}
