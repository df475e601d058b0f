import { createHash } from "node:crypto";
import pMap from "p-map";
import { crashPoint } from "../crash-points.ts";
import { findSkusByChannel } from "../db/catalogue.ts";
import type { Database } from "../db/connection.ts";
import { isRefusedByDatabase } from "../db/failure.ts";
import { encrypt } from "../db/encryption.ts";
import { type SnapshotToStore, storeSnapshots, type StoredSnapshot } from "../db/order-snapshots.ts";
import type { OrderToPark } from "../db/sync-cursors.ts";
import { withTenant } from "../db/tenant.ts";
import type { ChannelOrderId, ChannelSkuId } from "../domain/ids.ts";
import type { ChannelOrder } from "../domain/order/channel-order.ts";
import { summaryOf } from "../domain/order/transitions.ts";
import { ChannelFailure } from "../integrations/ports/failure.ts";
import type { FetchedOrder, ShopKey, UnreadableOrder } from "../integrations/ports/sales-channel.ts";
import { orderWorkflowId, priorities, taskQueues } from "../workflows/addressing.ts";
import { type OrderInput, orderNews, searchAttributes } from "../workflows/messages.ts";
import { takeInSkus } from "./catalogue.ts";
import type { IntakeDependencies } from "./dependencies.ts";

/** Orders whose workflows are told at the same time. */
export const toldAtOnceMaximum = 10;

/** Tells the workflow of an order that was stored; may be repeated. */
export type Telling = () => Promise<void>;

/** Orders that were stored, and the workflows that are still to be told of them. */
export interface StoredOrders {
  readonly taken: readonly TakenOrder[];
  readonly tellings: readonly Telling[];
}

/** What became of an order: its snapshot's fate, or that the database refuses it as it is, and why. */
export type TakenOrder =
  | ({ readonly orderId: ChannelOrderId } & StoredSnapshot)
  | { readonly orderId: ChannelOrderId; readonly fate: "refused"; readonly reason: string };

/**
 * Takes fetched orders in: they are stored, and their workflows are told, started if need be. Poll and webhooks meet here. Taking
 * the same in again changes nothing; who crashes between storing and telling tells the next time, since the stored news is still
 * unhandled.
 *
 * @throws as `storeOrders`, and whatever Temporal failed with first; what was stored by then stays stored.
 */
export async function takeOrders(...given: Parameters<typeof storeOrders>): Promise<readonly TakenOrder[]> {
  const { taken, tellings } = await storeOrders(...given);
  await tellAll(tellings);
  return taken;
}

export async function tellAll(tellings: readonly Telling[]): Promise<void> {
  await pMap(tellings, (tell) => tell(), { concurrency: toldAtOnceMaximum });
}

/**
 * Stores fetched orders, and imports SKUs that are not known yet.
 *
 * An order that the database refuses for a reason of its own does not keep the others from being taken in.
 *
 * @param fetched what the channel answered to one call, and the time (ISO) that the database told before it was called:
 *   of two fetches the later counts, and the clocks of two machines differ. Who looks because of a change has asked for
 *   the time after it, and so counts as later than all who read before the change.
 * @throws whatever the channel or Postgres failed with first; what was stored by then stays stored.
 */
export async function storeOrders(
  dependencies: IntakeDependencies,
  shop: ShopKey,
  { askedAt, orders: fetched }: { readonly askedAt: string; readonly orders: readonly FetchedOrder[] },
  causeOf: (orderId: ChannelOrderId) => string,
): Promise<StoredOrders> {
  await importUnknownSkus(dependencies, shop, fetched);
  const taken = await storeAll(dependencies.db, shop, toStore(dependencies, shop, askedAt, fetched, causeOf));
  const orders = new Map(fetched.map(({ order }) => [order.orderId, order]));
  if (taken.length > 0) crashPoint("orders: stored, workflows not told");
  const untold = taken.filter((order) => order.fate !== "refused" && order.unhandled);
  return {
    taken,
    tellings: untold.map(
      ({ orderId }) =>
        () =>
          tellOrder(dependencies, shop, orderId, causeOf(orderId), orders.get(orderId)),
    ),
  };
}

/** The orders of a listing's page that were not taken in, for people to see. */
export function ordersToPark(
  page: { readonly orders: readonly FetchedOrder[]; readonly unreadable: readonly UnreadableOrder[] },
  taken: readonly TakenOrder[],
): readonly OrderToPark[] {
  const updatedAt = new Map(page.orders.map(({ order }) => [order.orderId, order.updatedAt]));
  const refused = taken.flatMap((order) =>
    order.fate === "refused"
      ? [{ orderId: order.orderId, updatedAt: updatedAt.get(order.orderId) ?? null, reason: order.reason }]
      : [],
  );
  const unreadable = page.unreadable.map((order) => ({
    ...order,
    reason: `The order cannot be read: ${order.reason}`,
  }));
  return [...refused, ...unreadable];
}

function toStore(
  { secretKey }: IntakeDependencies,
  shop: ShopKey,
  askedAt: string,
  fetched: readonly FetchedOrder[],
  causeOf: (orderId: ChannelOrderId) => string,
): readonly SnapshotToStore[] {
  return fetched.map((each) => ({
    order: each.order,
    recipient: sealRecipient(secretKey, shop, each),
    fetchBeganAt: askedAt,
    contentHash: createHash("sha256").update(JSON.stringify(each.order)).digest("hex"),
    cause: causeOf(each.order.orderId),
  }));
}

/** One transaction for all; when the database refuses it, in halves until the order at fault stands alone. */
async function storeAll(
  db: Database,
  shop: ShopKey,
  snapshots: readonly SnapshotToStore[],
): Promise<readonly TakenOrder[]> {
  const [first] = snapshots;
  if (first === undefined) return [];
  try {
    const stored = await withTenant(db, shop.tenantId, (transaction) =>
      storeSnapshots(transaction, shop.tenantId, shop.shopId, snapshots),
    );
    const missed = snapshots.filter(({ order }) => !stored.has(order.orderId));
    const taken = [...stored].map(([orderId, each]): TakenOrder => ({ orderId, ...each }));
    return [...taken, ...(await storeAll(db, shop, missed))];
  } catch (error) {
    if (!isRefusedByDatabase(error)) throw error;
    if (snapshots.length === 1) {
      const reason = error instanceof Error ? error.message : String(error);
      return [{ orderId: first.order.orderId, fate: "refused", reason }];
    }
    const middle = Math.ceil(snapshots.length / 2);
    return [
      ...(await storeAll(db, shop, snapshots.slice(0, middle))),
      ...(await storeAll(db, shop, snapshots.slice(middle))),
    ];
  }
}

/**
 * Tells an order's workflow to look, starting it when it does not run.
 *
 * @param order as it was just fetched: a workflow that starts with it need not first tell the search what it is.
 */
export async function tellOrder(
  { client, queuePrefix }: Pick<IntakeDependencies, "client" | "queuePrefix">,
  shop: ShopKey,
  orderId: ChannelOrderId,
  cause: string,
  order?: ChannelOrder,
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
      ...(order === undefined
        ? []
        : [
            { key: searchAttributes.orderStatus, value: summaryOf(order.status) },
            { key: searchAttributes.needsAttention, value: false },
            ...(order.shipBy === null
              ? []
              : [{ key: searchAttributes.shipBy, value: new Date(order.shipBy) }]),
          ]),
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
  if (unknown.length === 0) return;
  try {
    await takeInSkus(dependencies, shop, unknown);
  } catch (error) {
    // What the channel will not tell of a SKU keeps no order out: it is stored, held as of an unknown SKU, and seen.
    if (!(error instanceof ChannelFailure) || (error.kind !== "refused" && error.kind !== "malformed"))
      throw error;
    dependencies.logger.error(
      { err: error, ...shop, channelSkuIds: unknown },
      "SKUs of orders cannot be taken in",
    );
  }
}
