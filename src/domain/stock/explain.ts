import type { MovementKind } from "./movement.ts";
import { decideOffer, type ChannelNumbers, type OurNumbers } from "./offer.ts";

/** What movements of one kind have done to a level. */
export interface KindSum {
  readonly kind: MovementKind;
  readonly movements: number;
  readonly onHandEffect: number;
  readonly reservedEffect: number;
}

export interface LevelNumbers {
  readonly onHand: number;
  readonly reserved: number;
}

/** A level as the sum of where it stood and of what moved it since. */
export interface LevelExplanation {
  readonly broughtForward: LevelNumbers;
  readonly byKind: readonly KindSum[];
  /** What the terms add up to; anything else than the level is corruption, and the proof says so too. */
  readonly sum: LevelNumbers;
  readonly addsUp: boolean;
}

/** @param heldUnits units of the open reservations at the level, which must be what is reserved. */
export function explainLevel(
  level: LevelNumbers,
  broughtForward: LevelNumbers,
  byKind: readonly KindSum[],
  heldUnits: number,
): LevelExplanation {
  const sum = byKind.reduce(
    (so, term) => ({ onHand: so.onHand + term.onHandEffect, reserved: so.reserved + term.reservedEffect }),
    broughtForward,
  );
  const addsUp =
    sum.onHand === level.onHand && sum.reserved === level.reserved && heldUnits === level.reserved;
  return { broughtForward, byKind, sum, addsUp };
}

/** What a listing should show at a warehouse, and why it shows something else if it does. */
export interface OfferExplanation {
  /** Null when the channel was never read. */
  readonly shouldShow: number | null;
  readonly agrees: boolean;
  readonly why: string;
}

/** @param shown null when the channel was never read. */
export function explainOffer(
  ours: OurNumbers,
  shown: ChannelNumbers | null,
  push: { readonly isUnderWay: boolean; readonly lastRefusal: string | null },
): OfferExplanation {
  if (shown === null) {
    return { shouldShow: null, agrees: false, why: "The channel's number was not read yet." };
  }
  const decision = decideOffer(ours, shown);
  const ourSum = ours.onHand + ours.underWay - ours.buffer;
  const theirSum = shown.available + shown.committed;
  if (!decision.push) {
    const why =
      decision.reason === "totals_agree"
        ? `The sums agree: ${theirSum} there (${shown.available} available, ${shown.committed} committed), ${ourSum} here.`
        : `The sums differ (${theirSum} there, ${ourSum} here), but nothing less can be offered: more is sold there than there is.`;
    return { shouldShow: shown.available, agrees: true, why };
  }
  const difference = `${theirSum} there (${shown.available} available, ${shown.committed} committed) and ${ourSum} here.`;
  const next = push.isUnderWay
    ? "The right number is on its way."
    : push.lastRefusal === null
      ? "It is compared again within minutes, and told then."
      : `The channel refused it: ${push.lastRefusal}`;
  return {
    shouldShow: decision.available,
    agrees: false,
    why: `The sums differ: ${difference} ${next}`,
  };
}
