import type { MovementKind } from "./movement.ts";
import { type ChannelNumbers, decideOffer, desiredTotalOf, type OurNumbers } from "./offer.ts";

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
  { ours, cap }: { readonly ours: OurNumbers; readonly cap: number },
  shown: ChannelNumbers | null,
  push: { readonly isPaused: boolean; readonly isUnderWay: boolean; readonly lastRefusal: string | null },
): OfferExplanation {
  if (shown === null) {
    return { shouldShow: null, agrees: false, why: "The channel's number was not read yet." };
  }
  const decision = decideOffer(ours, shown, cap);
  const here = `${desiredTotalOf(ours)} here (${termsOf(ours)})`;
  const there = `${shown.available + shown.committed} there (${shown.available} available, ${shown.committed} committed)`;
  if (!decision.push) {
    const why =
      decision.reason === "totals_agree"
        ? `The sums agree: ${there}, ${here}.`
        : `The sums differ, ${there} and ${here}, but the offer is right: it can be neither lower nor higher now.`;
    return { shouldShow: shown.available, agrees: true, why };
  }
  return {
    shouldShow: decision.available,
    agrees: false,
    why: `The sums differ: ${there}, ${here}. ${nextOf(push)}`,
  };
}

/** The terms of our sum that are not nothing. */
function termsOf(ours: OurNumbers): string {
  const terms = [
    [ours.reservedElsewhere, "-", "reserved for others"],
    [ours.unreservedElsewhere, "-", "sold elsewhere and not reserved yet"],
    [ours.underWay, "+", "under way"],
    [ours.buffer, "-", "kept back"],
  ] as const;
  return [
    `${ours.onHand} on hand`,
    ...terms.filter(([units]) => units > 0).map(([units, sign, what]) => `${sign} ${units} ${what}`),
  ].join(" ");
}

function nextOf(push: Parameters<typeof explainOffer>[2]): string {
  if (push.isPaused) return "Nothing is told while the SKU is paused.";
  if (push.isUnderWay) return "The right number is on its way.";
  return push.lastRefusal === null
    ? "It is compared again within minutes, and told then."
    : `The channel refused it: ${push.lastRefusal}`;
}
