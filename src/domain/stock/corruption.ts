import type { LevelNumbers } from "./explain.ts";

type LevelAndLast = LevelNumbers & {
  /** Of the last movement. */
  readonly lastSequence: number;
};

/** A level that is not what its ledger, or its open reservations, add up to. */
export interface Corruption {
  readonly locationName: string;
  readonly level: LevelAndLast;
  readonly ledger: LevelAndLast;
  /** Units of the open reservations at the location. */
  readonly heldUnits: number;
}

/** Says what is wrong with a level, in words for people. */
export function describeCorruption({ locationName, level, ledger, heldUnits }: Corruption): string {
  const wrong = [
    ...(level.onHand === ledger.onHand
      ? []
      : [`on hand was ${level.onHand}, its movements add up to ${ledger.onHand}`]),
    ...(level.reserved === ledger.reserved
      ? []
      : [`reserved was ${level.reserved}, its movements add up to ${ledger.reserved}`]),
    ...(ledger.reserved === heldUnits
      ? []
      : [`its movements reserve ${ledger.reserved}, open reservations hold ${heldUnits}`]),
    ...(level.lastSequence === ledger.lastSequence
      ? []
      : [`its last movement was number ${level.lastSequence}, the ledger's is ${ledger.lastSequence}`]),
  ];
  return `${locationName}: ${wrong.join(", ")}`;
}
