/**
 * How many calls a shop's channel is asked to take: a token bucket whose rate is learnt. TikTok Shop publishes no quota,
 * so the rate starts low, rises while calls are accepted and halves when one is limited.
 *
 * All times are milliseconds since the epoch. Time that goes backwards (processes disagree about it) adds nothing.
 */
export interface RateBucket {
  /** Calls that may be made now; 0 to `burst`, with fractions. */
  readonly tokens: number;
  readonly ratePerMinute: number;
  readonly burst: number;
  readonly refilledAt: number;
  /** No call before this, whatever the tokens; null when nothing blocks. */
  readonly blockedUntil: number | null;
  /** Calls accepted since the rate last changed. */
  readonly acceptedStreak: number;
}

/** 1 is the most urgent class. */
export type Priority = 1 | 2 | 3 | 4;

export type Grant = { readonly granted: true } | { readonly granted: false; readonly retryAt: number };

export const rateLimits = {
  startPerMinute: 100,
  floorPerMinute: 20,
  ceilingPerMinute: 3_000,
  burstMax: 50,
  acceptedPerStep: 20,
  stepFactor: 1.1,
} as const;

/** The share of the burst that a class leaves to the classes above it. */
const reservedShare: Readonly<Record<Priority, number>> = { 1: 0, 2: 0.1, 3: 0.25, 4: 0.5 };

/** A full bucket: 20 calls at once and 100 a minute, unless another start is known to be right. */
export function newBucket(now: number, ratePerMinute: number = rateLimits.startPerMinute): RateBucket {
  const rate = clampRate(ratePerMinute);
  const burst = burstFor(rate);
  return {
    tokens: burst,
    ratePerMinute: rate,
    burst,
    refilledAt: now,
    blockedUntil: null,
    acceptedStreak: 0,
  };
}

/** Asks for one call. A refused one is told when the bucket will have refilled for its class, if nobody else calls. */
export function takeToken(
  bucket: RateBucket,
  priority: Priority,
  now: number,
): { readonly bucket: RateBucket; readonly grant: Grant } {
  const refilled = refill(bucket, now);
  if (refilled.blockedUntil !== null)
    return { bucket: refilled, grant: { granted: false, retryAt: refilled.blockedUntil } };
  const needed = 1 + reservedShare[priority] * refilled.burst;
  if (refilled.tokens < needed) {
    const milliseconds = ((needed - refilled.tokens) * 60_000) / refilled.ratePerMinute;
    const from = Math.max(now, refilled.refilledAt);
    return { bucket: refilled, grant: { granted: false, retryAt: Math.floor(from + milliseconds) + 1 } };
  }
  return { bucket: { ...refilled, tokens: refilled.tokens - 1 }, grant: { granted: true } };
}

/**
 * Asks for several calls at the same moment: the most urgent are asked for first.
 *
 * @returns a grant for each call, in the order in which they were given.
 */
export function takeTokens(
  bucket: RateBucket,
  priorities: readonly Priority[],
  now: number,
): { readonly bucket: RateBucket; readonly grants: readonly Grant[] } {
  let left = bucket;
  const grants: Grant[] = [];
  const byUrgency = [...priorities.entries()].sort(([, one], [, other]) => one - other);
  for (const [index, priority] of byUrgency) {
    const taken = takeToken(left, priority, now);
    left = taken.bucket;
    grants[index] = taken.grant;
  }
  return { bucket: left, grants };
}

/** Records calls that the channel took: each full streak raises the rate by one step. */
export function recordAccepted(bucket: RateBucket, calls: number, now: number): RateBucket {
  const refilled = refill(bucket, now);
  const streak = refilled.acceptedStreak + calls;
  const steps = Math.floor(streak / rateLimits.acceptedPerStep);
  if (steps === 0) return { ...refilled, acceptedStreak: streak };
  return {
    ...withRate(refilled, refilled.ratePerMinute * rateLimits.stepFactor ** steps),
    acceptedStreak: streak % rateLimits.acceptedPerStep,
  };
}

/**
 * Records that the channel limited a call: nothing until `retryAt`, then from empty at half the rate. Calls that were
 * already on their way and meet the same limit only lengthen the pause: one episode halves once.
 */
export function recordLimited(bucket: RateBucket, retryAt: number, now: number): RateBucket {
  const refilled = refill(bucket, now);
  const blockedUntil = Math.max(retryAt, now, refilled.blockedUntil ?? 0);
  const halved = refilled.blockedUntil === null ? withRate(refilled, refilled.ratePerMinute / 2) : refilled;
  return { ...halved, tokens: 0, blockedUntil, refilledAt: blockedUntil, acceptedStreak: 0 };
}

function refill(bucket: RateBucket, now: number): RateBucket {
  const elapsed = Math.max(0, now - bucket.refilledAt);
  return {
    ...bucket,
    tokens: Math.min(bucket.burst, bucket.tokens + (elapsed * bucket.ratePerMinute) / 60_000),
    refilledAt: Math.max(bucket.refilledAt, now),
    blockedUntil: bucket.blockedUntil !== null && bucket.blockedUntil > now ? bucket.blockedUntil : null,
  };
}

function withRate(bucket: RateBucket, wanted: number): RateBucket {
  const ratePerMinute = clampRate(wanted);
  const burst = burstFor(ratePerMinute);
  return { ...bucket, ratePerMinute, burst, tokens: Math.min(bucket.tokens, burst) };
}

function clampRate(ratePerMinute: number): number {
  return Math.min(rateLimits.ceilingPerMinute, Math.max(rateLimits.floorPerMinute, ratePerMinute));
}

/** A fifth of a minute's calls: 20 at the start, 4 at the floor, which still leaves class 4 room to call. */
function burstFor(ratePerMinute: number): number {
  return Math.min(rateLimits.burstMax, ratePerMinute / 5);
}
