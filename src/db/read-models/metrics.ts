import { sql } from "kysely";
import type { Database } from "../connection.ts";

/** How far back figures about what happened lately look. */
export const lateMinutes = 15;

interface Waiting {
  readonly depth: number;
  /** Seconds since the oldest came, or was due. */
  readonly age: number;
}

/** The state of the whole installation, over all sellers. Ages and delays are seconds; nothing names a seller, order or SKU. */
export interface SystemFacts {
  readonly outbox: readonly (Waiting & { readonly kind: string })[];
  readonly deliveries: readonly (Waiting & { readonly state: "waiting" | "parked" })[];
  /** Orders with stored news that their workflow has not taken in. */
  readonly unhandled: Waiting;
  readonly shortages: Waiting & { readonly units: number };
  readonly openPushes: Waiting;
  readonly pushes: {
    readonly confirmed: number;
    readonly refused: number;
    readonly delayMedian: number | null;
    readonly delayP95: number | null;
    readonly delayP99: number | null;
  };
  readonly webhooks: { readonly processed: number; readonly processingAverage: number | null };
  readonly rejectedWebhooks: number;
  readonly orders: readonly { readonly state: string; readonly hold: string; readonly count: number }[];
  readonly pastShipBy: number;
  readonly recovered: number;
  /** Seconds since the shop that was polled longest ago was polled; null when none ever was. */
  readonly pollAge: number | null;
  readonly budgets: readonly {
    readonly shop: string;
    readonly ratePerMinute: number;
    readonly tokens: number;
    readonly blocked: boolean;
  }[];
  readonly breakers: { readonly open: number; readonly closed: number };
  /** Shops whose authorisation the channel has refused to renew, or that were disconnected. */
  readonly shopsWithoutAuthorisation: number;
  /** Alerts that nobody has answered. */
  readonly alerts: readonly { readonly severity: "warning" | "critical"; readonly count: number }[];
  /** Messages about alerts that are still to be sent. */
  readonly alertMessages: Waiting;
  readonly skus: number;
  readonly syncedSkus: number;
  readonly drifts: readonly { readonly cause: string; readonly count: number }[];
  readonly viralSkus: number;
  readonly proof: {
    readonly finishedAt: number;
    readonly violations: number;
    readonly underWay: number;
  } | null;
}

/** Beyond so many shops their budgets are not told one by one. */
const shopsTold = 50;

/**
 * Reads all facts in one statement. Needs the role `cf_report`, which sees every seller's rows and writes none. Waiting rows
 * and what happened lately are found by index; orders and SKUs are counted by a scan, so ask every few seconds at most.
 */
export async function readSystemFacts(db: Database): Promise<SystemFacts> {
  const { rows } = await sql<{ facts: SystemFacts }>`
    with lately as materialized (select uuidv7(make_interval(mins => ${-lateMinutes})) as id),
    pushes as (
      select state, extract(epoch from closed_at - caused_at) as delay from push_intents
      where id >= (select id from lately) and state in ('confirmed', 'refused')
    )
    select json_build_object(
      'outbox', (select coalesce(json_agg(waiting), '[]') from (
        select kind, count(*) as depth, ${ageOf("min(created_at)")} as age
        from outbox where done_at is null group by kind) as waiting),
      'deliveries', (select json_agg(waiting) from (
        select 'waiting' as state, count(*) as depth, ${ageOf("min(next_attempt_at)")} as age
        from webhook_deliveries where state = 'waiting'
        union all
        select 'parked', count(*), ${ageOf("min(received_at)")} from webhook_deliveries where state = 'parked') as waiting),
      'unhandled', (select json_build_object('depth', count(*), 'age', ${ageOf("min(stored_at)")})
        from orders join lateral (
          select stored_at from order_snapshots as snapshot
          where snapshot.tenant_id = orders.tenant_id and snapshot.order_id = orders.id
            and snapshot.version > orders.handled_version
          order by snapshot.version limit 1) as news on true
        where handled_version < snapshot_version),
      'shortages', (select json_build_object('depth', count(*), 'units', coalesce(sum(quantity), 0), 'age', ${ageOf("min(created_at)")})
        from shortages where state = 'waiting'),
      'openPushes', (select json_build_object('depth', count(*), 'age', ${ageOf("min(created_at)")})
        from push_intents where state = 'open'),
      'pushes', (select json_build_object(
          'confirmed', count(*) filter (where state = 'confirmed'), 'refused', count(*) filter (where state = 'refused'),
          'delayMedian', percentile_cont(0.5) within group (order by delay) filter (where state = 'confirmed'),
          'delayP95', percentile_cont(0.95) within group (order by delay) filter (where state = 'confirmed'),
          'delayP99', percentile_cont(0.99) within group (order by delay) filter (where state = 'confirmed'))
        from pushes),
      'webhooks', (select json_build_object('processed', count(*),
          'processingAverage', avg(extract(epoch from processed_at - received_at)))
        from webhook_deliveries where id >= (select id from lately) and state = 'processed' and processed_at is not null),
      'rejectedWebhooks', (select coalesce(sum(count), 0) from webhook_rejections
        where minute >= now() - make_interval(mins => ${lateMinutes})),
      'orders', (select coalesce(json_agg(counted), '[]') from (
        select channel_status as state, coalesce(hold, 'none') as hold, count(*) as count
        from orders where channel_status not in ('completed', 'cancelled') group by 1, 2) as counted),
      'pastShipBy', (select count(*) from orders
        where channel_status in ('awaiting_shipment', 'partially_shipping') and ship_by < now()),
      'recovered', (select coalesce(sum(recovered_total), 0) from sync_cursors),
      'pollAge', (select extract(epoch from now() - min(last_success_at)) from sync_cursors),
      'budgets', (select coalesce(json_agg(bucket), '[]') from (
        select shop_id as shop, rate_per_minute as "ratePerMinute", coalesce(blocked_until > now(), false) as blocked,
          greatest(0, least(burst, tokens + rate_per_minute / 60 * extract(epoch from now() - refilled_at))) as tokens
        from rate_buckets order by shop_id limit ${shopsTold}) as bucket),
      'breakers', (select json_build_object('open', count(*) filter (where opened_at is not null),
          'closed', count(*) filter (where opened_at is null)) from circuit_breakers),
      'shopsWithoutAuthorisation', (select count(*) from shops left join shop_credentials as credentials
          on credentials.tenant_id = shops.tenant_id and credentials.shop_id = shops.id
        where status = 'disconnected' or refresh_refused_at is not null),
      'alerts', (select json_agg(unanswered) from (
        select severity, (select count(*) from alerts
          where state in ('open', 'snoozed') and alerts.severity = severities.severity) as count
        from unnest(array['warning', 'critical']) as severities (severity)) as unanswered),
      'alertMessages', (select json_build_object('depth', count(*), 'age', ${ageOf("min(created_at)")})
        from alert_deliveries where state in ('due', 'sending')),
      'skus', (select count(*) from skus),
      'syncedSkus', (select count(*) from skus where sync_status = 'synced'),
      'drifts', (select coalesce(json_agg(drift), '[]') from (
        select cause, count(*) as count from stock_drifts where state in ('open', 'repairing') group by cause) as drift),
      'viralSkus', (select count(*) from sku_demand where viral_since is not null),
      'proof', (select json_build_object('finishedAt', extract(epoch from finished_at), 'violations', violations, 'underWay', under_way)
        from proof_runs order by finished_at desc limit 1)
    ) as facts`.execute(db);
  const [row] = rows;
  if (row === undefined) throw new Error("The database answered a count with nothing.");
  return row.facts;
}

function ageOf(time: string) {
  return sql.raw(`greatest(0, coalesce(extract(epoch from now() - ${time}), 0))`);
}
