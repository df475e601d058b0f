import type { ProofOutcome } from "../workflows/messages.ts";
import type { ActivityDependencies } from "./dependencies.ts";

export function createProofActivities({ prove, logger }: Pick<ActivityDependencies, "prove" | "logger">) {
  return {
    /** Proves everything once, and says what came of it in numbers. */
    async proveStock(): Promise<ProofOutcome> {
      const outcome = await prove();
      if (outcome.clean) logger.info({ checks: outcome.checks.length }, "The proof is clean");
      else {
        const wrong = outcome.checks.filter(({ violations }) => violations > 0);
        logger.error({ wrong, corruptedSkus: outcome.corruptedSkus }, "The proof is not clean");
      }
      return outcome;
    },
  };
}
