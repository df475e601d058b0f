import { setCurrentDetails } from "@temporalio/workflow";
import { proving } from "./activities.ts";
import type { ProofInput, ProofOutcome } from "./messages.ts";

/**
 * The nightly proof: everything that must hold of all sellers' stock, orders and records, looked at from outside. It changes
 * nothing itself: its result is kept for metrics and health, and a SKU whose numbers are wrong is handed on to be stopped.
 */
export async function stockProof(input: ProofInput): Promise<ProofOutcome> {
  const outcome = await proving(input.queuePrefix).proveStock();
  const wrong = outcome.checks.filter(({ violations }) => violations > 0);
  setCurrentDetails(
    outcome.clean
      ? `Clean: ${outcome.checks.length} checks.`
      : [
          "**Not clean.** `npm run proof` names each finding.",
          ...wrong.map(({ check, violations }) => `- ${check}: ${violations}`),
        ].join("\n"),
  );
  return outcome;
}
