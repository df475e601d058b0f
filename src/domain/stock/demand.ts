/**
 * How fast a SKU sells, and what follows from it. A video may take a SKU from two units an hour to fifty a minute; what the
 * shops show of it is late by the push's delay, and that is when units are sold twice. So its pushes go first then, and more is
 * kept back while it lasts.
 */
export interface Demand {
  /** Units a minute as they usually are: the past days, the later the more. */
  readonly usualPerMinute: number;
  /** Since when it sells far faster than usual, in milliseconds; null: it does not. */
  readonly viralSince: number | null;
  /** Since when it no longer sells so fast, while it still counts as viral. */
  readonly calmSince: number | null;
}

/** Minutes whose sales are the rate of now. */
export const demandWindowMinutes = 2;
/** After so many minutes half of what was usual is forgotten: a day. */
const usualHalfLifeMinutes = 1_440;
/** Longer gaps between two looks (everything was stopped) count as this many minutes. */
const gapMaximumMinutes = 30;
/** Times the usual rate from which on a SKU is viral, and units a minute that it must sell at least. */
const viral = { times: 5, perMinuteMinimum: 10 } as const;
/** It is over when it has sold less than half of that for so many minutes: a pause for breath is no end. */
const calm = { share: 0.5, minutes: 5 } as const;

export interface DemandChange {
  readonly demand: Demand;
  readonly recentPerMinute: number;
  /** What is to be told to people. */
  readonly event: "viral_began" | "viral_ended" | null;
}

/**
 * Follows a SKU's sales.
 *
 * @param sold units reserved within the last `demandWindowMinutes`.
 * @param now milliseconds; `lookedAt` the same, of the look before.
 */
export function followDemand(
  before: Demand,
  { sold, now, lookedAt }: { readonly sold: number; readonly now: number; readonly lookedAt: number },
): DemandChange {
  const recentPerMinute = sold / demandWindowMinutes;
  const minutes = Math.min(gapMaximumMinutes, Math.max(0, now - lookedAt) / 60_000);
  const weight = 1 - 2 ** (-minutes / usualHalfLifeMinutes);
  const usualPerMinute = before.usualPerMinute + (recentPerMinute - before.usualPerMinute) * weight;
  const threshold = Math.max(viral.perMinuteMinimum, viral.times * before.usualPerMinute);
  if (before.viralSince === null) {
    const begins = recentPerMinute >= threshold;
    const demand = { usualPerMinute, viralSince: begins ? now : null, calmSince: null };
    return { demand, recentPerMinute, event: begins ? "viral_began" : null };
  }
  if (recentPerMinute >= threshold * calm.share) {
    return {
      demand: { usualPerMinute, viralSince: before.viralSince, calmSince: null },
      recentPerMinute,
      event: null,
    };
  }
  const calmSince = before.calmSince ?? now;
  const ends = now - calmSince >= calm.minutes * 60_000;
  return {
    demand: {
      usualPerMinute,
      viralSince: ends ? null : before.viralSince,
      calmSince: ends ? null : calmSince,
    },
    recentPerMinute,
    event: ends ? "viral_ended" : null,
  };
}

/** Sales expected in less than this many units during the delay are worth no unit kept back. */
const expectedMinimum = 0.1;
/** Of a viral SKU the rate is still rising: twice the time is reckoned with. */
const viralFactor = 2;
/**
 * A longer delay was an outage or a jam and is not what the next sale will meet. If units were kept back for it, the number of
 * every SKU that sells would have to be pushed just when pushes are late, and make them later.
 */
const delaySecondsMaximum = 10;
/** More than the expectation by so many standard deviations; sales come like raindrops. */
const deviations = 2;

/**
 * Units to keep back from each shop for what the others will sell before it learns of it. More are kept at once, fewer when they
 * are half of what is kept or none, and a first unit that is hardly needed any more stays: each change is a push in every shop.
 *
 * @param kept units that are kept back so far.
 * @param sales.delaySeconds from a sale to the right number in the other shops, as measured.
 */
export function adaptiveBufferOf(
  kept: number,
  sales: {
    readonly recentPerMinute: number;
    readonly delaySeconds: number;
    readonly isViral: boolean;
  },
): number {
  const delaySeconds = Math.min(sales.delaySeconds, delaySecondsMaximum);
  const expected = (sales.recentPerMinute / 60) * delaySeconds * (sales.isViral ? viralFactor : 1);
  if (expected < (kept > 0 ? expectedMinimum / 2 : expectedMinimum)) return 0;
  const wanted = Math.min(99_999, Math.ceil(expected + deviations * Math.sqrt(expected)));
  return wanted > kept || wanted <= kept / 2 ? wanted : kept;
}
