/** One difference between what must be and what is. */
export interface Finding {
  /** The SKU, order, reservation or delivery that is wrong, by the name that people use. */
  readonly subject: string;
  /** Units too many (positive) or too few (negative), where the difference has a size. */
  readonly delta: number | null;
  readonly explanation: string;
  /** Younger than a few seconds: news or a push about it may still be on their way. */
  readonly underWay: boolean;
  /** The SKU whose numbers are wrong, where that is what was found: nothing more must be promised from it. */
  readonly corruptedSku?: { readonly tenantId: string; readonly skuId: string };
}

/** What one check looked at and what it found. */
export interface CheckResult {
  readonly check: string;
  readonly examined: number;
  readonly violations: readonly Finding[];
  readonly underWay: readonly Finding[];
}

export function resultOf(check: string, examined: number, findings: readonly Finding[]): CheckResult {
  return {
    check,
    examined,
    violations: findings.filter((finding) => !finding.underWay),
    underWay: findings.filter((finding) => finding.underWay),
  };
}
