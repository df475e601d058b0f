import { daysOf, type Sales, unitsOf } from "./velocity.ts";

export interface ReorderBasis extends Sales {
  readonly available: number;
  /** Days from ordering until the units are on the shelf. */
  readonly leadTimeDays: number;
  /** Days that the stock shall last from then on. */
  readonly targetCoverDays: number;
}

/** How many units to order, with every number that it follows from. */
export interface ReorderRecommendation {
  /** Units to order now; 0 when there are enough, or when nothing was sold. */
  readonly quantity: number;
  readonly available: number;
  readonly unitsSold: number;
  /** Days that these were sold in. */
  readonly days: number;
  /** Units a day, to the tenth. */
  readonly dailySales: number;
  /** Whole days that the available units last at this rate; null when nothing was sold. */
  readonly daysOfCover: number | null;
  readonly leadTimeDays: number;
  readonly targetCoverDays: number;
  /** Units that will be sold until the order has come and the target is over, rounded up. */
  readonly needed: number;
  /** The same for people. */
  readonly sentence: string;
}

/** What to order so that the stock lasts until the order comes, and for the target's days after that. */
export function reorderRecommendation(basis: ReorderBasis): ReorderRecommendation {
  const { available, leadTimeDays, targetCoverDays } = basis;
  const unitsSold = unitsOf(basis);
  const days = daysOf(basis);
  const needed = Math.ceil((unitsSold * (leadTimeDays + targetCoverDays)) / days);
  const numbers = {
    quantity: unitsSold === 0 ? 0 : Math.max(0, needed - available),
    available,
    unitsSold,
    days,
    dailySales: Math.round((unitsSold * 10) / days) / 10,
    daysOfCover: unitsSold === 0 ? null : Math.floor((Math.max(0, available) * days) / unitsSold),
    leadTimeDays,
    targetCoverDays,
    needed,
  };
  return { ...numbers, sentence: inWords(numbers) };
}

function inWords(numbers: Omit<ReorderRecommendation, "sentence">): string {
  const { quantity, available, unitsSold, days, dailySales, daysOfCover, leadTimeDays, targetCoverDays } =
    numbers;
  if (daysOfCover === null)
    return `None were sold in ${days} days, so there is nothing to reckon an order from.`;
  const sold = `${unitsSold} sold in ${days} days are ${dailySales} a day, so ${available} available last ${count(daysOfCover, "day")}.`;
  const needed = `Until an order comes (${count(leadTimeDays, "day")}) and for ${count(targetCoverDays, "day")} after that ${count(numbers.needed, "unit")} are needed`;
  return quantity === 0
    ? `${sold} ${needed}: there are enough.`
    : `${sold} ${needed}: order ${numbers.needed} - ${available} = ${quantity}.`;
}

function count(number: number, noun: string): string {
  return `${number} ${noun}${number === 1 ? "" : "s"}`;
}
