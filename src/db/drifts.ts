import { sql } from "kysely";
import { asId, type ShopId, type SkuId, type TenantId, type UserId } from "../domain/ids.ts";
import type { ChannelNumbers } from "../domain/stock/offer.ts";
import {
  type DriftCause,
  type DriftRule,
  driftSentence,
  type PastPush,
  repairsItself,
} from "../domain/stock/reconcile.ts";
import { openAlerts, resolveAlerts } from "./alerts.ts";
import { refreshSyncStatus } from "./sync-status.ts";
import { appendToOutbox } from "./outbox.ts";
import { currentTenant, type TenantTransaction } from "./tenant.ts";

/** Seconds that who is told of a change may take to write its push down. */
const toldSeconds = 10;
/** Messages of the outbox that may have been carried out in that time were written in the last so many minutes. */
const toldMinutes = 5;
/** Seconds after which a push without an answer is no longer waited for. */
const unansweredSeconds = 60;
/** Pushes of a listing that a number is compared with, to find which of them has overwritten a newer one. */
const pushesKept = 5;
/** Seconds after a repair in which the old difference is the repair on its way. */
const repairSeconds = 60;

/** What is known of a listing beside the numbers. */
export interface ListingContext {
  readonly driftRule: DriftRule;
  readonly isChanging: boolean;
  readonly needsPush: boolean;
  readonly pushes: readonly (PastPush & { readonly warehouseId: string })[];
  /** What was seen at each warehouse before the newest observation. */
  readonly before: ReadonlyMap<string, ChannelNumbers>;
}

/** What of listings is on its way, what they were told, and what they showed before; by the listing's id. */
export async function getListingContexts(
  transaction: TenantTransaction,
  listingIds: readonly string[],
): Promise<ReadonlyMap<string, ListingContext>> {
  const { rows } = await sql<{
    id: string;
    drift_rule: DriftRule;
    is_changing: boolean;
    needs_push: boolean;
    pushes: (PastPush & { readonly warehouseId: string })[];
    before: { warehouseId: string; available: number; committed: number; locked: number }[];
  }>`
    with told as materialized (
      select payload ->> 'skuId' as sku_id, payload ->> 'soldBy' as sold_by, done_at from outbox
      where tenant_id = ${currentTenant} and kind = 'push_offer' and done_at is null
      union all
      select payload ->> 'skuId', payload ->> 'soldBy', done_at from outbox
      where tenant_id = ${currentTenant} and kind = 'push_offer' and id >= uuidv7(make_interval(mins => ${-toldMinutes}))
        and done_at > clock_timestamp() - make_interval(secs => ${toldSeconds})
    ), unhandled as materialized (
      select distinct line.sku_id from orders
      join order_lines as line on line.tenant_id = orders.tenant_id and line.order_id = orders.id
      where orders.tenant_id = ${currentTenant} and orders.handled_version < orders.snapshot_version
    )
    select listing.id, sku.drift_rule, listing.sync_status <> 'synced' as needs_push,
      (exists (select from told where told.sku_id = sku.id::text and told.sold_by is distinct from listing.shop_id::text
          and (told.done_at is null or listing.last_synced_at is null or told.done_at > listing.last_synced_at))
        or exists (select from unhandled where unhandled.sku_id = sku.id)
        or exists (select from push_intents as intent
          where intent.tenant_id = listing.tenant_id and intent.listing_id = listing.id and intent.state = 'open'
            and intent.created_at > clock_timestamp() - make_interval(secs => ${unansweredSeconds}))) as is_changing,
      (select coalesce(jsonb_agg(jsonb_build_object('warehouseId', warehouse_id, 'desired', desired_available,
          'availableSeen', available_seen, 'committedSeen', committed_seen) order by created_at desc), '[]')
        from (select * from push_intents as intent
          where intent.tenant_id = listing.tenant_id and intent.listing_id = listing.id and intent.state <> 'refused'
          order by intent.created_at desc limit ${pushesKept}) as intent) as pushes,
      (select coalesce(jsonb_agg(jsonb_build_object('warehouseId', warehouse, 'available', earlier.available,
          'committed', earlier.committed, 'locked', earlier.campaign + earlier.creator)), '[]')
        from unnest(listing.warehouse_ids) as warehouse cross join lateral (
          select * from channel_observations as seen
          where seen.tenant_id = listing.tenant_id and seen.listing_id = listing.id and seen.warehouse_id = warehouse
          order by seen.observed_at desc offset 1 limit 1) as earlier) as before
    from listings as listing join skus as sku on sku.tenant_id = listing.tenant_id and sku.id = listing.sku_id
    where listing.tenant_id = ${currentTenant} and listing.id = any (${[...listingIds]}::uuid[])
  `.execute(transaction);
  return new Map(
    rows.map((row) => [
      row.id,
      {
        driftRule: row.drift_rule,
        isChanging: row.is_changing,
        needsPush: row.needs_push,
        pushes: row.pushes,
        before: new Map(row.before.map(({ warehouseId, ...numbers }) => [warehouseId, numbers])),
      },
    ]),
  );
}

/** A difference as it was found. */
export interface FoundDrift {
  readonly listingId: string;
  readonly skuId: SkuId;
  readonly warehouseId: string;
  readonly cause: DriftCause;
  readonly units: number;
  readonly ourTotal: number;
  readonly theirs: { readonly available: number; readonly committed: number } | null;
  readonly isCertain: boolean;
  readonly rule: DriftRule;
}

/**
 * Records differences, each once however often it is seen. A suspected one is open as soon as it is still there after the
 * shop's orders were polled: until then the news of a hand-over may explain it. What repairs itself is on its way at once.
 *
 * @returns how many are open, old ones among them.
 */
export async function recordDrifts(
  transaction: TenantTransaction,
  tenantId: TenantId,
  shopId: ShopId,
  found: readonly FoundDrift[],
): Promise<number> {
  if (found.length === 0) return 0;
  const rows = found.map((drift) => ({
    listing_id: drift.listingId,
    sku_id: drift.skuId,
    warehouse_id: drift.warehouseId,
    cause: drift.cause,
    units: drift.units,
    our_total: drift.ourTotal,
    their_available: drift.theirs?.available ?? null,
    their_committed: drift.theirs?.committed ?? null,
    state: drift.isCertain ? "open" : "suspected",
  }));
  const recorded = await sql<{
    id: string;
    listing_id: string;
    sku_id: string;
    cause: DriftCause;
    units: number;
    state: "suspected" | "open" | "repairing";
  }>`
    insert into stock_drifts as drift (tenant_id, listing_id, sku_id, warehouse_id, cause, units, our_total,
      their_available, their_committed, state)
    select ${tenantId}, listing_id, sku_id, warehouse_id, cause, units, our_total, their_available, their_committed, state
    from jsonb_to_recordset(${JSON.stringify(rows)}::jsonb) as given (listing_id uuid, sku_id uuid, warehouse_id text,
      cause text, units integer, our_total integer, their_available integer, their_committed integer, state text)
    on conflict (tenant_id, listing_id, warehouse_id) where state <> 'closed' do update set
      units = excluded.units, our_total = excluded.our_total, their_available = excluded.their_available,
      their_committed = excluded.their_committed, last_seen_at = clock_timestamp(),
      cause = case when drift.state = 'suspected' then excluded.cause else drift.cause end,
      state = case
        when drift.state = 'suspected' and excluded.state = 'suspected' and not exists (
          select from sync_cursors as cursor where cursor.tenant_id = drift.tenant_id and cursor.shop_id = ${shopId}
            and cursor.last_success_at > drift.first_seen_at) then 'suspected'
        when drift.state = 'repairing' and drift.last_seen_at > clock_timestamp() - make_interval(secs => ${repairSeconds})
          then 'repairing'
        else 'open' end
    returning id, listing_id, sku_id, cause, units, state
  `.execute(transaction);
  const rules = new Map(found.map(({ listingId, rule }) => [listingId, rule]));
  const ofItself = recorded.rows.filter(
    ({ listing_id: listingId, cause, state }) =>
      state === "open" && repairsItself(rules.get(listingId) ?? "ask", cause),
  );
  for (const drift of ofItself) {
    await beginRepair(transaction, tenantId, {
      id: drift.id,
      skuId: asId<"Sku">(drift.sku_id),
      how: "push_ours",
      by: null,
      reason: `by rule: ${drift.cause}`,
    });
  }
  const repairing = new Set(ofItself.map(({ id }) => id));
  await openAlerts(
    transaction,
    tenantId,
    recorded.rows
      .filter(({ id, state }) => state === "open" && !repairing.has(id))
      .map((drift) => ({
        kind: "drift" as const,
        skuId: asId<"Sku">(drift.sku_id),
        subjectId: drift.listing_id,
        facts: { reason: driftSentence(drift.cause, drift.units) },
      })),
  );
  await refreshSyncStatus(
    transaction,
    recorded.rows.map((row) => asId<"Sku">(row.sku_id)),
  );
  return recorded.rows.filter(({ state }) => state !== "suspected").length;
}

/** Closes what is recorded of listings: they show what they should. */
export async function closeDrifts(
  transaction: TenantTransaction,
  tenantId: TenantId,
  listingIds: readonly string[],
): Promise<void> {
  if (listingIds.length === 0) return;
  const { rows } = await sql<{ listing_id: string }>`
    update stock_drifts set state = 'closed', closed_at = clock_timestamp(),
      outcome = case when repaired_how is null then 'went by itself' else 'repaired' end
    where tenant_id = ${currentTenant} and listing_id = any (${[...listingIds]}::uuid[]) and state <> 'closed'
    returning listing_id
  `.execute(transaction);
  for (const listingId of new Set(rows.map((row) => row.listing_id))) {
    await resolveAlerts(transaction, tenantId, ["drift"], listingId);
  }
}

export interface RepairWish {
  readonly id: string;
  readonly skuId: SkuId;
  readonly how: "push_ours" | "take_theirs";
  readonly by: UserId | null;
  readonly reason: string;
}

/**
 * Notes that a drift is being repaired, and has the listing compared; the comparison that agrees closes it. When theirs is
 * taken, the comparison comes with the correction.
 */
export async function beginRepair(
  transaction: TenantTransaction,
  tenantId: TenantId,
  wish: RepairWish,
): Promise<void> {
  await transaction
    .updateTable("stock_drifts")
    .set({
      state: "repairing",
      repaired_how: wish.how,
      repaired_by: wish.by,
      repair_reason: wish.reason,
      last_seen_at: sql`clock_timestamp()`,
    })
    .where("id", "=", wish.id)
    .where("state", "<>", "closed")
    .execute();
  if (wish.how === "take_theirs") return;
  await appendToOutbox(transaction, tenantId, [
    {
      kind: "push_offer",
      // A drift that comes back after a repair may be repaired again.
      key: `${wish.skuId}/drift ${wish.id}/${new Date().toISOString()}`,
      payload: { skuId: wish.skuId },
    },
  ]);
}

/** The listings' shop knows them no more. */
export async function markMissing(
  transaction: TenantTransaction,
  listingIds: readonly string[],
): Promise<void> {
  if (listingIds.length === 0) return;
  await sql`
    update listings set missing_since = coalesce(missing_since, clock_timestamp())
    where tenant_id = ${currentTenant} and id = any (${[...listingIds]}::uuid[])
  `.execute(transaction);
}
