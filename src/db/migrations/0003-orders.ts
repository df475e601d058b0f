import type { Kysely } from "kysely";
import { appendOnly, run, tenantTable } from "./tools.ts";

/** Orders, what is known of them, what came in from outside and what must still go out. */
export async function up(db: Kysely<unknown>): Promise<void> {
  await orders(db);
  await intake(db);
}

async function orders(db: Kysely<unknown>): Promise<void> {
  await run(
    db,
    `create table orders (
       id uuid primary key default uuidv7(),
       tenant_id uuid not null,
       shop_id uuid not null,
       channel_order_id text not null check (length(channel_order_id) between 1 and 100),
       order_ref text not null generated always as (shop_id::text || '/' || channel_order_id) stored,
       status text not null check (status in ('pending', 'processing', 'fulfilled', 'delivered', 'cancelled', 'returned')),
       channel_status text not null check (channel_status in ('unpaid', 'on_hold', 'awaiting_shipment', 'partially_shipping',
         'awaiting_collection', 'in_transit', 'delivered', 'completed', 'cancelled')),
       channel_on_hold boolean not null default false,
       buyer_requests_cancel boolean not null default false,
       shipment_refusal text,
       cancel_state text check (cancel_state in ('requested', 'accepted', 'refused')),
       cancel_reason text,
       cancel_requested_by uuid,
       hold text check (hold in ('remorse', 'shortage', 'unknown_sku', 'carrier', 'no_package', 'shipment_refused', 'cancel_requested', 'cancelling')),
       next_step text not null,
       needs_attention boolean not null default false,
       snapshot_version integer not null,
       handled_version integer not null default 0,
       event_sequence integer not null default 0,
       shipping text not null check (shipping in ('channel', 'seller')),
       warehouse_id text,
       currency text not null check (length(currency) = 3),
       total_minor bigint not null,
       ordered_at timestamptz not null,
       paid_at timestamptz,
       ship_by timestamptz,
       cancel_by timestamptz,
       tracking_number text,
       recipient bytea,
       touched boolean not null default false,
       created_at timestamptz not null default now(),
       updated_at timestamptz not null default now(),
       unique (tenant_id, id),
       unique (tenant_id, shop_id, channel_order_id),
       foreign key (tenant_id, shop_id) references shops (tenant_id, id),
       check (handled_version <= snapshot_version)
     );
     create unique index orders_by_reference on orders (tenant_id, order_ref);
     create index orders_recent on orders (tenant_id, ordered_at desc, id desc);
     create index orders_by_status on orders (tenant_id, status, ordered_at desc, id desc);
     create index orders_unhandled on orders (tenant_id, shop_id) where handled_version < snapshot_version;
     create index orders_needing_attention on orders (tenant_id, ordered_at desc, id desc) where needs_attention`,
  );
  await tenantTable(db, "orders", { app: "select, insert, update" });

  await run(
    db,
    `create table order_lines (
       tenant_id uuid not null,
       order_id uuid not null,
       line_id text not null,
       sku_id uuid,
       channel_sku_id text not null,
       product_name text not null,
       sku_name text,
       sale_price_minor bigint not null,
       package_id text,
       stage text not null default 'new'
         check (stage in ('new', 'held', 'short', 'arranged', 'shipped', 'closing', 'cancelled', 'reversing', 'reversed',
           'untracked')),
       generation integer not null default 1 check (generation >= 1),
       ranked_paid_at timestamptz,
       ordered integer not null check (ordered > 0),
       reserved integer not null default 0 check (reserved >= 0),
       short integer not null default 0 check (short >= 0),
       shipped integer not null default 0 check (shipped >= 0),
       delivered integer not null default 0 check (delivered >= 0),
       cancelled integer not null default 0 check (cancelled >= 0),
       returned_good integer not null default 0 check (returned_good >= 0),
       returned_damaged integer not null default 0 check (returned_damaged >= 0),
       primary key (tenant_id, order_id, line_id),
       foreign key (tenant_id, order_id) references orders (tenant_id, id),
       foreign key (tenant_id, sku_id) references skus (tenant_id, id),
       constraint line_adds_up check (reserved + short + shipped + cancelled <= ordered),
       constraint only_shipped_is_delivered check (delivered <= shipped),
       constraint only_delivered_returns check (returned_good + returned_damaged <= delivered)
     );
     create index order_lines_of_sku on order_lines (tenant_id, sku_id)`,
  );
  await tenantTable(db, "order_lines", { app: "select, insert, update" });

  await run(
    db,
    `create table order_snapshots (
       tenant_id uuid not null,
       order_id uuid not null,
       version integer not null check (version >= 1),
       channel_updated_at timestamptz not null,
       fetch_began_at timestamptz not null,
       content_hash text not null,
       content jsonb not null,
       cause text not null,
       stored_at timestamptz not null default clock_timestamp(),
       primary key (tenant_id, order_id, version),
       foreign key (tenant_id, order_id) references orders (tenant_id, id)
     )`,
  );
  await tenantTable(db, "order_snapshots", { app: "select, insert" });
  await appendOnly(db, "order_snapshots");

  await run(
    db,
    `create table order_events (
       tenant_id uuid not null,
       order_id uuid not null,
       sequence integer not null check (sequence >= 1),
       kind text not null,
       data jsonb not null,
       cause text not null,
       actor_id uuid,
       created_at timestamptz not null default clock_timestamp(),
       primary key (tenant_id, order_id, sequence),
       foreign key (tenant_id, order_id) references orders (tenant_id, id)
     )`,
  );
  await tenantTable(db, "order_events", { app: "select, insert" });
  await appendOnly(db, "order_events");

  await run(
    db,
    `create table packages (
       tenant_id uuid not null,
       order_id uuid not null,
       channel_package_id text not null,
       tracking_number text,
       document_url text,
       document_expires_at timestamptz,
       arranged_at timestamptz not null default clock_timestamp(),
       primary key (tenant_id, order_id, channel_package_id),
       foreign key (tenant_id, order_id) references orders (tenant_id, id)
     )`,
  );
  await tenantTable(db, "packages", { app: "select, insert, update" });

  await run(
    db,
    `create table tracking_events (
       tenant_id uuid not null,
       order_id uuid not null,
       occurred_at timestamptz not null,
       description text not null,
       recorded_at timestamptz not null default clock_timestamp(),
       primary key (tenant_id, order_id, occurred_at, description),
       foreign key (tenant_id, order_id) references orders (tenant_id, id)
     )`,
  );
  await tenantTable(db, "tracking_events", { app: "select, insert" });

  await run(
    db,
    `create table effects (
       tenant_id uuid not null references tenants,
       key text not null check (length(key) between 1 and 400),
       kind text not null,
       input_hash text not null,
       state text not null default 'started' check (state in ('started', 'done', 'refused')),
       result jsonb,
       attempts integer not null default 1,
       started_at timestamptz not null default clock_timestamp(),
       finished_at timestamptz,
       primary key (tenant_id, key),
       check ((state = 'started') = (finished_at is null))
     )`,
  );
  await tenantTable(db, "effects", { app: "select, insert, update" });
}

async function intake(db: Kysely<unknown>): Promise<void> {
  await run(
    db,
    `create table webhook_deliveries (
       id uuid primary key default uuidv7(),
       channel text not null,
       tenant_id uuid references tenants,
       shop_id uuid,
       sender text not null,
       dedupe_key text not null check (length(dedupe_key) between 1 and 200),
       topic integer,
       channel_order_id text,
       body bytea not null,
       headers jsonb not null,
       state text not null default 'waiting' check (state in ('waiting', 'processed', 'parked', 'kept')),
       reason text,
       attempts integer not null default 0,
       duplicates integer not null default 0,
       next_attempt_at timestamptz not null default now(),
       leased_until timestamptz,
       received_at timestamptz not null default clock_timestamp(),
       processed_at timestamptz,
       unique (channel, sender, dedupe_key),
       foreign key (tenant_id, shop_id) references shops (tenant_id, id)
     );
     create index webhook_deliveries_waiting on webhook_deliveries (next_attempt_at, id) where state = 'waiting';
     create index webhook_deliveries_recent on webhook_deliveries (tenant_id, received_at desc, id desc);

     alter table webhook_deliveries enable row level security;
     alter table webhook_deliveries force row level security;
     create policy tenant_wall on webhook_deliveries
       using (tenant_id = (select nullif(current_setting('app.tenant_id', true), '')::uuid))
       with check (tenant_id = (select nullif(current_setting('app.tenant_id', true), '')::uuid));
     create policy report_reads on webhook_deliveries for select to cf_report using (true);
     create policy ingest_takes_in on webhook_deliveries to cf_ingest using (true) with check (true);
     -- Deliveries of unknown shops belong to no tenant: the platform's operators alone may look at them.
     create policy unclaimed_for_operators on webhook_deliveries for select to cf_app
       using (tenant_id is null and current_setting('app.sees_unclaimed', true) = 'yes');
     create policy dispatcher_claims on webhook_deliveries to cf_dispatcher using (true) with check (true);
     grant select, update on webhook_deliveries to cf_app;
     grant select on webhook_deliveries to cf_report;
     grant insert, select (id, channel, sender, dedupe_key, state, duplicates, attempts, next_attempt_at, reason, leased_until),
       update (state, duplicates, attempts, next_attempt_at, reason) on webhook_deliveries to cf_ingest;
     grant select, update on webhook_deliveries to cf_dispatcher;

     -- A process is ready when the schema is the one it was written for.
     grant select on kysely_migration to cf_app, cf_ingest;

     create table webhook_rejections (
       channel text not null,
       minute timestamptz not null,
       count integer not null check (count > 0),
       last_reason text not null,
       primary key (channel, minute)
     );
     grant select, insert, update on webhook_rejections to cf_ingest;
     grant select on webhook_rejections to cf_app, cf_report;

     create table outbox (
       id uuid primary key default uuidv7(),
       tenant_id uuid not null references tenants,
       kind text not null check (kind in ('wake_order', 'push_offer', 'fetch_tracking', 'fetch_document')),
       key text not null check (length(key) between 1 and 400),
       payload jsonb not null,
       attempts integer not null default 0,
       next_attempt_at timestamptz not null default now(),
       leased_until timestamptz,
       last_error text,
       created_at timestamptz not null default clock_timestamp(),
       done_at timestamptz,
       unique (tenant_id, kind, key)
     );
     create index outbox_waiting on outbox (next_attempt_at, id) where done_at is null`,
  );
  await tenantTable(db, "outbox", { app: "select, insert" });
  await run(
    db,
    `create policy dispatcher_claims on outbox to cf_dispatcher using (true) with check (true);
     grant select, update on outbox to cf_dispatcher`,
  );
}
