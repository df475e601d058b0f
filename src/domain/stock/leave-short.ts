import { compareTurns } from "./shortage-queue.ts";
import type { WaitingClaim } from "./operation.ts";

/** A claim that holds units and could wait again. */
export interface HeldClaim extends WaitingClaim {
  /** Of its units, those at the location that was counted. */
  readonly unitsThere: number;
}

export interface LeaveShortProposal<Held extends HeldClaim> {
  readonly missingUnits: number;
  /** The claims that would wait again, the last in the fair order first. */
  readonly claims: readonly Held[];
  /** False when all of them together free too few units. */
  readonly covered: boolean;
}

/**
 * Whom a count leaves short that finds fewer units than are promised: those whose turn is last, and no more of them than it
 * takes. A person confirms it; nothing is decided here.
 */
export function proposeLeavingShort<Held extends HeldClaim>(
  level: { readonly reserved: number; readonly backorderFloor: number },
  countedOnHand: number,
  held: readonly Held[],
): LeaveShortProposal<Held> {
  const missingUnits = Math.max(0, level.reserved + level.backorderFloor - countedOnHand);
  const claims: Held[] = [];
  let freed = 0;
  for (const claim of [...held].sort(compareTurns).reverse()) {
    if (freed >= missingUnits) break;
    claims.push(claim);
    freed += claim.unitsThere;
  }
  return { missingUnits, claims, covered: freed >= missingUnits };
}
