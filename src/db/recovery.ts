import { randomUUID } from "node:crypto";
import { sql } from "kysely";
import { channelStatuses } from "../domain/order/channel-order.ts";
import type { SkuId } from "../domain/ids.ts";
import { resolvedStages } from "../domain/order/order.ts";
import { isFinal } from "../domain/order/transitions.ts";
import type { Database } from "./connection.ts";
import { listTenants } from "./shops.ts";
import { type TenantTransaction, withTenant } from "./tenant.ts";

/** Work that a recovery has queued for the dispatcher. */
export interface QueuedRecovery {
  readonly recoveryId: string;
  /** Orders that are not over. */
  readonly orders: number;
  /** SKUs whose entity has something to do of its own: a queue to serve, an offer to push. */
  readonly skus: number;
}

/** How long before the end of a push it may have read our numbers: a push is given up after a minute. */
const pushSecondsMaximum = 120;

/**
 * After Temporal's database was lost: queues, from Postgres alone, that every order that is not over, every SKU with work
 * of its own, every open approval and every unfinished bulk operation gets its workflow again. The outbox's dispatcher tells
 * them at its own pace; this only writes rows, in three statements a tenant.
 *
 * What workflows carry follows from these rows: an order asks itself what it wants done (reserve, ship, cancel) from its
 * stored state, and each of those has an id under which it happened or not; a SKU's entity looks at its queue when it is
 * started. Doing it again tells the same once more, which changes nothing.
 *
 * It acts across tenants, and needs no rights of its own for that: entering one tenant after the other is what the
 * dispatcher's role is for, and the tenant wall stays up.
 *
 * @param db in the role `cf_dispatcher`.
 */
export async function queueRecovery(db: Database): Promise<QueuedRecovery> {
  const recoveryId = randomUUID();
  let [orders, skus] = [0, 0];
  for (const tenantId of await listTenants(db)) {
    const queued = await withTenant(db, tenantId, async (transaction) => {
      await queueAsked(transaction, recoveryId);
      return {
        orders: await queueOrders(transaction, recoveryId),
        skus: await queueSkus(transaction, recoveryId),
      };
    });
    orders += queued.orders;
    skus += queued.skus;
  }
  return { recoveryId, orders, skus };
}

/** All but those that are over (`isOver`) and whose every news was taken in. */
async function queueOrders(transaction: TenantTransaction, recoveryId: string): Promise<number> {
  const { rows } = await sql`
    insert into outbox (tenant_id, kind, key, payload)
    select tenant_id, 'wake_order', ${keyOf(recoveryId)} || order_ref, jsonb_build_object('orderRef', order_ref)
    from orders
    where not channel_status = any (${channelStatuses.filter(isFinal)}::text[]) or handled_version < snapshot_version
      or exists (select from order_lines where order_lines.tenant_id = orders.tenant_id and order_id = orders.id
        and not stage = any (${resolvedStages}::text[]))
    returning id`.execute(transaction);
  return rows.length;
}

/**
 * A queue may have been left with units free for it; a push may have been under way, refused, or still to come: its message
 * is done once the entity was told, so one written after (or during) the last settled push counts as not pushed.
 */
async function queueSkus(transaction: TenantTransaction, recoveryId: string): Promise<number> {
  const { rows } = await sql`
    with told as (
      select payload ->> 'skuId' as sku_id, max(created_at) as at from outbox
      where kind = 'push_offer' and done_at is not null group by 1
    )
    insert into outbox (tenant_id, kind, key, payload)
    select sku.tenant_id, 'push_offer', ${keyOf(recoveryId)} || sku.id, jsonb_build_object('skuId', sku.id)
    from skus as sku
    left join told on told.sku_id = sku.id::text
    where sku.sync_status in ('pending', 'failed')
      or told.at > coalesce(sku.last_synced_at, '-infinity') - make_interval(secs => ${pushSecondsMaximum})
      or exists (select from shortages where shortages.tenant_id = sku.tenant_id and sku_id = sku.id and state = 'waiting')
      or exists (select from push_intents where push_intents.tenant_id = sku.tenant_id and sku_id = sku.id and state = 'open')
    returning id`.execute(transaction);
  return rows.length;
}

/** Approvals that are not settled and bulk operations with rows to do: few, and told with the rest. */
async function queueAsked(transaction: TenantTransaction, recoveryId: string): Promise<void> {
  await sql`
    insert into outbox (tenant_id, kind, key, payload)
    select tenant_id, 'start_approval', ${keyOf(recoveryId)} || id, jsonb_build_object('approvalId', id)
    from approvals where settled_at is null
    union all
    select tenant_id, 'start_bulk', ${keyOf(recoveryId)} || id, jsonb_build_object('bulkId', id)
    from bulk_operations where state = 'waiting'`.execute(transaction);
}

/**
 * Queues that SKUs and orders whose runs are ended by force get new ones. Whose they are, the tenant wall finds.
 *
 * @param ended.seconds from now until they are told: before the end the message would reach the run that is to end.
 */
export async function queueSuccessors(
  db: Database,
  {
    skuIds,
    orderRefs,
    seconds,
  }: {
    readonly skuIds: readonly SkuId[];
    readonly orderRefs: readonly string[];
    readonly seconds: number;
  },
): Promise<void> {
  // Each time messages of their own: one that was told before the end was told to nobody.
  const key = `stuck/${new Date().toISOString()}/`;
  const due = sql`now() + make_interval(secs => ${sql.lit(seconds)})`;
  for (const tenantId of await listTenants(db)) {
    await withTenant(db, tenantId, (transaction) =>
      sql`
        insert into outbox (tenant_id, kind, key, payload, next_attempt_at)
        select tenant_id, 'push_offer', ${key} || id, jsonb_build_object('skuId', id), ${due}
          from skus where id = any (${[...skuIds]}::uuid[])
        union all
        select tenant_id, 'wake_order', ${key} || order_ref, jsonb_build_object('orderRef', order_ref), ${due}
          from orders where order_ref = any (${[...orderRefs]}::text[])
      `.execute(transaction),
    );
  }
}

/** How many of a recovery's messages still wait to be told. */
export async function countUntold(db: Database, recoveryId: string): Promise<number> {
  const { waiting } = await db
    .selectFrom("outbox")
    .where("done_at", "is", null)
    .where("key", "like", `${keyOf(recoveryId)}%`)
    .select((of) => of.fn.countAll<number>().as("waiting"))
    .executeTakeFirstOrThrow();
  return waiting;
}

function keyOf(recoveryId: string): string {
  return `recovery/${recoveryId}/`;
}
