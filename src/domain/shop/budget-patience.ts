/** How many may wait at once, in one process: each holds an activity up meanwhile. */
const waitingMaximum = 400;
const shortestWaitMilliseconds = 20;
/** The call of somebody else may end the channel's refusals before the time that was told. */
const longestWaitMilliseconds = 250;

/**
 * How long to wait with a call that was not made for want of rate budget, so that all who wait ask together when the channel
 * takes calls again: one call reads for hundreds of them.
 *
 * @param retryAt when the budget may have a call again; null: nobody knows.
 * @param patientUntil how long whoever asks can be held up.
 * @param othersWaiting how many wait already.
 * @returns milliseconds; null when the work is better put off. All times in milliseconds since the epoch.
 */
export function waitForBudget(
  retryAt: number | null,
  now: number,
  patientUntil: number,
  othersWaiting: number,
): number | null {
  const at = retryAt ?? now;
  if (at > patientUntil || now > patientUntil || othersWaiting >= waitingMaximum) return null;
  return Math.min(Math.max(shortestWaitMilliseconds, at - now), longestWaitMilliseconds);
}
