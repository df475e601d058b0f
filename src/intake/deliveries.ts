import { crashPoint } from "../crash-points.ts";
import {
  type ClaimedDelivery,
  claimDeliveries,
  completeDeliveries,
  failDeliveries,
  postponeDeliveries,
} from "../db/webhook-deliveries.ts";
import { asId, type ChannelOrderId } from "../domain/ids.ts";
import { ChannelFailure } from "../integrations/ports/failure.ts";
import type { ShopKey } from "../integrations/ports/sales-channel.ts";
import type { IntakeDependencies } from "./dependencies.ts";
import { ShopPauses } from "./shop-pauses.ts";
import { takeOrders } from "./take-orders.ts";

/** Longer than a call to the channel may take; what a killed process held waits this long. */
const leaseSeconds = 15;
/** TikTok Shop gives the details of at most 50 orders a call. */
const ordersPerCallMaximum = 50;
/** One call's worth of a shop: what comes in meanwhile may be more urgent than the rest of a longer claim. */
const ordersMaximum = { inAll: 500, ofOneShop: ordersPerCallMaximum } as const;
/** How long a delivery waits when something outside of it has failed. */
const worldRetryMilliseconds = 2_000;

/**
 * One pass over the waiting deliveries: their orders are fetched, up to 50 a call, and taken in. A fault of the world (the
 * channel, its budget, Postgres, Temporal) puts them back without counting; an order that the channel does not know (yet)
 * counts, since it may be the message that is wrong.
 *
 * @returns how many deliveries there were.
 */
export async function dispatchDeliveries(
  dependencies: IntakeDependencies,
  pauses = new ShopPauses(),
): Promise<number> {
  const claimed = await claimDeliveries(dependencies.db, ordersMaximum, leaseSeconds, pauses.list());
  const byShop = groupedBy(claimed, ({ shopId }) => shopId);
  await Promise.all(
    [...byShop.values()].map((deliveries) => dispatchShop({ ...dependencies, pauses }, deliveries)),
  );
  return claimed.length;
}

/** `Map.groupBy`, which Node 20 does not have. */
function groupedBy<Key>(
  deliveries: readonly ClaimedDelivery[],
  keyOf: (delivery: ClaimedDelivery) => Key,
): ReadonlyMap<Key, readonly ClaimedDelivery[]> {
  const groups = new Map<Key, ClaimedDelivery[]>();
  for (const delivery of deliveries) {
    const key = keyOf(delivery);
    const known = groups.get(key);
    if (known === undefined) groups.set(key, [delivery]);
    else known.push(delivery);
  }
  return groups;
}

type Dispatching = IntakeDependencies & { readonly pauses: ShopPauses };

async function dispatchShop(
  dependencies: Dispatching,
  deliveries: readonly ClaimedDelivery[],
): Promise<void> {
  const [first] = deliveries;
  if (first === undefined) return;
  const shop: ShopKey = { tenantId: first.tenantId, shopId: first.shopId };
  const byOrder = groupedBy(deliveries, ({ channelOrderId }) => asId<"ChannelOrder">(channelOrderId));
  await dispatchOrders(dependencies, shop, byOrder, [...byOrder.keys()]);
}

async function dispatchOrders(
  dependencies: Dispatching,
  shop: ShopKey,
  byOrder: ReadonlyMap<ChannelOrderId, readonly ClaimedDelivery[]>,
  orderIds: readonly ChannelOrderId[],
): Promise<void> {
  const { db, channel, timeScale, logger } = dependencies;
  const idsOf = (ids: readonly ChannelOrderId[]) =>
    ids.flatMap((orderId) => (byOrder.get(orderId) ?? []).map(({ id }) => id));
  try {
    crashPoint("deliveries: claimed, orders not fetched");
    const fetched = await channel.fetchOrders(shop, orderIds, 2);
    crashPoint("deliveries: orders fetched, not stored");
    const taken = await takeOrders(
      dependencies,
      shop,
      fetched,
      (orderId) => `webhook ${byOrder.get(orderId)?.at(-1)?.id ?? ""}`,
    );
    crashPoint("deliveries: workflows told, not marked");
    const done = taken.filter(({ fate }) => fate !== "refused").map(({ orderId }) => orderId);
    await completeDeliveries(db, idsOf(done));
    for (const order of taken) {
      if (order.fate === "refused") await failDeliveries(db, idsOf([order.orderId]), order.reason, timeScale);
    }
    const found = new Set(taken.map(({ orderId }) => orderId));
    const missing = orderIds.filter((orderId) => !found.has(orderId));
    await failDeliveries(db, idsOf(missing), "The channel does not know the order (yet)", timeScale);
  } catch (error) {
    if (error instanceof ChannelFailure && (error.kind === "refused" || error.kind === "malformed")) {
      await dispatchApart(dependencies, shop, byOrder, orderIds, error);
      return;
    }
    const retryAt = error instanceof ChannelFailure ? error.retryAt : null;
    if (retryAt !== null) dependencies.pauses.pause(shop.shopId, retryAt);
    const isOurBudget = error instanceof ChannelFailure && error.kind === "rate_limited";
    logger[isOurBudget ? "info" : "warn"](
      { ...(isOurBudget ? {} : { err: error }), ...shop, orders: orderIds.length, retryAt },
      "Deliveries wait: something outside of them failed",
    );
    await postponeDeliveries(
      db,
      idsOf(orderIds),
      new Date(retryAt ?? Date.now() + worldRetryMilliseconds),
      error instanceof Error ? error.message : String(error),
    );
  }
}

/**
 * The channel will not talk about these orders together. One of them may be at fault, so they are asked for in halves until
 * it stands alone; its delivery counts an attempt and is parked in the end, and its neighbours go on.
 */
async function dispatchApart(
  dependencies: Dispatching,
  shop: ShopKey,
  byOrder: ReadonlyMap<ChannelOrderId, readonly ClaimedDelivery[]>,
  orderIds: readonly ChannelOrderId[],
  failure: ChannelFailure,
): Promise<void> {
  if (orderIds.length === 1) {
    const ids = orderIds.flatMap((orderId) => (byOrder.get(orderId) ?? []).map(({ id }) => id));
    await failDeliveries(dependencies.db, ids, failure.message, dependencies.timeScale);
    return;
  }
  const middle = Math.ceil(orderIds.length / 2);
  await dispatchOrders(dependencies, shop, byOrder, orderIds.slice(0, middle));
  await dispatchOrders(dependencies, shop, byOrder, orderIds.slice(middle));
}
