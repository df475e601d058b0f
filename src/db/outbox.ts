import { sql } from "kysely";
import { asId, type ShopId, type TenantId } from "../domain/ids.ts";
import type { OfferChange } from "../domain/stock/offer-change.ts";
import type { Database } from "./connection.ts";
import { currentTenant, type TenantTransaction } from "./tenant.ts";

/** What a transaction must cause elsewhere. One variant a kind; the payload holds ids, never anything personal. */
export type OutboxMessage =
  | { readonly kind: "wake_order"; readonly payload: { readonly orderRef: string } }
  | {
      readonly kind: "push_offer";
      readonly payload: {
        readonly skuId: string;
        /** The SKU's entity is to do it, which may have been lost, and has more to look after than its offer. */
        readonly byEntity?: true;
        /** See `OfferChange`; absent: every listing is concerned. */
        readonly soldBy?: ShopId;
      };
    }
  | { readonly kind: "start_approval"; readonly payload: { readonly approvalId: string } }
  | { readonly kind: "start_bulk"; readonly payload: { readonly bulkId: string } }
  | {
      readonly kind: "begin_hold";
      readonly payload: { readonly skuId: string; readonly holdId: string; readonly expiresAt: string };
    }
  | {
      readonly kind: "fetch_tracking";
      readonly payload: { readonly orderId: string; readonly orderRef: string };
    }
  | {
      readonly kind: "fetch_document";
      readonly payload: { readonly orderId: string; readonly orderRef: string; readonly packageId: string };
    }
  /** An alert opened, or somebody has said something of it. */
  | { readonly kind: "deliver_alert"; readonly payload: { readonly alertId: string } }
  /** A SKU's threshold has changed. */
  | { readonly kind: "check_alerts"; readonly payload: { readonly skuId: string } }
  /** The channel has told that somebody else has changed numbers of a shop's listings: one message for five seconds of news. */
  | { readonly kind: "look_at_news"; readonly payload: { readonly shopId: string; readonly window: number } }
  /** A proof has found numbers of a SKU that its ledger does not explain. */
  | { readonly kind: "check_stock"; readonly payload: { readonly skuId: string } };

export type OutboxKind = OutboxMessage["kind"];

export type ClaimedMessage = OutboxMessage & {
  readonly id: string;
  readonly key: string;
  readonly tenantId: TenantId;
  readonly attempts: number;
  /** ISO time of the transaction that has caused it. */
  readonly createdAt: string;
};

export type MessageToAppend = OutboxMessage & {
  /** Of all messages of one kind with the same key one is carried out. */
  readonly key: string;
  /** ISO time; at once unless told. */
  readonly notBefore?: string;
};

/** Adds messages to the transaction that causes them. A key that is there already is the same message: once is enough. */
export async function appendToOutbox(
  transaction: TenantTransaction,
  tenantId: TenantId,
  messages: readonly MessageToAppend[],
): Promise<void> {
  if (messages.length === 0) return;
  await transaction
    .insertInto("outbox")
    .values(
      messages.map(({ kind, key, payload, notBefore }) => ({
        tenant_id: tenantId,
        kind,
        key,
        payload: JSON.stringify(payload),
        ...(notBefore === undefined ? {} : { next_attempt_at: notBefore }),
      })),
    )
    .onConflict((conflict) => conflict.columns(["tenant_id", "kind", "key"]).doNothing())
    .execute();
}

/**
 * Takes messages that are due, the longest waiting first, for at most `leaseSeconds`: who dies holding one loses it to the
 * next. Needs the dispatcher's role, which sees every tenant's.
 *
 * Looks at the front of each kind's and shop's queue, by jumps through the index, so that neither a paused shop's messages
 * nor those of another kind are walked through on the way to what is due.
 *
 * @param pausedShops shops whose orders' messages stay where they are.
 */
export async function claimOutbox(
  db: Database,
  kinds: readonly OutboxKind[],
  limit: number,
  leaseSeconds: number,
  pausedShops: readonly ShopId[] = [],
): Promise<readonly ClaimedMessage[]> {
  const { rows } = await sql<
    { id: string; key: string; tenant_id: string; attempts: number; created_at: string } & OutboxMessage
  >`
    with recursive queue as (
      select kind, (
        select for_shop from outbox where done_at is null and kind = wanted.kind order by for_shop limit 1
      ) as for_shop
      from unnest(${kinds}::text[]) as wanted (kind)
      union all
      select kind, (
        select for_shop from outbox
        where done_at is null and kind = queue.kind and for_shop > queue.for_shop order by for_shop limit 1
      )
      from queue where for_shop is not null
    ), longest_waiting as (
      select queue.kind, queue.for_shop
      from queue cross join lateral (
        select next_attempt_at from outbox
        where kind = queue.kind and for_shop = queue.for_shop and ${isDue} order by next_attempt_at, id limit 1
      ) as longest
      where queue.for_shop <> all (${pausedShops}::text[])
      order by next_attempt_at
      limit ${sql.lit(limit)}
    ), due as (
      select each.id
      from longest_waiting cross join lateral (
        select id, next_attempt_at from outbox
        where kind = longest_waiting.kind and for_shop = longest_waiting.for_shop and ${isDue}
        order by next_attempt_at, id limit ${sql.lit(limit)}
      ) as each
      order by each.next_attempt_at, each.id
      limit ${sql.lit(limit)}
    ), locked as materialized (
      select each.id, each.done_at, each.next_attempt_at, each.leased_until
      from due join outbox as each on each.id = due.id
      for update of each skip locked
    ), taken as (
      -- Another claim may have had one between our look and our lock.
      select id from locked where ${isDue}
    )
    update outbox as message
    set leased_until = now() + make_interval(secs => ${leaseSeconds}), attempts = attempts + 1
    from taken where message.id = taken.id
    returning message.id, tenant_id, kind, key, payload, attempts, created_at
  `.execute(db);
  return rows.map(({ tenant_id, created_at, ...row }) => ({
    ...row,
    tenantId: asId<"Tenant">(tenant_id),
    createdAt: created_at,
  }));
}

/** When messages that ask for pushes were written, by their keys, and the database's time now; ISO times. */
export async function findPushCauses(
  transaction: TenantTransaction,
  keys: readonly string[],
): Promise<{ readonly times: ReadonlyMap<string, string>; readonly now: string }> {
  const { now, times } = await transaction
    .selectNoFrom([
      sql<string>`now()`.as("now"),
      sql<Record<string, string>>`coalesce((
        select jsonb_object_agg(key, created_at) from outbox
        where tenant_id = ${currentTenant} and kind = 'push_offer' and key = any (${keys}::text[])), '{}')`.as(
        "times",
      ),
    ])
    .executeTakeFirstOrThrow();
  return { times: new Map(Object.entries(times)), now };
}

/**
 * Milliseconds until a push that was begun is begun once more, since its process may have been lost: more than it takes when all is
 * well. In the process where it is under way it is let be.
 */
export const pushMilliseconds = 10_000;

/** A message that asks for the push of a SKU's offer, by its key, and what it is to make good. */
export interface PushAsked extends OfferChange {
  readonly key: string;
}

/** A push that has worked, or that was left to the SKU's entity, and the messages that asked for it. */
export interface PushMade {
  readonly causes: readonly string[];
  /** ISO time by the database's clock, before the push has read anything; null when the entity was told just now. */
  readonly begunAt: string | null;
}

/**
 * Marks messages that ask for pushes as worked off by whoever has pushed; as of when the push began, so that what is synced later
 * is known to be synced with them.
 */
export async function completePushes(
  transaction: TenantTransaction,
  pushes: readonly PushMade[],
): Promise<void> {
  const rows = pushes.flatMap(({ causes, begunAt }) => causes.map((key) => ({ key, begun_at: begunAt })));
  await sql`select complete_pushes(${JSON.stringify(rows)}::jsonb)`.execute(transaction);
}

const isDue = sql`done_at is null and next_attempt_at <= now() and (leased_until is null or leased_until < now())`;

/** Marks messages as worked off, or as given up with the reason. */
export async function completeOutbox(
  db: Database,
  ids: readonly string[],
  givenUp: string | null = null,
): Promise<void> {
  if (ids.length === 0) return;
  await db
    .updateTable("outbox")
    .set({ done_at: sql`clock_timestamp()`, leased_until: null, last_error: givenUp })
    .where("id", "in", ids)
    .execute();
}

/** Gives messages back, to be tried again at a time, with the reason for whoever looks. */
export async function postponeOutbox(
  db: Database,
  ids: readonly string[],
  at: Date,
  reason: string,
): Promise<void> {
  if (ids.length === 0) return;
  await db
    .updateTable("outbox")
    .set({ next_attempt_at: at.toISOString(), leased_until: null, last_error: reason.slice(0, 1_000) })
    .where("id", "in", ids)
    .where("done_at", "is", null)
    .execute();
}
