import type { Kysely } from "kysely";
import { appendOnly, run, tenantTable } from "./tools.ts";

/** What is sold, where it lies, and the ledger. Every illegal stock state is refused here, whoever asks. */
export async function up(db: Kysely<unknown>): Promise<void> {
  await catalogue(db);
  await ledger(db);
  await claims(db);
  await channelNumbers(db);
}

async function catalogue(db: Kysely<unknown>): Promise<void> {
  await run(
    db,
    `create table products (
       id uuid primary key default uuidv7(),
       tenant_id uuid not null references tenants,
       title text not null,
       created_at timestamptz not null default now(),
       unique (tenant_id, id)
     )`,
  );
  await tenantTable(db, "products", { app: "select, insert, update" });

  await run(
    db,
    `create table skus (
       id uuid primary key default uuidv7(),
       tenant_id uuid not null,
       product_id uuid not null,
       code text not null check (length(code) between 1 and 200),
       name text not null,
       low_stock_threshold integer not null default 10 check (low_stock_threshold between 0 and 10000),
       buffer integer not null default 0 check (buffer >= 0),
       sync_status text not null default 'pending' check (sync_status in ('synced', 'pending', 'failed', 'drift', 'paused')),
       last_synced_at timestamptz,
       created_at timestamptz not null default now(),
       unique (tenant_id, id),
       unique (tenant_id, code),
       foreign key (tenant_id, product_id) references products (tenant_id, id)
     );
     create index skus_by_name on skus (tenant_id, lower(name))`,
  );
  await tenantTable(db, "skus", { app: "select, insert, update" });

  await run(
    db,
    `create table locations (
       id uuid primary key default uuidv7(),
       tenant_id uuid not null references tenants,
       name text not null,
       is_default boolean not null default false,
       created_at timestamptz not null default now(),
       unique (tenant_id, id)
     );
     create unique index locations_one_default on locations (tenant_id) where is_default`,
  );
  await tenantTable(db, "locations", { app: "select, insert, update" });

  await run(
    db,
    `create table shop_warehouses (
       tenant_id uuid not null,
       shop_id uuid not null,
       channel_warehouse_id text not null,
       location_id uuid not null,
       primary key (tenant_id, shop_id, channel_warehouse_id),
       foreign key (tenant_id, shop_id) references shops (tenant_id, id),
       foreign key (tenant_id, location_id) references locations (tenant_id, id)
     )`,
  );
  await tenantTable(db, "shop_warehouses", { app: "select, insert" });

  await run(
    db,
    `create table listings (
       id uuid primary key default uuidv7(),
       tenant_id uuid not null,
       shop_id uuid not null,
       sku_id uuid not null,
       channel_product_id text not null,
       channel_sku_id text not null,
       warehouse_ids text[] not null check (cardinality(warehouse_ids) > 0),
       created_at timestamptz not null default now(),
       unique (tenant_id, id),
       unique (tenant_id, shop_id, channel_sku_id),
       foreign key (tenant_id, shop_id) references shops (tenant_id, id),
       foreign key (tenant_id, sku_id) references skus (tenant_id, id)
     );
     create index listings_of_sku on listings (tenant_id, sku_id)`,
  );
  await tenantTable(db, "listings", { app: "select, insert, update" });
}

async function ledger(db: Kysely<unknown>): Promise<void> {
  await run(
    db,
    `create table stock_levels (
       tenant_id uuid not null,
       sku_id uuid not null,
       location_id uuid not null,
       current_stock integer not null default 0,
       reserved_stock integer not null default 0,
       available_stock integer not null generated always as (current_stock - reserved_stock) stored,
       backorder_floor integer not null default 0,
       version integer not null default 0,
       last_sequence bigint not null default 0,
       updated_at timestamptz not null default now(),
       primary key (tenant_id, sku_id, location_id),
       foreign key (tenant_id, sku_id) references skus (tenant_id, id),
       foreign key (tenant_id, location_id) references locations (tenant_id, id),
       constraint on_hand_exists check (current_stock >= 0),
       constraint reserved_counts check (reserved_stock >= 0),
       constraint floor_is_not_above_nothing check (backorder_floor <= 0),
       constraint never_promised_twice check (current_stock - reserved_stock >= backorder_floor),
       constraint versions_count_up check (version >= 0 and last_sequence >= 0)
     );
     create function level_moves_forward() returns trigger language plpgsql as $$
     begin
       if (new.tenant_id, new.sku_id, new.location_id) is distinct from (old.tenant_id, old.sku_id, old.location_id) then
         raise exception 'a stock level cannot become another one' using errcode = 'restrict_violation';
       end if;
       if (new.current_stock, new.reserved_stock) is distinct from (old.current_stock, old.reserved_stock)
          and (new.version <> old.version + 1 or new.last_sequence <= old.last_sequence) then
         raise exception 'a stock level changes only with its version and its movements' using errcode = 'restrict_violation';
       end if;
       return new;
     end $$;
     create trigger moves_forward before update on stock_levels for each row execute function level_moves_forward()`,
  );
  await tenantTable(db, "stock_levels", { app: "select, insert, update" });

  await run(
    db,
    `create table inventory_transactions (
       id uuid not null default uuidv7(),
       tenant_id uuid not null,
       sku_id uuid not null,
       location_id uuid not null,
       sequence bigint not null check (sequence > 0),
       kind text not null check (kind in ('opening', 'receive', 'reserve', 'release', 'ship', 'ship_reversed', 'return',
         'lost', 'adjust', 'damage', 'transfer_out', 'transfer_in', 'channel_correction')),
       transaction_type text not null generated always as (
         case when kind in ('opening', 'adjust', 'channel_correction') then 'ADJUSTMENT'
              when kind in ('receive', 'release', 'ship_reversed', 'return', 'transfer_in') then 'IN'
              else 'OUT' end) stored,
       quantity integer not null check (quantity > 0),
       on_hand_effect integer not null,
       reserved_effect integer not null,
       previous_stock integer not null,
       new_stock integer not null check (new_stock >= 0),
       previous_reserved integer not null,
       new_reserved integer not null check (new_reserved >= 0),
       reason text not null check (length(reason) between 1 and 500),
       operation_id text not null,
       reference_type text not null check (reference_type in ('order_line', 'adjustment', 'import', 'observation', 'opening')),
       reference_id text not null,
       created_by uuid,
       created_at timestamptz not null default clock_timestamp(),
       primary key (tenant_id, sku_id, sequence, created_at),
       foreign key (tenant_id, sku_id) references skus (tenant_id, id),
       foreign key (tenant_id, location_id) references locations (tenant_id, id),
       constraint on_hand_adds_up check (new_stock = previous_stock + on_hand_effect),
       constraint reserved_adds_up check (new_reserved = previous_reserved + reserved_effect),
       constraint effects_fit_the_kind check (
         case kind
           when 'opening' then on_hand_effect = quantity and reserved_effect = 0
           when 'receive' then on_hand_effect = quantity and reserved_effect = 0
           when 'return' then on_hand_effect = quantity and reserved_effect = 0
           when 'transfer_in' then on_hand_effect = quantity and reserved_effect = 0
           when 'ship_reversed' then on_hand_effect = quantity and reserved_effect = 0
           when 'reserve' then on_hand_effect = 0 and reserved_effect = quantity
           when 'release' then on_hand_effect = 0 and reserved_effect = -quantity
           when 'ship' then on_hand_effect = -quantity and reserved_effect = -quantity
           when 'lost' then on_hand_effect = -quantity and reserved_effect = 0
           when 'damage' then on_hand_effect = -quantity and reserved_effect = 0
           when 'transfer_out' then on_hand_effect = -quantity and reserved_effect = 0
           else abs(on_hand_effect) = quantity and reserved_effect = 0
         end)
     ) partition by range (created_at);
     create index inventory_transactions_recent on inventory_transactions (tenant_id, sku_id, sequence desc);
     create index inventory_transactions_by_reference on inventory_transactions (tenant_id, reference_id);

     create function ensure_ledger_partition(month date) returns void
       language plpgsql as $$
     declare
       first_day date := date_trunc('month', month);
       name text := 'inventory_transactions_y' || to_char(first_day, 'YYYY"m"MM');
     begin
       execute format('create table if not exists %I partition of inventory_transactions for values from (%L) to (%L)',
         name, first_day, first_day + interval '1 month');
       execute format('alter table %I enable row level security', name);
       execute format('alter table %I force row level security', name);
       if not exists (select from pg_policy where polrelid = name::regclass and polname = 'tenant_wall') then
         execute format('create policy tenant_wall on %I using (tenant_id = (select nullif(current_setting(''app.tenant_id'', true), '''')::uuid)) with check (tenant_id = (select nullif(current_setting(''app.tenant_id'', true), '''')::uuid))', name);
         execute format('create policy report_reads on %I for select to cf_report using (true)', name);
         execute format('grant select on %I to cf_report', name);
         execute format('create trigger never_emptied before truncate on %I for each statement execute function refuse_change()', name);
       end if;
     end $$`,
  );
  await tenantTable(db, "inventory_transactions", { app: "select, insert" });
  await appendOnly(db, "inventory_transactions");

  await run(
    db,
    `select ensure_ledger_partition((date_trunc('month', now()) + month * interval '1 month')::date)
       from generate_series(-1, 12) as month`,
  );

  await run(
    db,
    `create table stock_operations (
       tenant_id uuid not null,
       operation_id text not null check (length(operation_id) between 1 and 400),
       sku_id uuid not null,
       input text not null,
       answer jsonb not null,
       applied_at timestamptz not null default clock_timestamp(),
       primary key (tenant_id, operation_id),
       foreign key (tenant_id, sku_id) references skus (tenant_id, id)
     )`,
  );
  await tenantTable(db, "stock_operations", { app: "select, insert" });
  await appendOnly(db, "stock_operations");
}

async function claims(db: Kysely<unknown>): Promise<void> {
  await run(
    db,
    `create table reservations (
       tenant_id uuid not null,
       reservation_id text not null,
       sku_id uuid not null,
       location_id uuid not null,
       order_ref text not null,
       line_id text not null,
       generation integer not null check (generation >= 1),
       quantity integer not null check (quantity > 0),
       state text not null default 'held' check (state in ('held', 'shipped', 'released')),
       held_at timestamptz not null default clock_timestamp(),
       resolved_at timestamptz,
       reversed_at timestamptz,
       primary key (tenant_id, reservation_id),
       foreign key (tenant_id, sku_id, location_id) references stock_levels (tenant_id, sku_id, location_id),
       constraint resolved_when_not_held check ((state = 'held') = (resolved_at is null)),
       constraint only_a_shipment_is_reversed check (reversed_at is null or state = 'shipped')
     );
     create unique index reservations_one_open_a_line on reservations (tenant_id, order_ref, line_id) where state = 'held';
     create index reservations_of_sku on reservations (tenant_id, sku_id, state);
     create index reservations_of_order on reservations (tenant_id, order_ref);

     create function reservation_resolves_once() returns trigger language plpgsql as $$
     begin
       if tg_op = 'DELETE' then
         raise exception 'a reservation is resolved, never deleted' using errcode = 'restrict_violation';
       end if;
       if old.state <> 'held' and (new.state <> old.state or new.resolved_at is distinct from old.resolved_at) then
         raise exception 'reservation % was already %', old.reservation_id, old.state using errcode = 'restrict_violation';
       end if;
       if old.reversed_at is not null and new.reversed_at is distinct from old.reversed_at then
         raise exception 'the shipment of reservation % was already reversed', old.reservation_id using errcode = 'restrict_violation';
       end if;
       if (new.tenant_id, new.reservation_id, new.sku_id, new.location_id, new.order_ref, new.line_id, new.generation, new.quantity, new.held_at)
          is distinct from
          (old.tenant_id, old.reservation_id, old.sku_id, old.location_id, old.order_ref, old.line_id, old.generation, old.quantity, old.held_at) then
         raise exception 'what reservation % holds cannot change', old.reservation_id using errcode = 'restrict_violation';
       end if;
       return new;
     end $$;
     create trigger resolves_once before update or delete on reservations for each row execute function reservation_resolves_once()`,
  );
  await tenantTable(db, "reservations", { app: "select, insert, update" });

  await run(
    db,
    `create table shortages (
       tenant_id uuid not null,
       reservation_id text not null,
       sku_id uuid not null,
       order_ref text not null,
       line_id text not null,
       generation integer not null check (generation >= 1),
       quantity integer not null check (quantity > 0),
       location_id uuid,
       paid_at timestamptz,
       ordered_at timestamptz not null,
       state text not null default 'waiting' check (state in ('waiting', 'served', 'withdrawn')),
       created_at timestamptz not null default clock_timestamp(),
       resolved_at timestamptz,
       primary key (tenant_id, reservation_id),
       foreign key (tenant_id, sku_id) references skus (tenant_id, id),
       constraint resolved_when_not_waiting check ((state = 'waiting') = (resolved_at is null))
     );
     create index shortages_queue on shortages (tenant_id, sku_id, paid_at nulls last, ordered_at, reservation_id) where state = 'waiting';
     create index shortages_of_order on shortages (tenant_id, order_ref);
     create function shortage_resolves_once() returns trigger language plpgsql as $$
     begin
       if old.state <> 'waiting' then
         raise exception 'shortage % was already %', old.reservation_id, old.state using errcode = 'restrict_violation';
       end if;
       if (new.tenant_id, new.reservation_id, new.sku_id, new.order_ref, new.line_id, new.generation, new.quantity)
          is distinct from
          (old.tenant_id, old.reservation_id, old.sku_id, old.order_ref, old.line_id, old.generation, old.quantity) then
         raise exception 'what shortage % waits for cannot change', old.reservation_id using errcode = 'restrict_violation';
       end if;
       return new;
     end $$;
     create trigger resolves_once before update on shortages for each row execute function shortage_resolves_once()`,
  );
  await tenantTable(db, "shortages", { app: "select, insert, update" });
}

async function channelNumbers(db: Kysely<unknown>): Promise<void> {
  await run(
    db,
    `create table push_intents (
       id uuid primary key default uuidv7(),
       tenant_id uuid not null,
       listing_id uuid not null,
       sku_id uuid not null,
       warehouse_id text not null,
       desired_available integer not null check (desired_available between 0 and 99999),
       available_seen integer not null,
       committed_seen integer not null,
       state text not null default 'open' check (state in ('open', 'confirmed', 'refused', 'superseded')),
       outcome text,
       created_at timestamptz not null default clock_timestamp(),
       closed_at timestamptz,
       foreign key (tenant_id, listing_id) references listings (tenant_id, id),
       check ((state = 'open') = (closed_at is null))
     );
     create unique index push_intents_one_open on push_intents (tenant_id, listing_id, warehouse_id) where state = 'open';
     create index push_intents_recent on push_intents (tenant_id, sku_id, created_at desc)`,
  );
  await tenantTable(db, "push_intents", { app: "select, insert, update" });

  await run(
    db,
    `create table channel_observations (
       id uuid primary key default uuidv7(),
       tenant_id uuid not null,
       listing_id uuid not null,
       sku_id uuid not null,
       warehouse_id text not null,
       available integer not null,
       committed integer not null,
       observed_at timestamptz not null default clock_timestamp(),
       foreign key (tenant_id, listing_id) references listings (tenant_id, id)
     );
     create index channel_observations_recent on channel_observations (tenant_id, listing_id, observed_at desc)`,
  );
  await tenantTable(db, "channel_observations", { app: "select, insert" });
  await appendOnly(db, "channel_observations");
}
