import { proxyActivities, proxyLocalActivities } from "@temporalio/workflow";
import type { Activities } from "../activities/index.ts";
import { priorities, taskQueues } from "./addressing.ts";

/**
 * What workflows may call, by class of work: how long one attempt may take and how it is tried again is decided here and
 * nowhere else. Failures of the world are tried without end, since giving up would lose an order; what cannot succeed
 * comes back as a value or as a failure that is marked so.
 */

/** An activity of which nothing was heard for this long has died with its process, and is tried again. */
const lostAfter = "10s";

/** Postgres alone, and quick: runs inside the workflow task. */
export const inDatabase = proxyLocalActivities<
  Pick<
    Activities,
    "advanceAlert" | "advanceOrder" | "applyStockBatch" | "lookAtApproval" | "decideOnApproval"
  >
>({
  startToCloseTimeout: "10s",
  retry: { initialInterval: "100ms", backoffCoefficient: 2, maximumInterval: "5s" },
});

/** An order asks the SKUs' entities. It must end well inside the workflow task's time, so it gives up soon. */
export const askingEntities = proxyLocalActivities<Pick<Activities, "settleStock">>({
  scheduleToCloseTimeout: "4s",
  retry: { maximumAttempts: 1 },
});

/** The same question with the same ids, where it may wait for as long as the entities need. */
export const askingEntitiesPatiently = proxyActivities<
  Pick<Activities, "settleStock" | "requestStock" | "applyApproval">
>({
  startToCloseTimeout: "1m",
  heartbeatTimeout: lostAfter,
  retry: { initialInterval: "500ms", backoffCoefficient: 2, maximumInterval: "30s" },
});

/**
 * Changes by the thousand, on their own queue and behind everything else. A page is as long as its SKUs' entities need; who
 * waits for it looks at the rows in Postgres.
 */
export function workingInBulk(queuePrefix: string | undefined): Pick<Activities, "workOffBulkPage"> {
  return proxyActivities<Activities>({
    taskQueue: taskQueues(queuePrefix).bulk,
    startToCloseTimeout: "10m",
    heartbeatTimeout: lostAfter,
    retry: { initialInterval: "1s", backoffCoefficient: 2, maximumInterval: "30s" },
    priority: { priorityKey: priorities.bulk },
  });
}

/** The proof, behind everything else. One that fails is due again the next night, and its age is a metric. */
export function proving(queuePrefix: string | undefined): Pick<Activities, "proveStock"> {
  return proxyActivities<Activities>({
    taskQueue: taskQueues(queuePrefix).bulk,
    startToCloseTimeout: "30m",
    heartbeatTimeout: lostAfter,
    retry: { initialInterval: "1m", backoffCoefficient: 2, maximumInterval: "10m", maximumAttempts: 6 },
    priority: { priorityKey: priorities.bulk },
  });
}

/** TikTok Shop, on its own queue. A failure that knows when to come back says so itself. */
export function atChannel(
  queuePrefix: string | undefined,
): Pick<Activities, "arrangeShipment" | "cancelAtChannel" | "pushOffer"> {
  return proxyActivities<Activities>({
    taskQueue: taskQueues(queuePrefix).tiktok,
    startToCloseTimeout: "1m",
    heartbeatTimeout: lostAfter,
    retry: { initialInterval: "1s", backoffCoefficient: 2, maximumInterval: "30s" },
  });
}

/** Messages to people, on their own queue. A mail server may be away for a night: tried until nobody needs the message. */
export function sendingMessages(queuePrefix: string | undefined): Pick<Activities, "sendAlertDelivery"> {
  return proxyActivities<Activities>({
    taskQueue: taskQueues(queuePrefix).notifications,
    startToCloseTimeout: "2m",
    heartbeatTimeout: lostAfter,
    retry: { initialInterval: "2s", backoffCoefficient: 2, maximumInterval: "5m" },
  });
}

/** Polls of TikTok Shop. One that gets nowhere gives up: the schedule's next begins at the same cursor. */
export function pollingChannel(
  queuePrefix: string | undefined,
): Pick<Activities, "syncChangedOrders" | "syncInventoryPage"> {
  return proxyActivities<Activities>({
    taskQueue: taskQueues(queuePrefix).tiktok,
    startToCloseTimeout: "2m",
    heartbeatTimeout: lostAfter,
    scheduleToCloseTimeout: "15m",
    retry: { initialInterval: "1s", backoffCoefficient: 2, maximumInterval: "30s" },
    priority: { priorityKey: priorities.schedules },
  });
}
