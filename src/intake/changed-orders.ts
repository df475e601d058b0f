import { crashPoint } from "../crash-points.ts";
import {
  beginOrderPoll,
  findAwaitedOrders,
  moveOrderCursor,
  notePollFailure,
  parkListedOrders,
  type PolledPage,
} from "../db/sync-cursors.ts";
import { withTenant } from "../db/tenant.ts";
import { clocksApartMilliseconds } from "../domain/shop/clocks.ts";
import type { SalesChannel, ShopKey } from "../integrations/ports/sales-channel.ts";
import type { OrderSyncPlace, OrderSyncStep } from "../workflows/messages.ts";
import type { IntakeDependencies } from "./dependencies.ts";
import { ordersToPark, type TakenOrder, takeOrders } from "./take-orders.ts";

/** How long an order may become findable after its own update time, however short the interval is. */
const overlapMillisecondsMinimum = 5 * 60_000;

/**
 * The second path of news: takes in one page of the orders that have changed since the cursor, with an overlap of one
 * interval and 5 minutes at least, since an order may become findable a little after its own update time. The cursor is the channel's time and
 * moves only when every order of the page is stored and its workflow told; a crash before that repeats the page, and
 * taking the same in again changes nothing. An order that is known as it is costs one look and no write.
 *
 * Deliveries that were never dispatched need no sweep here: they are claimed by leases, so one whose dispatcher died comes
 * back by itself within a minute.
 *
 * @param place where the page before ended; null begins at the cursor.
 * @throws whatever the channel, Postgres or Temporal failed with; the cursor stays and the reason is shown with the shop.
 */
export async function takeInChangedOrders(
  dependencies: IntakeDependencies,
  shop: ShopKey,
  place: OrderSyncPlace | null,
): Promise<OrderSyncStep> {
  const { db, channel, orderSyncMilliseconds, timeScale } = dependencies;
  const known = await withTenant(db, shop.tenantId, (transaction) =>
    beginOrderPoll(transaction, shop.tenantId, shop.shopId),
  );
  if (known === null || !known.connected) return { ...nothing, next: null };
  const updatedFrom =
    place?.updatedFrom ??
    pollFrom(
      known.cursor,
      known.openedAt ?? known.readAt,
      Math.max(orderSyncMilliseconds, overlapMillisecondsMinimum / timeScale),
    );
  try {
    const listed = await channel.searchOrders(
      shop,
      { updatedFrom, updatedBefore: null },
      place?.pageToken ?? null,
    );
    const { nextPageToken } = listed;
    const page = await takeInPage(dependencies, shop, known.readAt, listed);
    return { ...page, next: nextPageToken === null ? null : { updatedFrom, pageToken: nextPageToken } };
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    // What went wrong first is what the caller must hear, also when it was the database and this line cannot be written.
    await withTenant(db, shop.tenantId, (transaction) =>
      notePollFailure(transaction, shop.shopId, reason),
    ).catch(() => undefined);
    throw error;
  }
}

const nothing: PolledPage = { seen: 0, recovered: 0, awaited: 0, refused: 0 };

/** Only a shop's first poll needs our clock; from then on the channel's own times are compared with each other. */
function pollFrom(cursor: string | null, openedAt: string, overlapMilliseconds: number): string {
  const from =
    cursor === null
      ? Date.parse(openedAt) - clocksApartMilliseconds
      : Date.parse(cursor) - overlapMilliseconds;
  return new Date(from).toISOString();
}

async function takeInPage(
  dependencies: IntakeDependencies,
  shop: ShopKey,
  askedAt: string,
  listed: Awaited<ReturnType<SalesChannel["searchOrders"]>>,
): Promise<PolledPage> {
  const { orders, unreadable, nextPageToken } = listed;
  const { db, logger } = dependencies;
  // Asked before they are taken in: afterwards their webhooks may have been worked off, and would count as lost.
  const awaited = await withTenant(db, shop.tenantId, (transaction) =>
    findAwaitedOrders(
      transaction,
      shop.shopId,
      orders.map(({ order }) => order.orderId),
    ),
  );
  const taken = await takeOrders(dependencies, shop, { askedAt, orders }, () => "poll");
  crashPoint("poll: page taken in, cursor not moved");
  const page = countPage(taken, awaited, unreadable.length);
  const updated = orders.map(({ order }) => order.updatedAt).sort();
  await withTenant(db, shop.tenantId, async (transaction) => {
    await parkListedOrders(transaction, shop.shopId, ordersToPark(listed, taken));
    await moveOrderCursor(transaction, shop.shopId, page, updated.at(-1) ?? null, nextPageToken === null);
  });
  if (page.recovered + page.refused > 0)
    logger.info({ ...shop, ...page }, "The poll found what no webhook brought");
  return page;
}

function countPage(
  taken: readonly TakenOrder[],
  awaited: ReadonlySet<string>,
  unreadable: number,
): PolledPage {
  const news = taken.filter(({ fate }) => fate === "new_order" || fate === "news");
  const waiting = news.filter(({ orderId }) => awaited.has(orderId));
  return {
    seen: taken.length + unreadable,
    recovered: news.length - waiting.length,
    awaited: waiting.length,
    refused: taken.filter(({ fate }) => fate === "refused").length + unreadable,
  };
}
