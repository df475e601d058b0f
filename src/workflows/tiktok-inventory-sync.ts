import { continueAsNew, setCurrentDetails } from "@temporalio/workflow";
import { pollingChannel } from "./activities.ts";
import type { InventorySyncCounts, InventorySyncInput } from "./messages.ts";

/** Pages of one run; at 600 listings each, more than any seller has. */
const pagesMaximum = 200;

/**
 * One look at what a shop's listings show, all of them, one SKU's, or those with news, beside what they should. It repairs nothing itself: what
 * must be pushed, and what nothing explains, is written down by the activity in the transaction that found it.
 */
export async function tiktokInventorySync(input: InventorySyncInput): Promise<InventorySyncCounts> {
  const { tenantId, shopId, skuId, withNews, queuePrefix } = input;
  const channel = pollingChannel(queuePrefix);
  let counts = input.counts ?? { compared: 0, agreed: 0, underWay: 0, pushed: 0, drifting: 0 };
  let after = input.after;
  for (let page = 0; page < pagesMaximum; page += 1) {
    const step = await channel.syncInventoryPage({ tenantId, shopId, skuId, withNews, after });
    counts = {
      compared: counts.compared + step.compared,
      agreed: counts.agreed + step.agreed,
      underWay: counts.underWay + step.underWay,
      pushed: counts.pushed + step.pushed,
      drifting: counts.drifting + step.drifting,
    };
    setCurrentDetails(`${counts.compared} compared, ${counts.agreed} agree, ${counts.drifting} drift`);
    if (step.next === null) return counts;
    after = step.next;
  }
  return await continueAsNew<typeof tiktokInventorySync>({ ...input, after, counts });
}
