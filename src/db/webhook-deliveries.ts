import { sql } from "kysely";
import { asId, type ShopId, type TenantId } from "../domain/ids.ts";
import type { Database } from "./connection.ts";
import type { TenantTransaction } from "./tenant.ts";

/**
 * Webhook requests as received, and their fate.
 *
 * `waiting` → `processed`; or, when the message itself cannot be processed, after five more tries → `parked`, where it
 * stays until a person replays it or the channel sends it again. `kept` is what nobody works off: unknown shops and
 * topics, unreadable bodies. A fault of the world never counts as a try.
 */

/** What a genuine request said, as far as it could be read. */
export interface DeliveryToTakeIn {
  readonly channel: string;
  /** Who signed it, as the channel names them; with the key it makes the request one of a kind. */
  readonly sender: string;
  readonly channelShopId: string | null;
  readonly sellerOpenId: string | null;
  readonly dedupeKey: string;
  readonly topic: number | null;
  readonly channelOrderId: string | null;
  /** The channel's id of a SKU whose number somebody else has changed there: its listing is to be looked at. */
  readonly stockNewsOf: string | null;
  readonly body: Buffer;
  readonly headers: Readonly<Record<string, string>>;
  readonly state: "waiting" | "processed" | "kept";
  readonly reason: string | null;
}

/**
 * Takes a request in, in one round trip: finds the shop, stores it once, counts it when it came again, and puts a parked
 * one back to work. News of stock mark their listing in the same transaction. Needs the role `cf_ingest`.
 *
 * @returns the state that the delivery has now, and whether it was new.
 */
export async function takeInDelivery(
  db: Database,
  delivery: DeliveryToTakeIn,
): Promise<{ readonly state: string; readonly isNew: boolean }> {
  const { rows } = await sql<{ state: string; duplicates: number }>`
    insert into webhook_deliveries as known (channel, tenant_id, shop_id, sender, dedupe_key, topic, channel_order_id, body,
      headers, state, reason, processed_at, first_of_order)
    select ${delivery.channel}, shop.tenant_id, shop.shop_id, ${delivery.sender}, ${delivery.dedupeKey},
      ${delivery.topic}::integer, ${delivery.channelOrderId}, ${delivery.body}::bytea,
      ${JSON.stringify(delivery.headers)}::jsonb,
      case when shop.shop_id is null then 'kept' else ${delivery.state} end,
      case when shop.shop_id is null then coalesce(${delivery.reason}, 'no shop of ours is known by that id')
        else ${delivery.reason} end,
      case when shop.shop_id is not null and ${delivery.state} = 'processed' then clock_timestamp() end,
      not exists (
        select from webhook_deliveries as earlier
        where earlier.shop_id = shop.shop_id and earlier.channel_order_id = ${delivery.channelOrderId}
      )
    from (select) as request
    left join find_shop(${delivery.channel}, ${delivery.channelShopId}, ${delivery.sellerOpenId}) as shop on true
    on conflict (channel, sender, dedupe_key) do update
    set duplicates = known.duplicates + 1,
        state = case known.state when 'parked' then 'waiting' else known.state end,
        attempts = case known.state when 'parked' then 0 else known.attempts end,
        next_attempt_at = case known.state when 'parked' then now() else known.next_attempt_at end,
        reason = case known.state when 'parked' then null else known.reason end
    returning state, duplicates${
      delivery.stockNewsOf === null
        ? sql``
        : sql`, known.duplicates = 0 and note_stock_news(${delivery.channel}, ${delivery.channelShopId},
            ${delivery.sellerOpenId}, ${delivery.stockNewsOf})`
    }
  `.execute(db);
  const [row] = rows;
  if (row === undefined) throw new Error("The database stored a delivery and returned nothing.");
  return { state: row.state, isNew: row.duplicates === 0 };
}

/** Adds refused requests to their minutes. Needs the role `cf_ingest`. */
export async function addRejections(
  db: Database,
  channel: string,
  minutes: readonly { readonly minute: string; readonly count: number; readonly lastReason: string }[],
): Promise<void> {
  if (minutes.length === 0) return;
  await db
    .insertInto("webhook_rejections")
    .values(
      minutes.map(({ minute, count, lastReason }) => ({ channel, minute, count, last_reason: lastReason })),
    )
    .onConflict((conflict) =>
      conflict.columns(["channel", "minute"]).doUpdateSet({
        count: sql`webhook_rejections.count + excluded.count`,
        last_reason: sql`excluded.last_reason`,
      }),
    )
    .execute();
}

export interface ClaimedDelivery {
  readonly id: string;
  readonly tenantId: TenantId;
  readonly shopId: ShopId;
  /** Null when a poll brought it. */
  readonly topic: number | null;
  readonly channelOrderId: string;
  /** Counted tries so far. */
  readonly attempts: number;
  /** Fetches in a row that the channel answered with an error of its own; the most of all that waits for the order. */
  readonly failedFetches: number;
  /** ISO time by the database's clock, after the delivery had come in. */
  readonly claimedAt: string;
}

/** By how much an order that is not known yet goes before news of one that is: its units are not reserved. */
const firstGoesAheadSeconds = 60;
/** How long news of known orders wait for the new ones in a rush after each try; the same, so that neither way of waiting is the longer. */
const rushWaitSeconds = firstGoesAheadSeconds;
/** How far a claim looks: at so many shops, those that have waited longest, and at so many deliveries of each. */
const front = { shops: 50, deliveriesOfShop: 200 } as const;

/**
 * Takes the deliveries of orders that are due, the longest waiting order first, for at most `leaseSeconds`: who dies
 * holding one loses it to the next. All that an order's deliveries say is answered by one fetch, so they come together;
 * an order of which nothing came before has waited a minute longer, so that in a rush units are reserved first and news
 * of known orders wait, but not for ever. A shop has no more than its share, however long its queue is. Needs the role
 * `cf_dispatcher`.
 *
 * Only the front of each queue is looked at, by jumps through the index: what a claim costs does not grow with the
 * backlog. Half of a front is kept for orders' first deliveries. The deliveries of one order are found without naming
 * their state, since in a rush the planner still believes that next to none wait, and would read all that do.
 *
 * @param withoutShops shops whose deliveries stay where they are.
 * @param rushingShops shops whose news of known orders wait, up to a minute since they were last put off.
 */
export async function claimDeliveries(
  db: Database,
  ordersMaximum: { readonly inAll: number; readonly ofOneShop: number },
  leaseSeconds: number,
  withoutShops: readonly ShopId[] = [],
  rushingShops: readonly ShopId[] = [],
): Promise<readonly ClaimedDelivery[]> {
  const { rows } = await sql<{
    id: string;
    tenant_id: string;
    shop_id: string;
    topic: number | null;
    channel_order_id: string;
    attempts: number;
    failed_fetches: number;
    claimed_at: string;
  }>`
    with recursive shop as (
      (select shop_id from webhook_deliveries where state = 'waiting' and shop_id is not null order by shop_id limit 1)
      union all
      select (select shop_id from webhook_deliveries where state = 'waiting' and shop_id > shop.shop_id order by shop_id limit 1)
      from shop where shop_id is not null
    ), kind (first_of_order, goes_ahead) as (
      values (true, make_interval(secs => ${sql.lit(firstGoesAheadSeconds)})), (false, interval '0')
    ), queue as (
      select shop_id, first_of_order, goes_ahead, now() - make_interval(secs => case
        when not first_of_order and shop_id = any (${rushingShops}::uuid[]) then ${sql.lit(rushWaitSeconds)} else 0
      end) as before
      from shop cross join kind
      where shop_id <> all (${withoutShops}::uuid[])
    ), longest_waiting as (
      select shop_id
      from queue cross join lateral (
        select next_attempt_at - goes_ahead as since from webhook_deliveries
        where shop_id = queue.shop_id and first_of_order = queue.first_of_order and next_attempt_at <= before and ${isDue}
        order by next_attempt_at limit 1
      ) as longest
      group by shop_id order by min(since) limit ${sql.lit(front.shops)}
    ), front as (
      select shop_id, each.*
      from longest_waiting join queue using (shop_id) cross join lateral (
        select channel_order_id, next_attempt_at - goes_ahead as since from webhook_deliveries
        where shop_id = queue.shop_id and first_of_order = queue.first_of_order and next_attempt_at <= before and ${isDue}
        order by next_attempt_at limit ${sql.lit(front.deliveriesOfShop / 2)}
      ) as each
    ), due as (
      select shop_id, channel_order_id
      from (
        select shop_id, channel_order_id, min(since) as since,
          row_number() over (partition by shop_id order by min(since)) as place
        from front group by shop_id, channel_order_id
      ) as placed
      where place <= ${ordersMaximum.ofOneShop}
      order by since
      limit ${ordersMaximum.inAll}
    ), locked as materialized (
      select each.id, each.state, each.channel_order_id, each.next_attempt_at, each.leased_until, of_order.failed_fetches
      from due cross join lateral (
        select array_agg(id) filter (where ${isDue}) as due_ids,
          max(failed_fetches) filter (where state = 'waiting') as failed_fetches
        from webhook_deliveries
        where shop_id = due.shop_id and channel_order_id = due.channel_order_id
      ) as of_order
      join webhook_deliveries as each on each.id = any (of_order.due_ids)
      for update of each skip locked
    ), taken as (
      -- Another claim may have had one between our look and our lock.
      select id, failed_fetches from locked where ${isDue}
    )
    update webhook_deliveries as delivery
    set leased_until = clock_timestamp() + make_interval(secs => ${leaseSeconds})
    -- Named as a list as well, which is looked up in the key's index however many the planner expects.
    from taken where delivery.id = taken.id and delivery.id = any (array(select id from taken))
    returning delivery.id, tenant_id, shop_id, topic, channel_order_id, attempts, taken.failed_fetches,
      clock_timestamp() as claimed_at
  `.execute(db);
  return rows.map((row) => ({
    id: row.id,
    tenantId: asId<"Tenant">(row.tenant_id),
    shopId: asId<"Shop">(row.shop_id),
    topic: row.topic,
    channelOrderId: row.channel_order_id,
    attempts: row.attempts,
    failedFetches: row.failed_fetches,
    claimedAt: row.claimed_at,
  }));
}

const isDue = sql`state = 'waiting' and channel_order_id is not null and next_attempt_at <= now()
  and (leased_until is null or leased_until < now())`;

/** Marks deliveries as worked off. Needs the role `cf_dispatcher`. */
export async function completeDeliveries(db: Database, ids: readonly string[]): Promise<void> {
  if (ids.length === 0) return;
  await db
    .updateTable("webhook_deliveries")
    .set({ state: "processed", reason: null, leased_until: null, processed_at: sql`clock_timestamp()` })
    .where(sql<boolean>`id = any (${ids}::uuid[])`)
    .where("state", "=", "waiting")
    .execute();
}

/**
 * Puts deliveries back because something outside of them failed; no try is counted. Needs the role `cf_dispatcher`.
 *
 * @param failedFetches how often in a row the channel has failed when it was asked for them; stays as it was unless told.
 */
export async function postponeDeliveries(
  db: Database,
  ids: readonly string[],
  at: Date,
  reason: string,
  failedFetches?: number,
): Promise<void> {
  if (ids.length === 0) return;
  await db
    .updateTable("webhook_deliveries")
    .set({
      next_attempt_at: at.toISOString(),
      leased_until: null,
      reason: reason.slice(0, 1_000),
      ...(failedFetches === undefined ? {} : { failed_fetches: failedFetches }),
    })
    .where("id", "in", ids)
    .where("state", "=", "waiting")
    .execute();
}

/** Seconds until a delivery is tried again after its first, second, ... failure; after the one beyond it is parked. */
export const retrySeconds = [1, 5, 15, 60, 300] as const;

/**
 * Counts a failed try that was the message's own fault. It is tried again later, `timeScale` times sooner than
 * `retrySeconds` says, and parked when all tries are used up. Needs the role `cf_dispatcher`.
 */
export async function failDeliveries(
  db: Database,
  ids: readonly string[],
  reason: string,
  timeScale = 1,
): Promise<void> {
  if (ids.length === 0) return;
  await sql`
    update webhook_deliveries
    set attempts = attempts + 1,
        failed_fetches = 0,
        state = case when attempts >= ${retrySeconds.length} then 'parked' else 'waiting' end,
        next_attempt_at = clock_timestamp()
          + make_interval(secs => coalesce((${[...retrySeconds]}::double precision[])[attempts + 1], 0) / ${timeScale}),
        leased_until = null,
        reason = ${reason.slice(0, 1_000)}
    where id = any (${ids}) and state = 'waiting'
  `.execute(db);
}

export type ReplayFilter = { readonly id: string } | { readonly state: "parked" | "kept" };

/**
 * Puts deliveries of the transaction's tenant back to work, their tries forgotten. One that names no order stays as it
 * is: there is nothing to work off.
 *
 * @returns how many wait now.
 */
export async function replayDeliveries(
  transaction: TenantTransaction,
  filter: ReplayFilter,
): Promise<number> {
  const result = await transaction
    .updateTable("webhook_deliveries")
    .set({
      state: "waiting",
      attempts: 0,
      failed_fetches: 0,
      next_attempt_at: sql`now()`,
      leased_until: null,
      processed_at: null,
      reason: null,
    })
    .where("shop_id", "is not", null)
    .where("channel_order_id", "is not", null)
    .where("state", "<>", "waiting")
    .$if("id" in filter, (query) => query.where("id", "=", "id" in filter ? filter.id : ""))
    .$if("state" in filter, (query) => query.where("state", "=", "state" in filter ? filter.state : ""))
    .executeTakeFirst();
  return Number(result.numUpdatedRows);
}
