import {
  type Client,
  isGrpcServiceError,
  WorkflowFailedError,
  WithStartWorkflowOperation,
  WorkflowUpdateRPCTimeoutOrCancelledError,
} from "@temporalio/client";
import type { UpdateDefinition, Workflow } from "@temporalio/common";
import { setTimeout as pause } from "node:timers/promises";
import type { ApprovalDecision } from "../domain/approval/decide.ts";
import type { ChannelOrderId, ShopId, SkuId, TenantId, UserId } from "../domain/ids.ts";
import type { ShortageChoice } from "../domain/order/shortage.ts";
import { operationIdOf, type StockAnswer, type StockOperation } from "../domain/stock/operation.ts";
import { metItsEnd } from "../met-its-end.ts";
import { skuEntityStart } from "../sku-entity.ts";
import {
  approvalWorkflowId,
  orderWorkflowId,
  priorities,
  skuSyncWorkflowId,
  taskQueues,
} from "../workflows/addressing.ts";
import {
  type ApprovalInput,
  type ApprovalWish,
  applyOperations,
  type CancelAnswer,
  cancelOrder,
  chooseShortageCourse,
  decideOnApproval,
  type InventorySyncCounts,
  type InventorySyncInput,
  type OrderInput,
  searchAttributes,
  type ShortageAnswer,
  type SkuInput,
} from "../workflows/messages.ts";
import type { ApiDependencies } from "./dependencies.ts";
import { Problem } from "./problem.ts";

const answerWithinMilliseconds = 10_000;
const askAgainMilliseconds = 200;

type RequestDependencies = Pick<ApiDependencies, "temporal" | "queuePrefix">;

/**
 * Has one operation applied by its SKU's entity, which is started when it does not run. The same operation again gets
 * the same answer.
 *
 * @throws Problem `unavailable` when no answer came in time; the operation may still be applied.
 */
export async function askSku(
  { temporal, queuePrefix }: RequestDependencies,
  tenantId: TenantId,
  skuId: SkuId,
  operation: StockOperation,
): Promise<StockAnswer> {
  const input: SkuInput = { tenantId, skuId, ...(queuePrefix === "" ? {} : { queuePrefix }) };
  const answers = await updateWithStart(temporal, {
    update: applyOperations,
    updateId: operationIdOf(operation),
    args: [[operation]],
    startOperation: () => new WithStartWorkflowOperation("skuInventory", skuEntityStart(input)),
  });
  const [answer] = answers;
  if (answer === undefined) throw new Error(`The entity of SKU ${skuId} answered nothing.`);
  return answer;
}

interface OrderPlace {
  readonly tenantId: TenantId;
  readonly shopId: ShopId;
  readonly orderId: ChannelOrderId;
}

/**
 * Asks an order's workflow to cancel; answered when the channel has.
 *
 * @param effectId the same wish again gets the same answer.
 * @throws Problem `unavailable` when no answer came in time; the cancellation may still be under way.
 */
export async function askOrderToCancel(
  dependencies: RequestDependencies,
  order: OrderPlace,
  wish: { readonly reason: string; readonly by: UserId | null },
  effectId: string,
): Promise<CancelAnswer> {
  return await askOrder(dependencies, order, cancelOrder, `cancel/${effectId}`, wish);
}

/** Tells an order's workflow what a person has decided about its shortage; as `askOrderToCancel`. */
export async function askOrderToTakeCourse(
  dependencies: RequestDependencies,
  order: OrderPlace,
  wish: { readonly course: ShortageChoice; readonly by: UserId | null },
  effectId: string,
): Promise<ShortageAnswer> {
  return await askOrder(dependencies, order, chooseShortageCourse, `shortage/${effectId}`, wish);
}

async function askOrder<Answer, Wish>(
  { temporal, queuePrefix }: RequestDependencies,
  order: OrderPlace,
  update: UpdateDefinition<Answer, [Wish]>,
  updateId: string,
  wish: Wish,
): Promise<Answer> {
  const input: OrderInput = { ...order, ...(queuePrefix === "" ? {} : { queuePrefix }) };
  return await updateWithStart(temporal, {
    update,
    updateId,
    args: [wish],
    startOperation: () =>
      new WithStartWorkflowOperation("orderLifecycle", {
        workflowId: orderWorkflowId(order.shopId, order.orderId),
        taskQueue: taskQueues(queuePrefix).orders,
        args: [input],
        workflowIdConflictPolicy: "USE_EXISTING",
        staticSummary: `Order ${order.orderId}`,
        typedSearchAttributes: [
          { key: searchAttributes.shop, value: order.shopId },
          { key: searchAttributes.order, value: order.orderId },
        ],
        priority: { priorityKey: priorities.fulfilment, fairnessKey: order.tenantId },
      }),
  });
}

/**
 * Has a SKU's listings in shops looked at. A look that is under way is joined.
 *
 * @returns what was found, all shops together.
 * @throws Problem `unavailable` when a shop's channel did not answer in time; the look goes on.
 */
export async function lookAtListings(
  { temporal, queuePrefix }: RequestDependencies,
  tenantId: TenantId,
  skuId: SkuId,
  shopIds: readonly ShopId[],
): Promise<InventorySyncCounts> {
  const look = async (shopId: ShopId): Promise<InventorySyncCounts> => {
    const input: InventorySyncInput = {
      tenantId,
      shopId,
      skuId,
      ...(queuePrefix === "" ? {} : { queuePrefix }),
    };
    return await temporal.workflow.execute<(given: InventorySyncInput) => Promise<InventorySyncCounts>>(
      "tiktokInventorySync",
      {
        workflowId: skuSyncWorkflowId(shopId, skuId),
        taskQueue: taskQueues(queuePrefix).orders,
        args: [input],
        workflowIdConflictPolicy: "USE_EXISTING",
        typedSearchAttributes: [
          { key: searchAttributes.shop, value: shopId },
          { key: searchAttributes.sku, value: skuId },
        ],
        priority: { priorityKey: priorities.webhooks, fairnessKey: tenantId },
      },
    );
  };
  const deadline = Date.now() + answerWithinMilliseconds;
  try {
    const counts = await temporal.withDeadline(deadline, () => Promise.all(shopIds.map(look)));
    const sumOf = (of: (each: InventorySyncCounts) => number) =>
      counts.reduce((sum, each) => sum + of(each), 0);
    return {
      compared: sumOf((each) => each.compared),
      agreed: sumOf((each) => each.agreed),
      underWay: sumOf((each) => each.underWay),
      pushed: sumOf((each) => each.pushed),
      drifting: sumOf((each) => each.drifting),
    };
  } catch (error) {
    if (error instanceof WorkflowFailedError) {
      throw new Problem("unavailable", "The channel could not be asked: try again later.", {
        cause: error,
        retryAfterSeconds: 30,
      });
    }
    throw asProblem(error);
  }
}

/**
 * Tells an approval's workflow what somebody has decided; answered when the stock has. The same decision again gets the
 * same answer.
 *
 * @throws Problem `unavailable` when no answer came in time; the decision may still be carried out.
 */
export async function askToDecide(
  { temporal, queuePrefix }: RequestDependencies,
  tenantId: TenantId,
  approval: { readonly id: string; readonly skuId: SkuId },
  wish: ApprovalWish,
  effectId: string,
): Promise<ApprovalDecision> {
  const input: ApprovalInput = { tenantId, approvalId: approval.id };
  return await updateWithStart(temporal, {
    update: decideOnApproval,
    updateId: `${wish.kind}/${effectId}`,
    args: [wish],
    startOperation: () =>
      new WithStartWorkflowOperation("stockApproval", {
        workflowId: approvalWorkflowId(approval.id),
        taskQueue: taskQueues(queuePrefix).orders,
        args: [input],
        workflowIdConflictPolicy: "USE_EXISTING",
        staticSummary: `Approval ${approval.id}`,
        typedSearchAttributes: [{ key: searchAttributes.sku, value: approval.skuId }],
        priority: { priorityKey: priorities.webhooks, fairnessKey: tenantId },
      }),
  });
}

interface UpdateRequest<Answer, Args extends unknown[]> {
  readonly update: UpdateDefinition<Answer, Args>;
  readonly updateId: string;
  readonly args: Args;
  /** Made anew for each try: one cannot be used twice. */
  readonly startOperation: () => WithStartWorkflowOperation<Workflow>;
}

async function updateWithStart<Answer, Args extends unknown[]>(
  temporal: Client,
  request: UpdateRequest<Answer, Args>,
): Promise<Answer> {
  const deadline = Date.now() + answerWithinMilliseconds;
  while (true) {
    try {
      return await temporal.withDeadline(deadline, () =>
        temporal.workflow.executeUpdateWithStart(request.update, {
          updateId: request.updateId,
          args: request.args,
          startWorkflowOperation: request.startOperation(),
        }),
      );
    } catch (error) {
      if (!metItsEnd(error) || Date.now() + askAgainMilliseconds > deadline) throw asProblem(error);
      await pause(askAgainMilliseconds);
    }
  }
}

function asProblem(error: unknown): unknown {
  const isAway =
    metItsEnd(error) ||
    error instanceof WorkflowUpdateRPCTimeoutOrCancelledError ||
    isGrpcServiceError(error) ||
    (error instanceof Error && isGrpcServiceError(error.cause));
  if (!isAway) return error;
  return new Problem(
    "unavailable",
    "The request was not answered in time and may still be carried out. Send it again with the same Idempotency-Key for the answer.",
    { cause: error, retryAfterSeconds: 5 },
  );
}
