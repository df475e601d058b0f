import { sql } from "kysely";
import type { ChannelOrderId, ShopId, TenantId } from "../domain/ids.ts";
import { currentTenant, type TenantTransaction } from "./tenant.ts";

/** How far the poll of a shop's orders has come. Times are ISO 8601; the cursor is the channel's own time. */
export interface OrderCursor {
  /** False when the shop must not be polled: not connected (yet, or any more). */
  readonly connected: boolean;
  /** Update time of the newest order that was taken in; null before the first. */
  readonly cursor: string | null;
  /** When the shop's stock was opened, by our clock; everything before it was taken in then. */
  readonly openedAt: string | null;
  /** When this was read, by the database's clock. */
  readonly readAt: string;
}

/** Notes that a poll begins or goes on, and says from where. Null when the shop is not known. */
export async function beginOrderPoll(
  transaction: TenantTransaction,
  tenantId: TenantId,
  shopId: ShopId,
): Promise<OrderCursor | null> {
  const shop = await transaction
    .selectFrom("shops")
    .where("id", "=", shopId)
    .select(["status", "opened_at"])
    .executeTakeFirst();
  if (shop === undefined) return null;
  const { cursor, readAt } = await transaction
    .insertInto("sync_cursors")
    .values({ tenant_id: tenantId, shop_id: shopId, kind: "orders" })
    .onConflict((conflict) =>
      conflict.columns(["tenant_id", "shop_id", "kind"]).doUpdateSet({ last_run_at: sql`clock_timestamp()` }),
    )
    .returning(["cursor", sql<string>`clock_timestamp()`.as("readAt")])
    .executeTakeFirstOrThrow();
  return { connected: shop.status === "connected", cursor, openedAt: shop.opened_at, readAt };
}

/** What one page of a poll came to. */
export interface PolledPage {
  readonly seen: number;
  /** Orders, or news of them, that no webhook had brought and none is waiting to bring. */
  readonly recovered: number;
  /** News whose webhook is here and was merely not worked off yet. */
  readonly awaited: number;
  /** Orders that cannot be read, or that the database refuses as they are. */
  readonly refused: number;
}

/**
 * Moves the cursor and adds up what the page came to. The cursor never goes back, whoever polls beside us.
 *
 * @param cursor update time of the page's newest order; null when it held none.
 * @param ended true with the last page of a pass.
 */
export async function moveOrderCursor(
  transaction: TenantTransaction,
  shopId: ShopId,
  page: PolledPage,
  cursor: string | null,
  ended: boolean,
): Promise<void> {
  await transaction
    .updateTable("sync_cursors")
    .set({
      cursor: sql`greatest(cursor, ${cursor}::timestamptz)`,
      last_error: null,
      ...(ended ? { last_success_at: sql`clock_timestamp()` } : {}),
      seen_total: sql`seen_total + ${page.seen}`,
      recovered_total: sql`recovered_total + ${page.recovered}`,
      awaited_total: sql`awaited_total + ${page.awaited}`,
      refused_total: sql`refused_total + ${page.refused}`,
    })
    .where("shop_id", "=", shopId)
    .where("kind", "=", "orders")
    .execute();
}

/** Notes why a poll did not get on, for people. */
export async function notePollFailure(
  transaction: TenantTransaction,
  shopId: ShopId,
  reason: string,
): Promise<void> {
  await transaction
    .updateTable("sync_cursors")
    .set({ last_error: reason.slice(0, 1_000) })
    .where("shop_id", "=", shopId)
    .where("kind", "=", "orders")
    .execute();
}

/** Which of the orders have a webhook that was received and is not worked off yet. */
export async function findAwaitedOrders(
  transaction: TenantTransaction,
  shopId: ShopId,
  orderIds: readonly ChannelOrderId[],
): Promise<ReadonlySet<string>> {
  if (orderIds.length === 0) return new Set();
  const rows = await transaction
    .selectFrom("webhook_deliveries")
    .where("shop_id", "=", shopId)
    .where("state", "=", "waiting")
    .where("channel_order_id", "in", orderIds)
    .select("channel_order_id")
    .distinct()
    .execute();
  return new Set(rows.flatMap((row) => (row.channel_order_id === null ? [] : [row.channel_order_id])));
}

/** An order of a listing that cannot be taken in as it is: the channel's words make no sense, or the database refuses it. */
export interface OrderToPark {
  /** Null when it does not even say which order it is: kept for people to see, since nothing could be asked for. */
  readonly orderId: ChannelOrderId | null;
  readonly updatedAt: string | null;
  readonly reason: string;
}

/** Parks orders that a listing brought where people look for what could not be processed. One state of an order is parked once. */
export async function parkListedOrders(
  transaction: TenantTransaction,
  shopId: ShopId,
  orders: readonly OrderToPark[],
): Promise<void> {
  for (const { orderId, updatedAt, reason } of orders) {
    const dedupeKey = `${shopId}/${orderId ?? "unknown"}/${updatedAt ?? "unknown"}`;
    await sql`
      insert into webhook_deliveries (channel, tenant_id, shop_id, sender, dedupe_key, channel_order_id, body, headers, state, reason)
      select channel, ${currentTenant}, id, 'poll', ${dedupeKey}, ${orderId}, '\\x'::bytea, '{}'::jsonb,
        ${orderId === null ? "kept" : "parked"}, ${reason.slice(0, 1_000)}
      from shops where id = ${shopId}
      on conflict (channel, sender, dedupe_key) do nothing`.execute(transaction);
  }
}
