import { ApplicationFailure } from "@temporalio/activity";
import { ApplicationFailureCategory } from "@temporalio/common";
import { ChannelFailure } from "../integrations/ports/failure.ts";

/**
 * Tells Temporal what a channel's failure means: whether trying again can help, and when to come back. Only the kind and
 * the channel's own code travel into the history.
 *
 * @param againAfter milliseconds until the next try when the channel has not said; null leaves that to Temporal, which waits the longer
 *   the more tries there were, those that only waited for the budget among them.
 */
export function asActivityFailure(error: unknown, againAfter: number | null = null): unknown {
  if (!(error instanceof ChannelFailure)) return error;
  const retryAfter = error.retryAt === null ? againAfter : Math.max(100, error.retryAt - Date.now());
  return ApplicationFailure.create({
    type: `channel_${error.kind}`,
    message: error.message,
    // To wait for our own budget is no fault, and no warning in the log.
    ...(error.kind === "rate_limited" && !error.answered
      ? { category: ApplicationFailureCategory.BENIGN }
      : {}),
    // Credentials are mended by people, and then the same call works: it is tried on, slowly.
    nonRetryable: error.kind === "refused",
    ...(retryAfter === null ? {} : { nextRetryDelay: retryAfter }),
    ...(error.kind === "unauthorised" ? { nextRetryDelay: 60_000 } : {}),
  });
}
