import {
  condition,
  defineSignal,
  proxyActivities,
  proxyLocalActivities,
  setHandler,
} from "@temporalio/workflow";
import type { FloorActivities } from "./activities.ts";

/** What one workflow does: as much as an order's, and nothing of it means anything. */
export interface FloorLoad {
  readonly signals: number;
  readonly localActivities: number;
  readonly activities: number;
  /** Where the regular activities run, on a Worker apart like the product's talks with its channel. */
  readonly activityQueue: string;
}

export const floorSignal = defineSignal("floorSignal");

/**
 * The floor below an order: no workflow with this many signals, local and regular activities can be faster on the same
 * server. Signals only count, one loop works them off, as in an order.
 */
export async function floorLife(load: FloorLoad): Promise<void> {
  let received = 0;
  setHandler(floorSignal, () => {
    received += 1;
  });
  const locally = proxyLocalActivities<FloorActivities>({ startToCloseTimeout: "10s" });
  const regularly = proxyActivities<FloorActivities>({
    taskQueue: load.activityQueue,
    startToCloseTimeout: "1m",
  });
  for (let done = 0; done < load.signals; done += 1) {
    await condition(() => received > done);
    const localActivities = share(load.localActivities, done, load.signals);
    for (let each = 0; each < localActivities; each += 1) await locally.doNothing();
    // In the middle of its life an order is shipped.
    if (done !== Math.floor(load.signals / 2)) continue;
    for (let each = 0; each < load.activities; each += 1) await regularly.doNothing();
  }
}

/** So many of a whole belong to one of its parts, spread as evenly as integers allow. */
function share(whole: number, part: number, parts: number): number {
  return Math.floor((whole * (part + 1)) / parts) - Math.floor((whole * part) / parts);
}
