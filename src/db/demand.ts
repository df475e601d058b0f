import { sql } from "kysely";
import { asId, type SkuId, type TenantId } from "../domain/ids.ts";
import {
  adaptiveBufferOf,
  type DemandChange,
  demandWindowMinutes,
  followDemand,
} from "../domain/stock/demand.ts";
import { markOfferPending } from "./sync-status.ts";
import { openAlerts, resolveAlerts } from "./alerts.ts";
import { appendToOutbox } from "./outbox.ts";
import { currentTenant, type TenantTransaction } from "./tenant.ts";

/** Seconds that a push is reckoned to take when none was measured lately. */
const delaySecondsDefault = 1;
const delayMinutes = 15;
/** SKUs followed in one look; in a rush of more, the fastest. */
const followedMaximum = 2_000;

export interface ViralNews {
  readonly skuId: SkuId;
  readonly event: NonNullable<DemandChange["event"]>;
  readonly recentPerMinute: number;
  readonly usualPerMinute: number;
}

/**
 * Looks at what sold in the last minutes, beside the batches and not in them: which SKUs sell far faster than usual, and how
 * many units their shops must keep back for each other. A buffer that changes is pushed.
 *
 * @returns what is to be told to people; it is on record by then.
 */
export async function followSales(
  transaction: TenantTransaction,
  tenantId: TenantId,
): Promise<readonly ViralNews[]> {
  const { rows } = await sql<{
    sku_id: string;
    sold: number;
    usual_per_minute: number | null;
    viral_since: number | null;
    calm_since: number | null;
    adaptive_buffer: number;
    looked_at: number;
    now: number;
    several: boolean;
  }>`
    with lately as (
      select sku_id, sum(quantity)::integer as sold from reservations
      where tenant_id = ${currentTenant} and held_at > now() - make_interval(mins => ${demandWindowMinutes})
        and not starts_with(order_ref, 'hold/')
      group by sku_id order by 2 desc limit ${followedMaximum}
    )
    select coalesce(lately.sku_id, demand.sku_id) as sku_id, coalesce(lately.sold, 0) as sold, demand.usual_per_minute,
      (extract(epoch from demand.viral_since) * 1000)::double precision as viral_since,
      (extract(epoch from demand.calm_since) * 1000)::double precision as calm_since,
      coalesce(demand.adaptive_buffer, 0) as adaptive_buffer,
      (extract(epoch from coalesce(demand.evaluated_at, now())) * 1000)::double precision as looked_at,
      (extract(epoch from now()) * 1000)::double precision as now, sku.sold_in_several_shops as several
    from lately
    full join (select * from sku_demand
      where tenant_id = ${currentTenant} and (recent_per_minute > 0 or viral_since is not null or adaptive_buffer > 0)
    ) as demand on demand.sku_id = lately.sku_id
    join skus as sku on sku.tenant_id = ${currentTenant} and sku.id = coalesce(lately.sku_id, demand.sku_id)
  `.execute(transaction);
  if (rows.length === 0) return [];
  const delaySeconds = await measureDelay(transaction);
  const followed = rows.map((row) => {
    const before = {
      usualPerMinute: row.usual_per_minute ?? 0,
      viralSince: row.viral_since,
      calmSince: row.calm_since,
    };
    const change = followDemand(before, { sold: row.sold, now: row.now, lookedAt: row.looked_at });
    const { recentPerMinute, demand } = change;
    const isViral = demand.viralSince !== null;
    const buffer = row.several
      ? adaptiveBufferOf(row.adaptive_buffer, { recentPerMinute, delaySeconds, isViral })
      : 0;
    return {
      skuId: asId<"Sku">(row.sku_id),
      change,
      buffer,
      now: row.now,
      moved: buffer !== row.adaptive_buffer,
    };
  });
  await saveDemand(
    transaction,
    tenantId,
    followed.map(({ skuId, change, buffer }) => ({ skuId, change, buffer })),
  );
  const news = followed.flatMap(({ skuId, change: { event, recentPerMinute, demand } }): ViralNews[] =>
    event === null ? [] : [{ skuId, event, recentPerMinute, usualPerMinute: demand.usualPerMinute }],
  );
  await appendNews(transaction, tenantId, news);
  const moved = followed.filter((each) => each.moved);
  await appendToOutbox(
    transaction,
    tenantId,
    moved.map(({ skuId, now }) => ({
      kind: "push_offer" as const,
      key: `${skuId}/demand/${now}`,
      payload: { skuId },
    })),
  );
  // Last, since every batch of these SKUs waits until this transaction ends.
  await markOfferPending(
    transaction,
    moved.map(({ skuId }) => skuId),
  );
  return news;
}

/** Seconds that nineteen of twenty pushes take. */
async function measureDelay(transaction: TenantTransaction): Promise<number> {
  const { rows } = await sql<{ seconds: number | null }>`
    select percentile_cont(0.95) within group (order by extract(epoch from closed_at - caused_at)::double precision) as seconds
    from push_intents where id >= uuidv7(make_interval(mins => ${-delayMinutes})) and state = 'confirmed'
  `.execute(transaction);
  return rows[0]?.seconds ?? delaySecondsDefault;
}

async function saveDemand(
  transaction: TenantTransaction,
  tenantId: TenantId,
  followed: readonly { readonly skuId: SkuId; readonly change: DemandChange; readonly buffer: number }[],
): Promise<void> {
  const rows = followed
    .map(({ skuId, change: { demand, recentPerMinute }, buffer }) => ({
      sku_id: skuId,
      usual: demand.usualPerMinute,
      recent: recentPerMinute,
      viral_since: demand.viralSince === null ? null : new Date(demand.viralSince).toISOString(),
      calm_since: demand.calmSince === null ? null : new Date(demand.calmSince).toISOString(),
      buffer,
    }))
    .sort((one, other) => (one.sku_id < other.sku_id ? -1 : 1));
  await sql`
    insert into sku_demand (tenant_id, sku_id, usual_per_minute, recent_per_minute, viral_since, calm_since,
      adaptive_buffer, evaluated_at)
    select ${tenantId}, sku_id, usual, recent, viral_since, calm_since, buffer, now()
    from jsonb_to_recordset(${JSON.stringify(rows)}::jsonb) as given (sku_id uuid, usual double precision,
      recent double precision, viral_since timestamptz, calm_since timestamptz, buffer integer)
    on conflict (tenant_id, sku_id) do update set usual_per_minute = excluded.usual_per_minute,
      recent_per_minute = excluded.recent_per_minute, viral_since = excluded.viral_since,
      calm_since = excluded.calm_since, adaptive_buffer = excluded.adaptive_buffer, evaluated_at = excluded.evaluated_at
  `.execute(transaction);
}

async function appendNews(
  transaction: TenantTransaction,
  tenantId: TenantId,
  news: readonly ViralNews[],
): Promise<void> {
  if (news.length === 0) return;
  await openAlerts(
    transaction,
    tenantId,
    news
      .filter(({ event }) => event === "viral_began")
      .map(({ skuId, recentPerMinute, usualPerMinute }) => ({
        kind: "viral" as const,
        skuId,
        facts: {
          reason: `${Math.round(recentPerMinute)} units a minute instead of ${usualPerMinute.toFixed(1)}.`,
        },
      })),
  );
  for (const { skuId, event } of news) {
    if (event === "viral_ended") await resolveAlerts(transaction, tenantId, ["viral"], skuId);
  }
  await transaction
    .insertInto("inventory_audit_log")
    .values(
      news.map(({ skuId, event, recentPerMinute, usualPerMinute }) => ({
        tenant_id: tenantId,
        event_type: event,
        sku_id: skuId,
        new_values: JSON.stringify({ recentPerMinute, usualPerMinute }),
      })),
    )
    .execute();
}
