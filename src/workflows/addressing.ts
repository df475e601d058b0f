import {
  type AlertId,
  type ChannelOrderId,
  type ShopId,
  type SkuId,
  type WorkflowSubject,
  workflowSubjects,
} from "../domain/ids.ts";

/** Every workflow's id and every task queue's name, built here and nowhere else, from business keys alone. */
export function orderWorkflowId(shopId: ShopId, orderId: ChannelOrderId): string {
  return `order/${shopId}/${orderId}`;
}

export function skuWorkflowId(skuId: SkuId): string {
  return `sku/${skuId}`;
}

/** What a workflow carries, by its id; null when Postgres knows nothing to begin it anew with. */
export function subjectOfWorkflow(workflowId: string): WorkflowSubject | null {
  const [prefix, ...rest] = workflowId.split("/");
  const of = workflowSubjects.find((each) => each === prefix);
  return of === undefined ? null : { of, id: rest.join("/") };
}

export function holdWorkflowId(holdId: string): string {
  return `hold/${holdId}`;
}

export function alertWorkflowId(alertId: AlertId): string {
  return `alert/${alertId}`;
}

export function approvalWorkflowId(approvalId: string): string {
  return `approval/${approvalId}`;
}

export function bulkWorkflowId(bulkId: string): string {
  return `bulk/${bulkId}`;
}

/** The schedule that polls a shop's orders; its workflows carry the same id and the time they were due. */
export function orderSyncScheduleId(shopId: ShopId): string {
  return `tiktok-orders/${shopId}`;
}

/** The schedule that looks at a shop's listings. */
export function inventorySyncScheduleId(shopId: ShopId): string {
  return `tiktok-inventory/${shopId}`;
}

/** The schedule of the nightly proof, which spans all sellers. */
export function stockProofScheduleId(queuePrefix: string): string {
  return `${queuePrefix}stock-proof`;
}

/** A look at one SKU's listings in a shop, that somebody has asked for. */
export function skuSyncWorkflowId(shopId: ShopId, skuId: SkuId): string {
  return `tiktok-inventory/${shopId}/${skuId}`;
}

/** A look at what the channel has told of a shop's listings within one stretch of time. */
export function newsSyncWorkflowId(shopId: ShopId, window: number): string {
  return `tiktok-inventory/${shopId}/news/${window}`;
}

/**
 * Task queues by class of work. Orders and SKU entities have Workers of their own: an order's local activity holds its
 * workflow-task slot while it waits for an entity, and on one Worker the waiting would starve the awaited.
 */
export interface TaskQueues {
  readonly orders: string;
  readonly inventory: string;
  readonly tiktok: string;
  /** Messages to people: activities only. */
  readonly notifications: string;
  /** Activities alone: changes by the thousand. */
  readonly bulk: string;
}

/** @param prefix keeps the queues of one test apart from another's; empty in production. */
export function taskQueues(prefix = ""): TaskQueues {
  return {
    orders: `${prefix}orders`,
    inventory: `${prefix}inventory`,
    tiktok: `${prefix}tiktok`,
    notifications: `${prefix}notifications`,
    bulk: `${prefix}bulk`,
  };
}

/** Temporal priority: 1 is the most urgent, 3 the default. */
export const priorities = { fulfilment: 1, webhooks: 2, schedules: 3, bulk: 4 } as const;
