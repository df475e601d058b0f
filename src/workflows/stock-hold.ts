import { setCurrentDetails, sleep } from "@temporalio/workflow";
import { holdClaim } from "../domain/stock/operation.ts";
import { askingEntitiesPatiently } from "./activities.ts";
import type { HoldInput } from "./messages.ts";

/**
 * Releases a hold when its time is over. One that a person has released before is released already: the stock gives the
 * same answer, and nothing moves.
 */
export async function stockHold({ tenantId, skuId, holdId, expiresAt }: HoldInput): Promise<void> {
  setCurrentDetails(`Holds units until ${expiresAt}.`);
  const left = Date.parse(expiresAt) - Date.now();
  if (left > 0) await sleep(left);
  await askingEntitiesPatiently.requestStock({
    tenantId,
    operations: [
      { skuId, operation: { kind: "release", claim: holdClaim(holdId), reason: "The hold has expired" } },
    ],
  });
}
