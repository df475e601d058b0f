import type { SearchAttributePair } from "@temporalio/common";
import type { ClaimedMessage } from "../db/outbox.ts";
import { unreachable } from "../domain/assert.ts";
import { type AlertId, asId, type TenantId } from "../domain/ids.ts";
import {
  alertWorkflowId,
  approvalWorkflowId,
  bulkWorkflowId,
  holdWorkflowId,
  newsSyncWorkflowId,
  priorities,
  taskQueues,
} from "../workflows/addressing.ts";
import {
  type AlertInput,
  alertNews,
  type ApprovalInput,
  type BulkInput,
  type HoldInput,
  type InventorySyncInput,
  searchAttributes,
} from "../workflows/messages.ts";
import type { IntakeDependencies } from "./dependencies.ts";

type StartingMessage = Extract<
  ClaimedMessage,
  { readonly kind: "look_at_news" | "begin_hold" | "start_approval" | "start_bulk" }
>;

/** A workflow that a message starts. */
interface Starting {
  readonly workflow: string;
  readonly workflowId: string;
  readonly input: InventorySyncInput | HoldInput | ApprovalInput | BulkInput;
  readonly summary: string;
  readonly attribute?: SearchAttributePair;
  /** Absent: with those who wait for an answer. */
  readonly priority?: number;
}

/** The workflow that a message of the outbox starts. */
export function startingOf({ tenantId, ...message }: StartingMessage): Starting {
  switch (message.kind) {
    case "look_at_news": {
      const shopId = asId<"Shop">(message.payload.shopId);
      return {
        workflow: "tiktokInventorySync",
        workflowId: newsSyncWorkflowId(shopId, message.payload.window),
        input: { tenantId, shopId, withNews: true },
        summary: "Numbers that somebody else has changed",
        attribute: { key: searchAttributes.shop, value: shopId },
        priority: priorities.schedules,
      };
    }
    case "begin_hold": {
      const { skuId, holdId, expiresAt } = message.payload;
      return {
        workflow: "stockHold",
        workflowId: holdWorkflowId(holdId),
        input: { tenantId, skuId: asId<"Sku">(skuId), holdId, expiresAt },
        summary: `Hold of SKU ${skuId}`,
        attribute: { key: searchAttributes.sku, value: skuId },
      };
    }
    case "start_approval": {
      const { approvalId } = message.payload;
      return {
        workflow: "stockApproval",
        workflowId: approvalWorkflowId(approvalId),
        input: { tenantId, approvalId },
        summary: `Approval ${approvalId}`,
        priority: priorities.schedules,
      };
    }
    case "start_bulk": {
      const { bulkId } = message.payload;
      return {
        workflow: "bulkOperation",
        workflowId: bulkWorkflowId(bulkId),
        input: { tenantId, bulkId },
        summary: `Bulk operation ${bulkId}`,
        priority: priorities.bulk,
      };
    }
    default:
      return unreachable(message);
  }
}

/** One that runs is left to run; one that has ended looks once more and ends again. */
export async function start(
  { client, queuePrefix }: IntakeDependencies,
  { workflow, workflowId, input, summary, attribute, priority }: Starting,
): Promise<void> {
  await client.workflow.start(workflow, {
    workflowId,
    taskQueue: taskQueues(queuePrefix).orders,
    args: [{ ...input, ...(queuePrefix === "" ? {} : { queuePrefix }) }],
    workflowIdConflictPolicy: "USE_EXISTING",
    staticSummary: summary,
    ...(attribute === undefined ? {} : { typedSearchAttributes: [attribute] }),
    ...(priority === undefined ? {} : { priority: { priorityKey: priority, fairnessKey: input.tenantId } }),
  });
}

/** The alert's workflow looks who is to be told now; one that has ended is started. */
export async function tellAlert(
  { client, queuePrefix, timeScale }: IntakeDependencies,
  tenantId: TenantId,
  alertId: AlertId,
): Promise<void> {
  const input: AlertInput = {
    tenantId,
    alertId,
    ...(queuePrefix === "" ? {} : { queuePrefix }),
    ...(timeScale === 1 ? {} : { timeScale }),
  };
  await client.workflow.signalWithStart("alertDelivery", {
    workflowId: alertWorkflowId(alertId),
    taskQueue: taskQueues(queuePrefix).orders,
    args: [input],
    signal: alertNews,
    signalArgs: [],
    staticSummary: `Alert ${alertId}`,
    priority: { priorityKey: priorities.schedules, fairnessKey: tenantId },
  });
}
