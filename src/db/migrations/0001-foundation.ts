import { type Kysely, sql } from "kysely";
import { appendOnly, run, tenantTable } from "./tools.ts";

/**
 * Roles, the tenant wall, people and shops.
 *
 * `cf_app` does the work inside one tenant; `cf_ingest` only takes deliveries in; `cf_dispatcher` claims work across
 * tenants and then enters one; `cf_report` reads everything and writes nothing; `cf_directory` owns the few functions that
 * must look before a tenant is known. None can log in: the processes' login is a member that enters one of them.
 */
export async function up(db: Kysely<unknown>): Promise<void> {
  for (const role of ["cf_app", "cf_ingest", "cf_dispatcher", "cf_report", "cf_directory"]) {
    await run(
      db,
      `do $$ begin create role ${role} nologin nosuperuser nobypassrls; exception when duplicate_object or unique_violation then null; end $$`,
    );
  }
  // The owner hands functions to cf_directory and must therefore be able to become it; entering a tenant's work is
  // what a dispatcher does after it has claimed.
  await run(
    db,
    `grant cf_directory to current_user with set true, inherit false;
     grant cf_app to cf_dispatcher;
     revoke create on schema public from public;
     grant usage on schema public to cf_app, cf_ingest, cf_dispatcher, cf_report, cf_directory`,
  );

  await run(
    db,
    `create function refuse_change() returns trigger language plpgsql as $$
     begin
       raise exception '% is append only: % refused', tg_table_name, tg_op using errcode = 'restrict_violation';
     end $$`,
  );

  await run(
    db,
    `create table tenants (
       tenant_id uuid primary key default uuidv7(),
       name text not null check (length(name) between 1 and 200),
       created_at timestamptz not null default now()
     )`,
  );
  await tenantTable(db, "tenants", { app: "select, insert" });

  await run(
    db,
    `create table users (
       id uuid primary key default uuidv7(),
       tenant_id uuid not null references tenants,
       email text not null check (email = lower(email) and length(email) <= 320),
       name text not null,
       role text not null check (role in ('creator', 'admin', 'support', 'system', 'operator')),
       password_hash text not null,
       permission_version integer not null default 1,
       disabled_at timestamptz,
       created_at timestamptz not null default now(),
       unique (tenant_id, id),
       unique (email)
     )`,
  );
  await tenantTable(db, "users", { app: "select, insert, update" });

  await run(
    db,
    `create table refresh_tokens (
       id uuid primary key default uuidv7(),
       tenant_id uuid not null,
       user_id uuid not null,
       family_id uuid not null,
       token_hash bytea not null unique check (length(token_hash) = 32),
       created_at timestamptz not null default now(),
       expires_at timestamptz not null,
       idle_expires_at timestamptz not null,
       rotated_at timestamptz,
       successor bytea,
       revoked_at timestamptz,
       foreign key (tenant_id, user_id) references users (tenant_id, id)
     );
     create index refresh_tokens_family on refresh_tokens (tenant_id, family_id)`,
  );
  await tenantTable(db, "refresh_tokens", { app: "select, insert, update" });

  // Keys belong to the installation, not to a tenant; the private half is encrypted with the master key.
  await run(
    db,
    `create table signing_keys (
       id text primary key,
       public_key jsonb not null,
       private_key bytea not null,
       created_at timestamptz not null default now(),
       retired_at timestamptz
     );
     grant select, insert, update on signing_keys to cf_app`,
  );

  await run(
    db,
    `create table shops (
       id uuid primary key default uuidv7(),
       tenant_id uuid not null references tenants,
       channel text not null check (channel in ('tiktok-shop', 'manual')),
       channel_shop_id text not null,
       seller_open_id text,
       name text not null,
       region text not null,
       status text not null default 'connected' check (status in ('connecting', 'connected', 'disconnected')),
       status_reason text,
       opened_at timestamptz,
       created_at timestamptz not null default now(),
       unique (tenant_id, id),
       unique (channel, channel_shop_id)
     );
     create index shops_seller on shops (channel, seller_open_id)`,
  );
  await tenantTable(db, "shops", { app: "select, insert, update" });

  await run(
    db,
    `create table shop_credentials (
       tenant_id uuid not null,
       shop_id uuid not null,
       access_token bytea not null,
       access_token_expires_at timestamptz not null,
       refresh_token bytea not null,
       refresh_token_expires_at timestamptz not null,
       shop_cipher bytea not null,
       version integer not null default 1,
       refresh_refused_at timestamptz,
       refresh_refusal text,
       updated_at timestamptz not null default now(),
       primary key (tenant_id, shop_id),
       foreign key (tenant_id, shop_id) references shops (tenant_id, id)
     )`,
  );
  await tenantTable(db, "shop_credentials", { app: "select, insert, update" });

  await run(
    db,
    `create table rate_buckets (
       tenant_id uuid not null,
       shop_id uuid not null,
       tokens double precision not null,
       rate_per_minute double precision not null check (rate_per_minute > 0),
       burst double precision not null check (burst >= 1),
       refilled_at timestamptz not null,
       blocked_until timestamptz,
       accepted_streak integer not null default 0,
       primary key (tenant_id, shop_id),
       foreign key (tenant_id, shop_id) references shops (tenant_id, id),
       check (tokens >= 0 and tokens <= burst)
     )`,
  );
  await tenantTable(db, "rate_buckets", { app: "select, insert, update" });

  await run(
    db,
    `create table idempotency_keys (
       tenant_id uuid not null references tenants,
       key text not null check (length(key) between 1 and 255),
       route text not null,
       request_hash bytea not null check (length(request_hash) = 32),
       state text not null default 'running' check (state in ('running', 'answered')),
       leased_until timestamptz not null,
       status integer,
       body jsonb,
       created_at timestamptz not null default now(),
       expires_at timestamptz not null,
       primary key (tenant_id, key),
       check ((state = 'answered') = (status is not null))
     )`,
  );
  await tenantTable(db, "idempotency_keys", { app: "select, insert, update, delete" });

  await run(
    db,
    `create table inventory_audit_log (
       id uuid primary key default uuidv7(),
       tenant_id uuid not null references tenants,
       event_type text not null,
       user_id uuid,
       sku_id uuid,
       order_ref text,
       old_values jsonb,
       new_values jsonb,
       reason text,
       ip_address inet,
       user_agent text,
       request_id text,
       created_at timestamptz not null default clock_timestamp()
     );
     create index inventory_audit_log_recent on inventory_audit_log (tenant_id, created_at desc)`,
  );
  await tenantTable(db, "inventory_audit_log", { app: "select, insert" });
  await appendOnly(db, "inventory_audit_log");

  // Before a tenant is known: each function answers one question and nothing else.
  await run(
    db,
    `create policy directory_reads on users for select to cf_directory using (true);
     create policy directory_reads on shops for select to cf_directory using (true);
     grant select (id, tenant_id, email, role, password_hash, disabled_at) on users to cf_directory;
     grant select (id, tenant_id, channel, channel_shop_id, seller_open_id, status) on shops to cf_directory;
     grant create on schema public to cf_directory;

     create function find_login(login_email text)
       returns table (tenant_id uuid, user_id uuid, password_hash text)
       language sql stable security definer set search_path = pg_catalog, public as
       $$ select users.tenant_id, users.id, users.password_hash from public.users
          where users.email = lower(login_email) and users.disabled_at is null $$;

     create function find_shop(shop_channel text, shop_reference text, open_id text)
       returns table (tenant_id uuid, shop_id uuid, status text)
       language sql stable security definer set search_path = pg_catalog, public as
       $$ select shops.tenant_id, shops.id, shops.status from public.shops
          where shops.channel = shop_channel
            and (shops.channel_shop_id = shop_reference or (shop_reference is null and shops.seller_open_id = open_id))
          order by shops.id limit 1 $$;

     create function list_shops()
       returns table (tenant_id uuid, shop_id uuid, channel text, status text)
       language sql stable security definer set search_path = pg_catalog, public as
       $$ select shops.tenant_id, shops.id, shops.channel, shops.status from public.shops order by shops.id $$;

     alter function find_login(text) owner to cf_directory;
     alter function find_shop(text, text, text) owner to cf_directory;
     alter function list_shops() owner to cf_directory;
     revoke create on schema public from cf_directory;
     revoke all on function find_login(text), find_shop(text, text, text), list_shops() from public;`,
  );
  await sql`set role cf_directory`.execute(db);
  await run(
    db,
    `revoke all on function find_login(text), find_shop(text, text, text), list_shops() from public;
     grant execute on function find_login(text) to cf_app;
     grant execute on function find_shop(text, text, text) to cf_app, cf_ingest, cf_dispatcher;
     grant execute on function list_shops() to cf_app, cf_dispatcher, cf_report`,
  );
  await sql`reset role`.execute(db);
}
