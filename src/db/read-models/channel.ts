import { sql } from "kysely";
import type { SkuId } from "../../domain/ids.ts";
import type { DriftCause } from "../../domain/stock/reconcile.ts";
import type { TenantTransaction } from "../tenant.ts";

export type DriftState = "suspected" | "open" | "repairing" | "closed";

export interface DriftRow {
  readonly id: string;
  readonly sku_id: string;
  readonly sku: string;
  readonly shop_id: string;
  readonly shop_name: string;
  readonly listing_id: string;
  readonly channel_sku_id: string;
  readonly warehouse_id: string;
  readonly location_id: string | null;
  readonly cause: DriftCause;
  readonly units: number;
  readonly our_total: number;
  readonly their_available: number | null;
  readonly their_committed: number | null;
  readonly state: DriftState;
  readonly first_seen_at: string;
  readonly last_seen_at: string;
  readonly repaired_how: "push_ours" | "take_theirs" | null;
  readonly repair_reason: string | null;
  readonly closed_at: string | null;
  readonly outcome: string | null;
  /** The newest observation of the listing at the warehouse. */
  readonly observation_id: string | null;
}

const driftRows = sql`
  select drift.id, drift.sku_id, sku.code as sku, listing.shop_id, shop.name as shop_name, drift.listing_id,
    listing.channel_sku_id, drift.warehouse_id, warehouse.location_id, drift.cause, drift.units, drift.our_total,
    drift.their_available, drift.their_committed, drift.state, drift.first_seen_at, drift.last_seen_at,
    drift.repaired_how, drift.repair_reason, drift.closed_at, drift.outcome, seen.id as observation_id
  from stock_drifts as drift
  join skus as sku on sku.tenant_id = drift.tenant_id and sku.id = drift.sku_id
  join listings as listing on listing.tenant_id = drift.tenant_id and listing.id = drift.listing_id
  join shops as shop on shop.tenant_id = listing.tenant_id and shop.id = listing.shop_id
  left join shop_warehouses as warehouse on warehouse.tenant_id = listing.tenant_id
    and warehouse.shop_id = listing.shop_id and warehouse.channel_warehouse_id = drift.warehouse_id
  left join lateral (select id from channel_observations as observation
    where observation.tenant_id = drift.tenant_id and observation.listing_id = drift.listing_id
      and observation.warehouse_id = drift.warehouse_id order by observed_at desc limit 1) as seen on true`;

/** Drifts, the newest first; one more than asked for when there are older ones. */
export async function listDrifts(
  transaction: TenantTransaction,
  filter: { readonly state?: DriftState | undefined; readonly skuId?: string | undefined },
  limit: number,
  beforeId: string | null,
): Promise<readonly DriftRow[]> {
  const { rows } = await sql<DriftRow>`
    ${driftRows}
    where ${filter.state === undefined ? sql`drift.state <> 'closed'` : sql`drift.state = ${filter.state}`}
      and ${filter.skuId === undefined ? sql`true` : sql`drift.sku_id = ${filter.skuId}`}
      and ${beforeId === null ? sql`true` : sql`drift.id < ${beforeId}::uuid`}
    order by drift.id desc limit ${limit + 1}
  `.execute(transaction);
  return rows;
}

export async function findDrift(transaction: TenantTransaction, id: string): Promise<DriftRow | null> {
  const { rows } = await sql<DriftRow>`${driftRows} where drift.id = ${id}`.execute(transaction);
  return rows[0] ?? null;
}

/** What a SKU's listings were last seen to show, and what is kept back from them. */
export async function listListingStates(transaction: TenantTransaction, skuId: SkuId) {
  const { rows } = await sql<{
    listing_id: string;
    shop_id: string;
    shop_name: string;
    state: "synced" | "pending" | "failed";
    last_synced_at: string | null;
    missing_since: string | null;
    buffer: number | null;
    buffer_percent: number | null;
    cap: number;
    shown: {
      warehouse_id: string;
      available: number;
      committed: number;
      campaign: number;
      creator: number;
      observed_at: string;
    }[];
  }>`
    select listing.id as listing_id, listing.shop_id, shop.name as shop_name, listing.sync_status as state,
      listing.last_synced_at, listing.missing_since, listing.buffer, listing.buffer_percent, listing.cap,
      (select coalesce(jsonb_agg(jsonb_build_object('warehouse_id', seen.warehouse_id, 'available', seen.available,
          'committed', seen.committed, 'campaign', seen.campaign, 'creator', seen.creator,
          'observed_at', to_char(seen.observed_at at time zone 'utc', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'))), '[]')
        from unnest(listing.warehouse_ids) as warehouse cross join lateral (
          select * from channel_observations as observation
          where observation.tenant_id = listing.tenant_id and observation.listing_id = listing.id
            and observation.warehouse_id = warehouse order by observed_at desc limit 1) as seen) as shown
    from listings as listing
    join shops as shop on shop.tenant_id = listing.tenant_id and shop.id = listing.shop_id
    where listing.sku_id = ${skuId} order by listing.id
  `.execute(transaction);
  return rows;
}

/** Seconds from a cause to the right number read back, of the pushes confirmed in the last so many minutes, by shop. */
export async function measurePushDelay(transaction: TenantTransaction, minutes: number) {
  const { rows } = await sql<{
    shop_id: string;
    shop_name: string;
    pushes: number;
    p50: number;
    p95: number;
    p99: number;
    slowest: number;
  }>`
    select shop.id as shop_id, shop.name as shop_name, count(*)::integer as pushes,
      percentile_cont(0.5) within group (order by delay) as p50, percentile_cont(0.95) within group (order by delay) as p95,
      percentile_cont(0.99) within group (order by delay) as p99, max(delay) as slowest
    from (select listing_id, extract(epoch from closed_at - caused_at)::double precision as delay from push_intents
      where id >= uuidv7(make_interval(mins => ${-minutes})) and state = 'confirmed') as push
    join listings as listing on listing.id = push.listing_id
    join shops as shop on shop.tenant_id = listing.tenant_id and shop.id = listing.shop_id
    group by shop.id, shop.name order by shop.name
  `.execute(transaction);
  return rows;
}

/** How fast a SKU sells; null when nothing was ever followed. */
export async function findDemand(transaction: TenantTransaction, skuId: SkuId) {
  return (
    (await transaction
      .selectFrom("sku_demand")
      .where("sku_id", "=", skuId)
      .select(["usual_per_minute", "recent_per_minute", "viral_since", "adaptive_buffer"])
      .executeTakeFirst()) ?? null
  );
}
