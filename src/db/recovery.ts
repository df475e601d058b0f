import { randomUUID } from "node:crypto";
import { type RawBuilder, sql } from "kysely";
import { type WorkflowSubject, workflowSubjects } from "../domain/ids.ts";
import { channelStatuses } from "../domain/order/channel-order.ts";
import { resolvedStages } from "../domain/order/order.ts";
import { isFinal } from "../domain/order/transitions.ts";
import type { Database } from "./connection.ts";
import type { OutboxKind } from "./outbox.ts";
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
 * of its own, every open approval, every unfinished bulk operation and every alert that nobody has answered gets its workflow
 * again. The outbox's dispatcher tells them at its own pace; this only writes rows, in five statements a tenant.
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
      const key = keyOf(recoveryId);
      await queueWorkflows(transaction, "approval", waitingApprovals, { key });
      await queueWorkflows(transaction, "bulk", waitingBulks, { key });
      await queueWorkflows(transaction, "alert", unansweredAlerts, { key });
      return {
        orders: await queueWorkflows(transaction, "order", openOrders, { key }),
        skus: await queueWorkflows(transaction, "sku", busySkus, { key }),
      };
    });
    orders += queued.orders;
    skus += queued.skus;
  }
  return { recoveryId, orders, skus };
}

/** What has a workflow of its own, where its rows are, and the message that gives it one. */
const carried = {
  order: { kind: "wake_order", named: "orderRef", table: "orders", id: sql<string>`order_ref` },
  sku: {
    kind: "push_offer",
    named: "skuId",
    table: "skus",
    id: sql<string>`id::text`,
    also: { byEntity: true },
  },
  approval: { kind: "start_approval", named: "approvalId", table: "approvals", id: sql<string>`id::text` },
  bulk: { kind: "start_bulk", named: "bulkId", table: "bulk_operations", id: sql<string>`id::text` },
  alert: { kind: "deliver_alert", named: "alertId", table: "alerts", id: sql<string>`id::text` },
} as const satisfies Record<WorkflowSubject["of"], Carried>;

interface Carried {
  readonly kind: OutboxKind;
  /** What the payload calls the id. */
  readonly named: string;
  readonly table: string;
  readonly id: RawBuilder<string>;
  /** What else is in the payload. */
  readonly also?: object;
}

/** @returns how many. */
async function queueWorkflows(
  transaction: TenantTransaction,
  of: WorkflowSubject["of"],
  condition: RawBuilder<boolean>,
  { key, seconds = 0 }: { readonly key: string; readonly seconds?: number },
): Promise<number> {
  const { kind, named, table, id, also = {} }: Carried = carried[of];
  const { rows } = await sql`
    insert into outbox (tenant_id, kind, key, payload, next_attempt_at)
    select tenant_id, ${kind}, ${key} || ${id}, jsonb_build_object(${named}::text, ${id}) || ${JSON.stringify(also)}::jsonb,
      now() + make_interval(secs => ${sql.lit(seconds)})
    from ${sql.table(table)} where ${condition}
    returning id`.execute(transaction);
  return rows.length;
}

/** All but those that are over (`isOver`) and whose every news was taken in. */
const openOrders = sql<boolean>`
  not channel_status = any (${channelStatuses.filter(isFinal)}::text[]) or handled_version < snapshot_version
  or exists (select from order_lines where order_lines.tenant_id = orders.tenant_id and order_id = orders.id
    and not stage = any (${resolvedStages}::text[]))`;

/**
 * A queue may have been left with units free for it; a push may have been under way, refused, or still to come: its message
 * is done once the entity was told, or when a push has worked. One written after (or during) the last settled push counts as not pushed.
 */
const busySkus = sql<boolean>`sync_status in ('pending', 'failed')
  or id in (
    select sku.id from skus as sku join (
      select payload ->> 'skuId' as sku_id, max(created_at) as at from outbox
      where kind = 'push_offer' and done_at is not null group by 1
    ) as told on told.sku_id = sku.id::text
    where told.at > coalesce(sku.last_synced_at, '-infinity') - make_interval(secs => ${sql.lit(pushSecondsMaximum)}))
  or exists (select from shortages where shortages.tenant_id = skus.tenant_id and sku_id = skus.id and state = 'waiting')
  or exists (select from push_intents where push_intents.tenant_id = skus.tenant_id and sku_id = skus.id and state = 'open')`;

const waitingApprovals = sql<boolean>`settled_at is null`;
const waitingBulks = sql<boolean>`state = 'waiting'`;
/** People are still told of these, or will be again. */
const unansweredAlerts = sql<boolean>`state in ('open', 'snoozed')
  or id in (select alert_id from alert_deliveries where state in ('due', 'sending'))`;

/**
 * Queues that what has lost its run by force gets a new one. Whose it is, the tenant wall finds.
 *
 * @param seconds from now until it is told: before the end the message would reach the run that is to end.
 */
export async function queueSuccessors(
  db: Database,
  subjects: readonly WorkflowSubject[],
  seconds: number,
): Promise<void> {
  // Each time messages of their own: one that was told before the end was told to nobody.
  const key = `stuck/${new Date().toISOString()}/`;
  for (const tenantId of await listTenants(db)) {
    await withTenant(db, tenantId, async (transaction) => {
      for (const of of workflowSubjects) {
        const ids = subjects.filter((subject) => subject.of === of).map(({ id }) => id);
        if (ids.length === 0) continue;
        await queueWorkflows(transaction, of, sql`${carried[of].id} = any (${ids}::text[])`, {
          key,
          seconds,
        });
      }
    });
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
