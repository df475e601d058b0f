import type { Kysely } from "kysely";
import { run, tenantTable } from "./tools.ts";

/**
 * What a listing keeps back and how it stands with its channel, from what moment on a number was wrong, the units that the
 * channel has locked away, differences that nothing explains, and how fast a SKU sells.
 */
export async function up(db: Kysely<unknown>): Promise<void> {
  await run(
    db,
    `alter table skus
       add column sold_in_several_shops boolean not null default false,
       add column sync_paused_at timestamptz,
       add column buffer_percent integer not null default 0
         constraint buffer_is_a_share check (buffer_percent between 0 and 100),
       add column drift_rule text not null default 'automatic' check (drift_rule in ('automatic', 'ask', 'push_ours'));
     alter table listings
       add column buffer integer check (buffer between 0 and 99999),
       add column buffer_percent integer check (buffer_percent between 0 and 100),
       add column cap integer not null default 99999 check (cap between 0 and 99999),
       add column sync_status text not null default 'synced' check (sync_status in ('synced', 'pending', 'failed')),
       add column last_synced_at timestamptz,
       add column missing_since timestamptz;
     update skus set sold_in_several_shops = true
       where (select count(distinct shop_id) from listings
              where listings.tenant_id = skus.tenant_id and listings.sku_id = skus.id) > 1;
     alter table channel_observations
       add column campaign integer not null default 0 check (campaign >= 0),
       add column creator integer not null default 0 check (creator >= 0);
     create index if not exists channel_observations_of_listing on channel_observations (tenant_id, listing_id, observed_at desc);
     alter table push_intents add column caused_at timestamptz not null default clock_timestamp();
     create index if not exists push_intents_of_listing on push_intents (tenant_id, listing_id, created_at desc);
     -- What is under way is counted at each comparison, and must not cost more with every unit that was ever shipped.
     create index if not exists reservations_shipped on reservations (tenant_id, sku_id, resolved_at)
       where state = 'shipped' and reversed_at is null`,
  );
  await drifts(db);
  await demand(db);
}

async function drifts(db: Kysely<unknown>): Promise<void> {
  await run(
    db,
    `create table stock_drifts (
       id uuid primary key default uuidv7(),
       tenant_id uuid not null,
       listing_id uuid not null,
       sku_id uuid not null,
       warehouse_id text not null,
       cause text not null check (cause in ('push_lost', 'overwritten_by_older_push', 'pool_moved', 'sold_outside',
         'changed_in_seller_center', 'missing_listing')),
       units integer not null,
       our_total integer not null,
       their_available integer,
       their_committed integer,
       state text not null check (state in ('suspected', 'open', 'repairing', 'closed')),
       first_seen_at timestamptz not null default clock_timestamp(),
       last_seen_at timestamptz not null default clock_timestamp(),
       repaired_how text check (repaired_how in ('push_ours', 'take_theirs')),
       repaired_by uuid,
       repair_reason text check (length(repair_reason) between 1 and 500),
       closed_at timestamptz,
       outcome text,
       unique (tenant_id, id),
       foreign key (tenant_id, listing_id) references listings (tenant_id, id),
       foreign key (tenant_id, sku_id) references skus (tenant_id, id),
       constraint drift_ends_once check ((state = 'closed') = (closed_at is not null)),
       constraint drift_repair_has_a_reason check ((repaired_how is null) = (repair_reason is null))
     );
     create unique index stock_drifts_one_open on stock_drifts (tenant_id, listing_id, warehouse_id) where state <> 'closed';
     create index stock_drifts_of_sku on stock_drifts (tenant_id, sku_id, id desc);
     create index stock_drifts_recent on stock_drifts (tenant_id, id desc)`,
  );
  await tenantTable(db, "stock_drifts", { app: "select, insert, update" });
}

async function demand(db: Kysely<unknown>): Promise<void> {
  await run(
    db,
    `create table sku_demand (
       tenant_id uuid not null,
       sku_id uuid not null,
       usual_per_minute double precision not null default 0 check (usual_per_minute >= 0),
       recent_per_minute double precision not null default 0 check (recent_per_minute >= 0),
       viral_since timestamptz,
       calm_since timestamptz,
       adaptive_buffer integer not null default 0 check (adaptive_buffer between 0 and 99999),
       evaluated_at timestamptz not null default clock_timestamp(),
       primary key (tenant_id, sku_id),
       foreign key (tenant_id, sku_id) references skus (tenant_id, id)
     );
     -- A block range index costs a reservation nothing; what sold lately lies at the end of the table.
     create index reservations_lately on reservations using brin (held_at) with (pages_per_range = 32, autosummarize = on)`,
  );
  await tenantTable(db, "sku_demand", { app: "select, insert, update" });
}
