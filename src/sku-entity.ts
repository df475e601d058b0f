import { randomInt } from "node:crypto";
import { setTimeout as pause } from "node:timers/promises";
import { type Client, type WorkflowStartOptions, WithStartWorkflowOperation } from "@temporalio/client";
import { asId, type TenantId } from "./domain/ids.ts";
import type { StockAnswer, StockOperation } from "./domain/stock/operation.ts";
import { metItsEnd } from "./met-its-end.ts";
import { priorities, skuWorkflowId, taskQueues } from "./workflows/addressing.ts";
import { applyOperations, offerChanged, searchAttributes, type SkuInput } from "./workflows/messages.ts";

/** Times that a request is sent again when it meets the end of an entity's run. */
const triesMaximum = 50;
/** Drawn anew each time, so that all who have met one end do not ask its successor at the same moment again and again. */
const askAgainMilliseconds = { least: 10, most: 30 } as const;

/** Everybody starts a SKU's entity alike, whoever needs it first. */
export function skuEntityStart(input: SkuInput) {
  const { tenantId, skuId, queuePrefix } = input;
  return {
    workflowId: skuWorkflowId(skuId),
    taskQueue: taskQueues(queuePrefix).inventory,
    args: [input],
    workflowIdConflictPolicy: "USE_EXISTING",
    staticSummary: `SKU ${skuId}`,
    typedSearchAttributes: [{ key: searchAttributes.sku, value: skuId }],
    priority: { priorityKey: priorities.fulfilment, fairnessKey: tenantId },
  } satisfies WorkflowStartOptions & { workflowIdConflictPolicy: string };
}

/** Asks the SKU's entity, one that is started when none runs; one answer for each operation, in their order. May be asked again. */
export async function askEntity(
  client: Client,
  input: SkuInput,
  operations: readonly StockOperation[],
): Promise<readonly StockAnswer[]> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await client.workflow.executeUpdateWithStart(applyOperations, {
        args: [operations],
        startWorkflowOperation: new WithStartWorkflowOperation("skuInventory", skuEntityStart(input)),
      });
    } catch (error) {
      if (!metItsEnd(error) || attempt >= triesMaximum) throw error;
      await pause(randomInt(askAgainMilliseconds.least, askAgainMilliseconds.most + 1));
    }
  }
}

/** The SKU's entity learns that its offer may have changed; one that has ended is started. */
export async function tellSku(
  { client, queuePrefix }: { readonly client: Client; readonly queuePrefix: string },
  tenantId: TenantId,
  skuId: string,
  causedAt: string,
): Promise<void> {
  const input: SkuInput = {
    tenantId,
    skuId: asId<"Sku">(skuId),
    // Read only by an entity that this starts: nobody knows how the one before it ended.
    queueMayRemain: true,
    ...(queuePrefix === "" ? {} : { queuePrefix }),
  };
  await client.workflow.signalWithStart("skuInventory", {
    ...skuEntityStart(input),
    signal: offerChanged,
    signalArgs: [{ causedAt }],
  });
}
