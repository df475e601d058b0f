import { sql } from "kysely";
import type { TenantId } from "../domain/ids.ts";
import type { Database } from "./connection.ts";
import { withTenant } from "./tenant.ts";

/**
 * One row a request that must have one effect, however often it is sent: `running` while somebody holds its lease, then
 * `answered` for as long as keys are kept. A lease that ran out belongs to a crashed request; the next one drives the
 * same effect on.
 */

export const keyLifeHours = 72;

export interface IdempotentRequest {
  readonly key: string;
  readonly route: string;
  /** SHA-256 of who asks and what for. */
  readonly requestHash: Buffer;
}

export interface StoredAnswer {
  readonly status: number;
  readonly body: unknown;
}

export type KeyClaim =
  /** Nobody else is at it: do it. */
  | { readonly claim: "ours" }
  /** Another request with this key is under way. */
  | { readonly claim: "running" }
  /** The key was used for something else. */
  | { readonly claim: "other_request" }
  | ({ readonly claim: "answered" } & StoredAnswer);

/** Takes the key for at most `leaseSeconds`, or says why not. */
export async function claimIdempotencyKey(
  db: Database,
  tenantId: TenantId,
  request: IdempotentRequest,
  leaseSeconds: number,
): Promise<KeyClaim> {
  return await withTenant(db, tenantId, async (transaction): Promise<KeyClaim> => {
    await transaction
      .deleteFrom("idempotency_keys")
      .where("key", "=", request.key)
      .where("expires_at", "<", sql<string>`now()`)
      .execute();
    const { rows } = await sql`
      insert into idempotency_keys as known (tenant_id, key, route, request_hash, leased_until, expires_at)
      values (${tenantId}, ${request.key}, ${request.route}, ${request.requestHash},
        clock_timestamp() + make_interval(secs => ${leaseSeconds}),
        clock_timestamp() + make_interval(hours => ${keyLifeHours}))
      on conflict (tenant_id, key) do update set leased_until = excluded.leased_until
      where known.state = 'running' and known.leased_until < clock_timestamp()
        and known.request_hash = excluded.request_hash
      returning key
    `.execute(transaction);
    if (rows.length > 0) return { claim: "ours" };
    const row = await transaction
      .selectFrom("idempotency_keys")
      .where("key", "=", request.key)
      .select(["request_hash", "state", "status", "body"])
      .executeTakeFirstOrThrow();
    if (!row.request_hash.equals(request.requestHash)) return { claim: "other_request" };
    if (row.status === null) return { claim: "running" };
    return { claim: "answered", status: row.status, body: row.body };
  });
}

/** Stores the answer that the key gives from now on. */
export async function answerIdempotencyKey(
  db: Database,
  tenantId: TenantId,
  key: string,
  answer: StoredAnswer,
): Promise<void> {
  await withTenant(db, tenantId, (transaction) =>
    transaction
      .updateTable("idempotency_keys")
      .set({ state: "answered", status: answer.status, body: JSON.stringify(answer.body) })
      .where("key", "=", key)
      .where("state", "=", "running")
      .execute(),
  );
}

/** Gives the key back unanswered, so that the request can be sent again at once. */
export async function releaseIdempotencyKey(db: Database, tenantId: TenantId, key: string): Promise<void> {
  await withTenant(db, tenantId, (transaction) =>
    transaction
      .updateTable("idempotency_keys")
      .set({ leased_until: sql`clock_timestamp() - interval '1 millisecond'` })
      .where("key", "=", key)
      .where("state", "=", "running")
      .execute(),
  );
}
