import { crashPoint } from "../crash-points.ts";
import {
  type ClaimedDelivery,
  claimDeliveries,
  completeDeliveries,
  failDeliveries,
  postponeDeliveries,
} from "../db/webhook-deliveries.ts";
import { asId, type ChannelOrderId } from "../domain/ids.ts";
import { batchesOf, fetchLimits, type OrderToFetch, pauseAfter } from "../domain/shop/order-fetches.ts";
import { ChannelFailure } from "../integrations/ports/failure.ts";
import type { ShopKey } from "../integrations/ports/sales-channel.ts";
import type { IntakeDependencies } from "./dependencies.ts";
import type { Rushes } from "../db/rushes.ts";
import type { ShopPauses } from "./shop-pauses.ts";
import type { ShopsUnderWay } from "./shops-under-way.ts";
import type { RushTellings } from "./rush-tellings.ts";
import { storeOrders, tellAll } from "./take-orders.ts";

/** Longer than a call to the channel may take; what a killed process held waits this long. */
const leaseSeconds = 15;
/** Orders claimed at once, and shops worked for at once: one call's worth of a shop, since what comes in may be more urgent. */
const ordersMaximum = { inAll: 500, ofOneShop: fetchLimits.ordersMaximum } as const;
/**
 * How long a pass waits for the shops under way before others are looked for. Most of those it has begun with are done soon,
 * and the next claim serves them together.
 */
const patienceMilliseconds = { afterClaim: 50, otherwise: 100 } as const;
/** How long a delivery waits when something outside of it has failed. */
const worldRetryMilliseconds = 2_000;

/**
 * One pass over the waiting deliveries: their orders are fetched, up to 50 a call, and taken in. A fault of the world (the
 * channel, its budget, Postgres, Temporal) puts them back without counting; an order that the channel does not know (yet)
 * counts, since it may be the message that is wrong.
 *
 * Each shop is worked for by itself. The pass does not wait long for a slow one: it stays in `underWay`, out of the next
 * claims, while the others go on.
 *
 * @returns how many deliveries were claimed, or shops were done with: whether to look again at once.
 */
export async function dispatchDeliveries(
  dependencies: IntakeDependencies,
  pauses: ShopPauses,
  underWay: ShopsUnderWay,
  { rushes, tellings }: Pick<Dispatching, "rushes" | "tellings">,
): Promise<number> {
  await rushes.lookAgain(dependencies.db, (shop, error) => {
    warnOfFailedLook(dependencies, shop, error);
  });
  const ofAllShops = ordersMaximum.inAll - underWay.size;
  const claimed =
    ofAllShops <= 0
      ? []
      : await claimDeliveries(
          dependencies.db,
          { ...ordersMaximum, inAll: ofAllShops },
          leaseSeconds,
          [...pauses.list(), ...underWay.list()],
          rushes.list(),
        );
  for (const [shopId, deliveries] of groupedBy(claimed, (delivery) => delivery.shopId)) {
    underWay.begin(shopId, () => dispatchShop({ ...dependencies, pauses, rushes, tellings }, deliveries));
  }
  const begun = underWay.size;
  if (claimed.length > 0) await underWay.allEnded(patienceMilliseconds.afterClaim);
  // A shop that is done with is claimed for again at once.
  else if (begun > 0) await underWay.oneEnded(patienceMilliseconds.otherwise);
  return Math.max(claimed.length, begun - underWay.size);
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

interface Dispatching extends IntakeDependencies {
  readonly pauses: ShopPauses;
  readonly rushes: Rushes;
  readonly tellings: RushTellings;
}

/** Never rejects: what cannot even be put back comes back when its lease runs out. */
async function dispatchShop(
  dependencies: Dispatching,
  deliveries: readonly ClaimedDelivery[],
): Promise<void> {
  const [first] = deliveries;
  if (first === undefined) return;
  const shop: ShopKey = { tenantId: first.tenantId, shopId: first.shopId };
  const byOrder = groupedBy(deliveries, ({ channelOrderId }) => asId<"ChannelOrder">(channelOrderId));
  const batches = batchesOf(
    [...byOrder].map(([orderId, [delivery]]) => ({ orderId, failedFetches: delivery?.failedFetches ?? 0 })),
  );
  const claim: Claim = { shop, byOrder, claimedAt: first.claimedAt };
  let done = 0;
  try {
    for (const batch of batches) {
      await dispatchBatch(dependencies, claim, batch);
      done += 1;
    }
  } catch (error) {
    const orderIds = batches.slice(done).flatMap((batch) => batch.map(({ orderId }) => orderId));
    await waitForTheWorld(dependencies, claim, orderIds, error).catch((failure: unknown) => {
      dependencies.logger.warn({ err: failure, ...shop }, "Deliveries wait for their lease to run out");
    });
    return;
  }
  await dependencies.rushes.look(dependencies.db, shop).catch((error: unknown) => {
    warnOfFailedLook(dependencies, shop, error);
  });
}

function warnOfFailedLook({ logger }: Pick<IntakeDependencies, "logger">, shop: ShopKey, err: unknown): void {
  logger.warn({ err, ...shop }, "Whether a shop is in a rush is looked at the next time");
}

/** What was claimed of one shop. */
interface Claim {
  readonly shop: ShopKey;
  readonly byOrder: ReadonlyMap<ChannelOrderId, readonly ClaimedDelivery[]>;
  /** By the database's clock, before anything was fetched. */
  readonly claimedAt: string;
}

function deliveriesOf({ byOrder }: Claim, orderIds: readonly ChannelOrderId[]): readonly string[] {
  return orderIds.flatMap((orderId) => (byOrder.get(orderId) ?? []).map(({ id }) => id));
}

/** @throws whatever failed outside of the deliveries; all that were not worked off by then wait. */
async function dispatchBatch(
  dependencies: Dispatching,
  claim: Claim,
  batch: readonly OrderToFetch[],
): Promise<void> {
  const orderIds = batch.map(({ orderId }) => orderId);
  try {
    await dispatchOrders(dependencies, claim, orderIds);
  } catch (error) {
    if (!(error instanceof ChannelFailure) || !error.answered || error.kind !== "unavailable") throw error;
    // It may be the fault of one order that the channel cannot answer for all of them.
    const failedFetches = Math.max(...batch.map((order) => order.failedFetches)) + 1;
    const reason =
      batch.length === 1
        ? `The channel fails whenever it is asked for this order, even alone; it is asked again and again: ${error.message}`
        : `The channel failed when it was asked for ${batch.length} orders together: ${error.message}`;
    dependencies.logger.warn(
      { err: error, ...claim.shop, orders: batch.length, failedFetches },
      "A fetch failed",
    );
    const retryAt = new Date(Date.now() + pauseAfter(failedFetches, dependencies.timeScale));
    await postponeDeliveries(dependencies.db, deliveriesOf(claim, orderIds), retryAt, reason, failedFetches);
  }
}

/** @throws whatever failed outside of the deliveries. */
async function dispatchOrders(
  dependencies: Dispatching,
  claim: Claim,
  orderIds: readonly ChannelOrderId[],
): Promise<void> {
  const { db, channel, timeScale } = dependencies;
  const { shop, byOrder, claimedAt } = claim;
  try {
    crashPoint("deliveries: claimed, orders not fetched");
    const orders = await channel.fetchOrders(shop, orderIds, 2);
    crashPoint("deliveries: orders fetched, not stored");
    const { taken, tellings } = await storeOrders(
      dependencies,
      shop,
      { askedAt: claimedAt, orders },
      (orderId) => `webhook ${byOrder.get(orderId)?.at(-1)?.id ?? ""}`,
    );
    const areTold = dependencies.rushes.has(shop.shopId) && dependencies.tellings.take(tellings);
    if (!areTold) await tellAll(tellings);
    crashPoint("deliveries: workflows told, not marked");
    const done = taken.filter(({ fate }) => fate !== "refused").map(({ orderId }) => orderId);
    await completeDeliveries(db, deliveriesOf(claim, done));
    for (const order of taken) {
      if (order.fate === "refused")
        await failDeliveries(db, deliveriesOf(claim, [order.orderId]), order.reason, timeScale);
    }
    const found = new Set(taken.map(({ orderId }) => orderId));
    const missing = orderIds.filter((orderId) => !found.has(orderId));
    const reason = "The channel does not know the order (yet)";
    await failDeliveries(db, deliveriesOf(claim, missing), reason, timeScale);
  } catch (error) {
    if (!(error instanceof ChannelFailure) || (error.kind !== "refused" && error.kind !== "malformed"))
      throw error;
    await dispatchApart(dependencies, claim, orderIds, error);
  }
}

/**
 * The channel will not talk about these orders together. One of them may be at fault, so they are asked for in halves until
 * it stands alone; its delivery counts an attempt and is parked in the end, and its neighbours go on.
 */
async function dispatchApart(
  dependencies: Dispatching,
  claim: Claim,
  orderIds: readonly ChannelOrderId[],
  failure: ChannelFailure,
): Promise<void> {
  if (orderIds.length === 1) {
    const { db, timeScale } = dependencies;
    await failDeliveries(db, deliveriesOf(claim, orderIds), failure.message, timeScale);
    return;
  }
  const middle = Math.ceil(orderIds.length / 2);
  await dispatchOrders(dependencies, claim, orderIds.slice(0, middle));
  await dispatchOrders(dependencies, claim, orderIds.slice(middle));
}

async function waitForTheWorld(
  { db, logger, pauses }: Dispatching,
  claim: Claim,
  orderIds: readonly ChannelOrderId[],
  error: unknown,
): Promise<void> {
  const { shop } = claim;
  const retryAt = error instanceof ChannelFailure ? error.retryAt : null;
  if (retryAt !== null) pauses.pause(shop.shopId, retryAt);
  const isOurBudget = error instanceof ChannelFailure && error.kind === "rate_limited";
  logger[isOurBudget ? "info" : "warn"](
    { ...(isOurBudget ? {} : { err: error }), ...shop, orders: orderIds.length, retryAt },
    "Deliveries wait: something outside of them failed",
  );
  await postponeDeliveries(
    db,
    deliveriesOf(claim, orderIds),
    new Date(retryAt ?? Date.now() + worldRetryMilliseconds),
    error instanceof Error ? error.message : String(error),
  );
}
