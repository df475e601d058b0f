import { createAlertActivities } from "./alert.ts";
import type { ActivityDependencies } from "./dependencies.ts";
import { createInventorySyncActivities } from "./inventory-sync.ts";
import { createApprovalActivities } from "./approval.ts";
import { createBulkActivities } from "./bulk.ts";
import { createOffers } from "./offer.ts";
import { createOrderActivities } from "./order.ts";
import { createOrderSyncActivities } from "./order-sync.ts";
import { createProofActivities } from "./proof.ts";
import { createShipmentActivities } from "./shipment.ts";
import { createStockActivities } from "./stock.ts";

export type { ActivityDependencies, Alerting } from "./dependencies.ts";
export type Activities = ReturnType<typeof createActivities>;

/**
 * Everything that workflows may call. Each Worker registers all of them; the task queues decide who runs what.
 *
 * @param offers the process's pushes, when the dispatcher begins some as well.
 */
export function createActivities(dependencies: ActivityDependencies, offers = createOffers(dependencies)) {
  const stock = createStockActivities(dependencies, offers.beginPush);
  return {
    ...createOrderActivities(dependencies, stock.requestStock),
    ...stock,
    ...createShipmentActivities(dependencies),
    ...offers.activities,
    ...createInventorySyncActivities(dependencies),
    ...createOrderSyncActivities(dependencies),
    ...createAlertActivities(dependencies),
    ...createApprovalActivities(dependencies, stock.requestStock),
    ...createBulkActivities(dependencies, stock.requestStock),
    ...createProofActivities(dependencies),
  };
}
