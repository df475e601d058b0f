import { createHash } from "node:crypto";
import pMap from "p-map";
import { findSkusByChannel } from "../db/catalogue.ts";
import { encrypt } from "../db/encryption.ts";
import { type SnapshotFate, storeSnapshot } from "../db/orders.ts";
import { withTenant } from "../db/tenant.ts";
import type { ChannelOrderId, ChannelSkuId } from "../domain/ids.ts";
import type { FetchedOrder, ShopKey } from "../integrations/ports/sales-channel.ts";
import { orderWorkflowId, priorities, taskQueues } from "../workflows/addressing.ts";
import { type OrderInput, orderNews, searchAttributes } from "../workflows/messages.ts";
import { takeInSkus } from "./catalogue.ts";
import type { IntakeDependencies } from "./dependencies.ts";

/** Orders of one shop that are stored and signalled at the same time. */
const ordersAtOnceMaximum = 10;

export interface TakenOrder {
  readonly orderId: ChannelOrderId;
  readonly fate: SnapshotFate;
}

/**
 * Takes fetched orders in: SKUs that are not known yet are imported, each order's snapshot is stored, and the order's
 * workflow is told, started if need be. Poll and webhooks meet here. Taking the same in again changes nothing; who crashes
 * between storing and telling tells the next time, since the stored news is still unhandled.
 *
 * @throws whatever the channel, Postgres or Temporal failed with first; what was taken in by then stays taken in.
 */
export async function takeOrders(
  dependencies: IntakeDependencies,
  shop: ShopKey,
  fetched: readonly FetchedOrder[],
  causeOf: (orderId: ChannelOrderId) => string,
): Promise<readonly TakenOrder[]> {
  await importUnknownSkus(dependencies, shop, fetched);
  return await pMap(
    fetched,
    async (each): Promise<TakenOrder> => {
      const orderId = each.order.orderId;
      const cause = causeOf(orderId);
      const { fate, unhandled } = await withTenant(dependencies.db, shop.tenantId, (transaction) =>
        storeSnapshot(transaction, shop.tenantId, shop.shopId, {
          order: each.order,
          recipient: sealRecipient(dependencies.secretKey, shop, each),
          fetchBeganAt: each.fetchBeganAt,
          contentHash: createHash("sha256").update(JSON.stringify(each.order)).digest("hex"),
          cause,
        }),
      );
      if (unhandled) await tellOrder(dependencies, shop, orderId, cause);
      return { orderId, fate };
    },
    { concurrency: ordersAtOnceMaximum },
  );
}

/** Tells an order's workflow to look, starting it when it does not run. */
export async function tellOrder(
  { client, queuePrefix }: Pick<IntakeDependencies, "client" | "queuePrefix">,
  shop: ShopKey,
  orderId: ChannelOrderId,
  cause: string,
): Promise<void> {
  const input: OrderInput = { ...shop, orderId, ...(queuePrefix === "" ? {} : { queuePrefix }) };
  await client.workflow.signalWithStart("orderLifecycle", {
    workflowId: orderWorkflowId(shop.shopId, orderId),
    taskQueue: taskQueues(queuePrefix).orders,
    args: [input],
    signal: orderNews,
    signalArgs: [{ cause }],
    staticSummary: `Order ${orderId}`,
    typedSearchAttributes: [
      { key: searchAttributes.shop, value: shop.shopId },
      { key: searchAttributes.order, value: orderId },
    ],
    priority: { priorityKey: priorities.webhooks, fairnessKey: shop.tenantId },
  });
}

/** The recipient as one encrypted value, bound to its order so that it cannot be moved to another row. */
export function recipientContext(shop: ShopKey, orderId: string): string {
  return `${shop.tenantId}|orders|recipient|${shop.shopId}/${orderId}`;
}

function sealRecipient(secretKey: Buffer, shop: ShopKey, { order, recipient }: FetchedOrder): Buffer | null {
  if (recipient === null) return null;
  return encrypt(secretKey, JSON.stringify(recipient), recipientContext(shop, order.orderId));
}

async function importUnknownSkus(
  dependencies: IntakeDependencies,
  shop: ShopKey,
  fetched: readonly FetchedOrder[],
): Promise<void> {
  const mentioned = new Set(fetched.flatMap(({ order }) => order.lines.map((line) => line.channelSkuId)));
  const known = await withTenant(dependencies.db, shop.tenantId, (transaction) =>
    findSkusByChannel(transaction, shop.shopId, [...mentioned]),
  );
  const unknown = [...mentioned].filter((channelSkuId: ChannelSkuId) => !known.has(channelSkuId));
  if (unknown.length > 0) await takeInSkus(dependencies, shop, unknown);
}
