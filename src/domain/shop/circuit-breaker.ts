/**
 * Spares a channel that does not answer: after some failures in a row no call is made for a while, then one, whose outcome
 * decides. All times are milliseconds since the epoch.
 */
export interface CircuitBreaker {
  /** Calls in a row that came to nothing. */
  readonly failures: number;
  /** When the next call may be tried; null while the breaker is closed and every call may pass. */
  readonly retryAt: number | null;
}

/** The answer to who asks for a call. The one that may try an open breaker is told until when the trial is its own. */
export type Passage =
  | { readonly granted: true; readonly trialUntil?: number }
  | { readonly granted: false; readonly retryAt: number };

export const breakerLimits = { failuresToOpen: 5, pauseMilliseconds: 60_000 } as const;

export const closedBreaker: CircuitBreaker = { failures: 0, retryAt: null };

/**
 * Asks for one call. After the pause the first who asks may try; the others wait for another pause, in which either its
 * outcome is known or, when it died, the next one tries.
 */
export function permitCall(
  breaker: CircuitBreaker,
  now: number,
  pauseMilliseconds: number,
): { readonly breaker: CircuitBreaker; readonly passage: Passage } {
  if (breaker.retryAt === null) return { breaker, passage: { granted: true } };
  if (now < breaker.retryAt) return { breaker, passage: { granted: false, retryAt: breaker.retryAt } };
  const trialUntil = now + pauseMilliseconds;
  return { breaker: { ...breaker, retryAt: trialUntil }, passage: { granted: true, trialUntil } };
}

/** Takes back a trial whose call was never made: the next who asks may try at once. One that is over changes nothing. */
export function giveBackTrial(breaker: CircuitBreaker, trialUntil: number, now: number): CircuitBreaker {
  return breaker.retryAt === trialUntil ? { ...breaker, retryAt: Math.min(now, trialUntil) } : breaker;
}

/**
 * Records a call that came to nothing. An open breaker stays as it is: whoever tried has set the next pause already, and
 * calls that left before it opened tell nothing new.
 */
export function recordUnanswered(
  breaker: CircuitBreaker,
  now: number,
  pauseMilliseconds: number,
): CircuitBreaker {
  const failures = breaker.failures + 1;
  if (breaker.retryAt !== null || failures < breakerLimits.failuresToOpen) return { ...breaker, failures };
  return { failures, retryAt: now + pauseMilliseconds };
}
