import { continueAsNew, setCurrentDetails } from "@temporalio/workflow";
import { pollingChannel } from "./activities.ts";
import type { OrderSyncCounts, OrderSyncInput } from "./messages.ts";

/** Pages of one run; a backlog that is longer goes on in the next, so that no history grows with it. */
const pagesMaximum = 200;

/**
 * One pass over a shop's orders that have changed since the cursor, started by the shop's schedule. The cursor is in
 * Postgres; what this workflow carries is only the place within the listing, and without it the next pass begins at the
 * cursor.
 */
export async function tiktokOrderSync(input: OrderSyncInput): Promise<OrderSyncCounts> {
  const { tenantId, shopId, queuePrefix } = input;
  const channel = pollingChannel(queuePrefix);
  let counts = input.counts ?? { seen: 0, recovered: 0, awaited: 0, refused: 0 };
  let place = input.place ?? null;
  for (let page = 0; page < pagesMaximum; page += 1) {
    const step = await channel.syncChangedOrders({ tenantId, shopId, place });
    counts = {
      seen: counts.seen + step.seen,
      recovered: counts.recovered + step.recovered,
      awaited: counts.awaited + step.awaited,
      refused: counts.refused + step.refused,
    };
    setCurrentDetails(`${counts.seen} orders seen, ${counts.recovered} recovered`);
    if (step.next === null) return counts;
    place = step.next;
  }
  return await continueAsNew<typeof tiktokOrderSync>({ ...input, place: place ?? undefined, counts });
}
