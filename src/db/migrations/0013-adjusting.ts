import type { Kysely } from "kysely";
import { allowOutboxKinds, run, tenantTable } from "./tools.ts";

/** Changes that wait for an approval, changes by the thousand, and the code that a scanner reads. */
export async function up(db: Kysely<unknown>): Promise<void> {
  await approvals(db);
  await bulkOperations(db);
  await run(
    db,
    `alter table skus add column barcode text
       constraint a_scanner_can_read_it check (barcode ~ '^[0-9A-Za-z-]{4,48}$');
     create unique index skus_by_barcode on skus (tenant_id, barcode) where barcode is not null`,
  );
  await allowOutboxKinds(db, ["start_approval", "start_bulk"]);
}

async function approvals(db: Kysely<unknown>): Promise<void> {
  await run(
    db,
    `create table approvals (
       id uuid primary key default uuidv7(),
       tenant_id uuid not null,
       -- Of the request that asked: sent again it finds its own row.
       effect_id text not null check (length(effect_id) between 1 and 300),
       sku_id uuid not null,
       location_id uuid,
       quantity integer not null check (quantity <> 0),
       counted integer check (counted >= 0),
       reason text not null check (length(reason) between 1 and 500),
       on_hand_when_asked integer not null,
       available_when_asked integer not null,
       requested_by uuid not null,
       requested_at timestamptz not null default clock_timestamp(),
       expires_at timestamptz not null,
       state text not null default 'waiting'
         check (state in ('waiting', 'approving', 'approved', 'rejected', 'expired', 'failed')),
       decided_by uuid,
       decided_at timestamptz,
       note text check (length(note) between 1 and 500),
       refusal text,
       on_hand_after integer,
       available_after integer,
       settled_at timestamptz,
       unique (tenant_id, id),
       unique (tenant_id, effect_id),
       foreign key (tenant_id, sku_id) references skus (tenant_id, id),
       foreign key (tenant_id, location_id) references locations (tenant_id, id),
       foreign key (tenant_id, requested_by) references users (tenant_id, id),
       foreign key (tenant_id, decided_by) references users (tenant_id, id),
       constraint expires_later check (expires_at > requested_at),
       constraint decided_by_somebody check ((state in ('waiting', 'expired')) = (decided_by is null)
         and (decided_by is null) = (decided_at is null)),
       constraint never_approved_by_who_asked check (state = 'rejected' or decided_by <> requested_by),
       constraint settled_when_over check ((settled_at is null) = (state in ('waiting', 'approving'))),
       constraint refused_when_failed check ((refusal is not null) = (state = 'failed')),
       constraint numbers_when_approved check ((on_hand_after is not null) = (state = 'approved')
         and (available_after is not null) = (state = 'approved'))
     );
     create index approvals_by_state on approvals (tenant_id, state, requested_at desc, id desc);
     create index approvals_recent on approvals (tenant_id, requested_at desc, id desc);
     create index approvals_of_sku on approvals (tenant_id, sku_id);

     create trigger what_is_asked_is_fixed before update on approvals for each row
       when ((new.tenant_id, new.id, new.effect_id, new.sku_id, new.location_id, new.quantity, new.counted, new.reason,
           new.on_hand_when_asked, new.available_when_asked, new.requested_by, new.requested_at, new.expires_at)
         is distinct from (old.tenant_id, old.id, old.effect_id, old.sku_id, old.location_id, old.quantity, old.counted,
           old.reason, old.on_hand_when_asked, old.available_when_asked, old.requested_by, old.requested_at, old.expires_at))
       execute function refuse_illegal_change('what was asked for cannot change');
     create trigger ended_is_ended before update on approvals for each row
       when (old.settled_at is not null and new is distinct from old)
       execute function refuse_illegal_change('what was decided stays decided');
     create trigger approved_is_approved before update on approvals for each row
       when (old.state = 'approving' and (new.state not in ('approving', 'approved', 'failed')
         or (new.decided_by, new.decided_at) is distinct from (old.decided_by, old.decided_at)))
       execute function refuse_illegal_change('what was approved goes to the stock')`,
  );
  await tenantTable(db, "approvals", { app: "select, insert, update" });
}

async function bulkOperations(db: Kysely<unknown>): Promise<void> {
  await run(
    db,
    `create table bulk_operations (
       id uuid primary key default uuidv7(),
       tenant_id uuid not null references tenants,
       kind text not null check (kind in ('import', 'batch')),
       dry_run boolean not null,
       requested_by uuid not null,
       state text not null default 'staging' check (state in ('staging', 'waiting', 'finished')),
       -- Of the request that asked: sent again it finds its own row. Known once all rows are staged.
       effect_id text check (length(effect_id) between 1 and 300),
       content_hash bytea check (length(content_hash) = 32),
       row_count integer check (row_count >= 0),
       created_at timestamptz not null default clock_timestamp(),
       finished_at timestamptz,
       unique (tenant_id, id),
       unique (tenant_id, effect_id),
       foreign key (tenant_id, requested_by) references users (tenant_id, id),
       constraint named_when_staged check ((state = 'staging') = (effect_id is null)
         and (effect_id is null) = (content_hash is null) and (effect_id is null) = (row_count is null)),
       constraint finished_when_finished check ((state = 'finished') = (finished_at is not null))
     );
     create index bulk_operations_staging on bulk_operations (tenant_id, created_at) where state = 'staging';
     create index bulk_operations_waiting on bulk_operations (tenant_id, created_at) where state = 'waiting';

     create table bulk_items (
       tenant_id uuid not null,
       bulk_id uuid not null,
       row_number integer not null check (row_number > 0),
       -- The line of the file in which the row begins; null when there was no file.
       line integer check (line > 0),
       -- The cells as they came, for whoever must mend them.
       given jsonb not null,
       sku_id uuid,
       location_id uuid,
       mode text check (mode in ('delta', 'count')),
       quantity integer,
       reason text check (length(reason) between 1 and 500),
       state text not null check (state in ('waiting', 'applied', 'refused')),
       problem text,
       on_hand integer,
       available integer,
       primary key (tenant_id, bulk_id, row_number),
       foreign key (tenant_id, bulk_id) references bulk_operations (tenant_id, id),
       foreign key (tenant_id, sku_id) references skus (tenant_id, id),
       foreign key (tenant_id, location_id) references locations (tenant_id, id),
       constraint whole_or_refused check (state = 'refused'
         or (sku_id is not null and mode is not null and quantity is not null and reason is not null)),
       constraint a_refusal_has_a_reason check ((state = 'refused') = (problem is not null)),
       constraint numbers_when_applied check ((state = 'applied') = (on_hand is not null)
         and (state = 'applied') = (available is not null))
     );
     create index bulk_items_waiting on bulk_items (tenant_id, bulk_id, sku_id, row_number) where state = 'waiting';
     create index bulk_items_by_state on bulk_items (tenant_id, bulk_id, state, row_number);

     create trigger row_is_fixed before update on bulk_items for each row
       when ((new.tenant_id, new.bulk_id, new.row_number, new.line, new.given, new.sku_id, new.location_id, new.mode,
           new.quantity, new.reason)
         is distinct from (old.tenant_id, old.bulk_id, old.row_number, old.line, old.given, old.sku_id, old.location_id,
           old.mode, old.quantity, old.reason))
       execute function refuse_illegal_change('what a row asks for cannot change');
     create trigger ended_is_ended before update on bulk_items for each row
       when (old.state <> 'waiting' and new is distinct from old)
       execute function refuse_illegal_change('a row has one result');
     create trigger ended_is_ended before update on bulk_operations for each row
       when (old.state = 'finished' and new is distinct from old)
       execute function refuse_illegal_change('what has finished stays finished');
     create trigger named_once before update on bulk_operations for each row
       when (old.effect_id is not null
         and (new.effect_id, new.content_hash, new.row_count, new.dry_run, new.requested_by, new.kind)
           is distinct from (old.effect_id, old.content_hash, old.row_count, old.dry_run, old.requested_by, old.kind))
       execute function refuse_illegal_change('what was asked for cannot change');
     create trigger kept_when_staged before delete on bulk_operations for each row
       when (old.state <> 'staging') execute function refuse_illegal_change('what was asked for is kept')`,
  );
  await tenantTable(db, "bulk_operations", { app: "select, insert, update, delete" });
  await tenantTable(db, "bulk_items", { app: "select, insert, update, delete" });
}
