import { type Kysely, sql } from "kysely";
import { allowOutboxKinds, appendOnly, run, tenantTable } from "./tools.ts";

/**
 * Claims over several locations and with an end, transfers, counts that leave orders short, stock as of any moment,
 * partitions made ahead by the running system, and the sealed audit chain.
 */
export async function up(db: Kysely<unknown>): Promise<void> {
  await allowOutboxKinds(db, ["begin_hold"]);
  await claims(db);
  await transfers(db);
  await ledger(db);
  await auditChain(db);
}

async function claims(db: Kysely<unknown>): Promise<void> {
  await run(
    db,
    `alter table reservations
       add column part integer not null default 1 check (part >= 1),
       add column expires_at timestamptz,
       add constraint only_a_hold_expires check ((expires_at is not null) = starts_with(order_ref, 'hold/')),
       drop constraint reservations_pkey,
       add primary key (tenant_id, reservation_id, part);
     drop index reservations_one_open_a_line;
     create unique index reservations_one_open_a_line on reservations (tenant_id, order_ref, line_id, part) where state = 'held';
     create index reservations_expiring on reservations (tenant_id, expires_at) where state = 'held' and expires_at is not null;
     create trigger part_is_fixed before update on reservations for each row
       when ((new.part, new.expires_at) is distinct from (old.part, old.expires_at))
       execute function refuse_illegal_change('which part a reservation is and when it ends cannot change')`,
  );
  // A count may leave a line short that held units: it goes back to the queue, as its next generation.
  await run(
    db,
    `create trigger left_short_anew before update on order_lines for each row
       when (old.stage = 'held' and new.stage = 'short' and new.generation <> old.generation + 1)
       execute function refuse_illegal_change('a line that held units waits again only as its next generation');
     drop trigger moves_forward on order_lines`,
  );
  await run(
    db,
    `create trigger moves_forward before update on order_lines for each row when (${lineGoesBack})
       execute function refuse_illegal_change('a line never goes back')`,
  );
}

/** Where a line may go from each stage, by way of any others; `new` may go anywhere. */
const laterStages: Readonly<Record<string, readonly string[]>> = {
  short: ["held", "arranged", "shipped", "closing", "cancelled", "reversing", "reversed", "untracked"],
  held: ["short", "arranged", "shipped", "closing", "cancelled", "reversing", "reversed", "untracked"],
  arranged: ["shipped", "closing", "cancelled", "reversing", "reversed", "untracked"],
  closing: ["cancelled", "reversing", "reversed"],
  shipped: ["reversing", "reversed"],
  reversing: ["reversed"],
  cancelled: [],
  reversed: [],
  untracked: [],
};

const lineGoesBack = Object.entries(laterStages)
  .map(([stage, later]) => {
    const allowed = [stage, ...later].map((each) => `'${each}'`).join(", ");
    return `old.stage = '${stage}' and new.stage not in (${allowed})`;
  })
  .join(" or ");

async function transfers(db: Kysely<unknown>): Promise<void> {
  await run(
    db,
    `create table stock_transfers (
       tenant_id uuid not null,
       transfer_id text not null check (length(transfer_id) between 1 and 300),
       sku_id uuid not null,
       from_location_id uuid not null,
       to_location_id uuid not null,
       quantity integer not null check (quantity > 0),
       received integer not null default 0 check (received >= 0),
       missing integer not null default 0 check (missing >= 0),
       under_way integer not null generated always as (quantity - received - missing) stored,
       created_at timestamptz not null default clock_timestamp(),
       updated_at timestamptz not null default clock_timestamp(),
       primary key (tenant_id, transfer_id),
       foreign key (tenant_id, sku_id, from_location_id) references stock_levels (tenant_id, sku_id, location_id),
       foreign key (tenant_id, sku_id, to_location_id) references stock_levels (tenant_id, sku_id, location_id),
       constraint goes_elsewhere check (from_location_id <> to_location_id),
       constraint no_more_comes_than_was_sent check (received + missing <= quantity)
     );
     create index stock_transfers_under_way on stock_transfers (tenant_id, sku_id) where under_way > 0;
     create trigger names_are_fixed before update on stock_transfers for each row
       when ((new.tenant_id, new.transfer_id, new.sku_id, new.from_location_id, new.to_location_id, new.quantity, new.created_at)
         is distinct from
         (old.tenant_id, old.transfer_id, old.sku_id, old.from_location_id, old.to_location_id, old.quantity, old.created_at))
       execute function refuse_illegal_change('what a transfer carries cannot change');
     create trigger counts_up before update on stock_transfers for each row
       when (new.received < old.received or new.missing < old.missing)
       execute function refuse_illegal_change('what has come is never taken back');
     create trigger never_deleted before delete on stock_transfers for each row
       execute function refuse_illegal_change('its rows are never deleted');
     create trigger never_emptied before truncate on stock_transfers for each statement execute function refuse_change()`,
  );
  await tenantTable(db, "stock_transfers", { app: "select, insert, update" });
}

async function ledger(db: Kysely<unknown>): Promise<void> {
  await run(
    db,
    `alter table inventory_transactions
       drop constraint inventory_transactions_reference_type_check,
       add constraint reference_is_known check (reference_type in ('order_line', 'adjustment', 'count', 'receipt', 'return',
         'write_off', 'transfer', 'hold', 'import', 'observation', 'opening'));
     -- The primary key gives the newest line of a SKU as well; the one for a moment in the past was missing.
     drop index inventory_transactions_recent;
     create index inventory_transactions_as_of on inventory_transactions (tenant_id, sku_id, location_id, created_at desc);

     create function keep_ledger_partitions(months_ahead integer) returns integer
       language plpgsql security definer set search_path = pg_catalog, public as $$
     declare
       before bigint := (select count(*) from pg_inherits where inhparent = 'inventory_transactions'::regclass);
     begin
       perform ensure_ledger_partition((date_trunc('month', now()) + month * interval '1 month')::date)
         from generate_series(0, least(months_ahead, 120)) as month
         where to_regclass('inventory_transactions_y'
           || to_char(date_trunc('month', now()) + month * interval '1 month', 'YYYY"m"MM')) is null;
       return (select count(*) from pg_inherits where inhparent = 'inventory_transactions'::regclass) - before;
     end $$;
     revoke all on function keep_ledger_partitions(integer) from public;
     grant execute on function keep_ledger_partitions(integer) to cf_dispatcher`,
  );
}

/**
 * Each row of the audit log is sealed some seconds after it was written: its hash, chained with the one before. Sealing is
 * no part of the write, since a chain needs all of a seller's writes in one line.
 */
async function auditChain(db: Kysely<unknown>): Promise<void> {
  await run(
    db,
    `create function audit_row_hash(log inventory_audit_log) returns bytea language sql stable
       set timezone = 'UTC' as
       $$ select sha256(convert_to(jsonb_build_array(log.id, log.tenant_id, log.event_type, log.user_id, log.sku_id,
            log.order_ref, log.old_values, log.new_values, log.reason, log.ip_address, log.user_agent, log.request_id,
            log.created_at)::text, 'UTF8')) $$;

     create table audit_seals (
       tenant_id uuid not null references tenants,
       sequence bigint not null check (sequence >= 1),
       audit_id uuid not null,
       row_hash bytea not null check (length(row_hash) = 32),
       chain_hash bytea not null check (length(chain_hash) = 32),
       sealed_at timestamptz not null default clock_timestamp(),
       primary key (tenant_id, sequence),
       unique (tenant_id, audit_id)
     )`,
  );
  await tenantTable(db, "audit_seals", { app: "select, insert" });
  await appendOnly(db, "audit_seals");
  await sql`create index inventory_audit_log_unsealed on inventory_audit_log (tenant_id, created_at, id)`.execute(
    db,
  );
}
