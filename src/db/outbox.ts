import { sql } from "kysely";
import { asId, type ShopId, type TenantId } from "../domain/ids.ts";
import type { Database } from "./connection.ts";
import type { TenantTransaction } from "./tenant.ts";

/** What a transaction must cause elsewhere. One variant a kind; the payload holds ids, never anything personal. */
export type OutboxMessage =
  | { readonly kind: "wake_order"; readonly payload: { readonly orderRef: string } }
  | { readonly kind: "push_offer"; readonly payload: { readonly skuId: string } }
  | {
      readonly kind: "fetch_tracking";
      readonly payload: { readonly orderId: string; readonly orderRef: string };
    }
  | {
      readonly kind: "fetch_document";
      readonly payload: { readonly orderId: string; readonly orderRef: string; readonly packageId: string };
    };

export type OutboxKind = OutboxMessage["kind"];

export type ClaimedMessage = OutboxMessage & {
  readonly id: string;
  readonly tenantId: TenantId;
  readonly attempts: number;
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
 * Takes messages that are due, for at most `leaseSeconds`: who dies holding one loses it to the next. Needs the
 * dispatcher's role, which sees every tenant's.
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
  const { rows } = await sql<{ id: string; tenant_id: string; attempts: number } & OutboxMessage>`
    update outbox set leased_until = now() + make_interval(secs => ${leaseSeconds}), attempts = attempts + 1
    where id in (
      select id from outbox
      where done_at is null and kind = any (${kinds}) and next_attempt_at <= now()
        and (leased_until is null or leased_until < now())
        and coalesce(split_part(payload ->> 'orderRef', '/', 1), '') <> all (${pausedShops}::text[])
      order by next_attempt_at, id
      limit ${limit}
      for update skip locked
    )
    returning id, tenant_id, kind, payload, attempts
  `.execute(db);
  return rows.map(({ tenant_id, ...row }) => ({ ...row, tenantId: asId<"Tenant">(tenant_id) }));
}

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
    .execute();
}
