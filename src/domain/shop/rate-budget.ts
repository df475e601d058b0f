/**
 * How many calls a shop's channel is asked to take: a token bucket whose rate is learnt. TikTok Shop publishes no quota,
 * so the rate starts low, rises while calls are accepted and halves when one is limited.
 *
 * A channel that limits may go on doing so for minutes, whatever it is asked. That it does says nothing more of the rate it
 * bears, so one episode halves once, however long it lasts. Meanwhile one call at a time asks whether it is over: whoever comes
 * first, since no class calls beside. What the bucket refills meanwhile is there for all who wait when a call is accepted.
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
  /** `paused`: the channel limits, and nobody has asked again; `asked`: one call is under way that will tell. */
  readonly limit: LimitState;
}

export type LimitState = "none" | "paused" | "asked";

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
  /** While the channel limits, an answer is waited for so long before somebody else asks. */
  askMilliseconds: 1_000,
  /** The share of the rate that asking may use; the rest is saved for the end. */
  askShare: 0.5,
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
    limit: "none",
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
  const isLimited = refilled.limit !== "none";
  const needed = 1 + (isLimited ? 0 : reservedShare[priority] * refilled.burst);
  if (refilled.tokens < needed) {
    const milliseconds = ((needed - refilled.tokens) * 60_000) / refilled.ratePerMinute;
    const from = Math.max(now, refilled.refilledAt);
    return { bucket: refilled, grant: { granted: false, retryAt: Math.floor(from + milliseconds) + 1 } };
  }
  const asks = isLimited ? ({ limit: "asked", blockedUntil: now + rateLimits.askMilliseconds } as const) : {};
  return { bucket: { ...refilled, ...asks, tokens: refilled.tokens - 1 }, grant: { granted: true } };
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

/**
 * Records calls that the channel took: each full streak raises the rate by one step, and the one that has asked ends the
 * episode. Calls that were on their way when the channel began to limit do not.
 */
export function recordAccepted(bucket: RateBucket, calls: number, now: number): RateBucket {
  const isOver = calls > 0 && bucket.limit === "asked";
  const refilled = refill(isOver ? { ...bucket, limit: "none", blockedUntil: null } : bucket, now);
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
 * already on their way and meet the same limit, or have asked whether it is over, only lengthen the pause.
 */
export function recordLimited(bucket: RateBucket, retryAt: number, now: number): RateBucket {
  const refilled = refill(bucket, now);
  const blockedUntil = Math.max(retryAt, now, refilled.blockedUntil ?? 0);
  if (refilled.limit !== "none") {
    const asksNext = now + 60_000 / (refilled.ratePerMinute * rateLimits.askShare);
    return {
      ...refilled,
      limit: "paused",
      blockedUntil: Math.max(blockedUntil, asksNext),
      acceptedStreak: 0,
    };
  }
  return {
    ...withRate(refilled, refilled.ratePerMinute / 2),
    limit: "paused",
    tokens: 0,
    blockedUntil,
    refilledAt: blockedUntil,
    acceptedStreak: 0,
  };
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
