import { setTimeout as pause } from "node:timers/promises";
import { waitForBudget } from "../domain/shop/budget-patience.ts";
import { ChannelFailure } from "../integrations/ports/failure.ts";

/** Lets the activities of this process wait for the rate budget of shops; it counts how many do. */
export function createBudgetPatience() {
  let waiting = 0;
  return {
    /**
     * Waits for a moment when a call was limited or not made.
     *
     * @throws the failure itself when it is another, or when the wait is too long for an activity to be held up.
     */
    async waitAfter(failure: unknown, patientUntil: number): Promise<void> {
      if (!(failure instanceof ChannelFailure) || failure.kind !== "rate_limited") throw failure;
      const milliseconds = waitForBudget(failure.retryAt, Date.now(), patientUntil, waiting);
      if (milliseconds === null) throw failure;
      waiting += 1;
      await pause(milliseconds);
      waiting -= 1;
    },
  };
}
