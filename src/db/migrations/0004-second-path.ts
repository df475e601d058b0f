import type { Kysely } from "kysely";
import { run, tenantTable } from "./tools.ts";

/** How far each shop's second path has read, and whether its channel is well. */
export async function up(db: Kysely<unknown>): Promise<void> {
  await run(
    db,
    `create table sync_cursors (
       tenant_id uuid not null,
       shop_id uuid not null,
       kind text not null check (kind in ('orders')),
       cursor timestamptz,
       last_run_at timestamptz not null default clock_timestamp(),
       last_success_at timestamptz,
       last_error text,
       seen_total bigint not null default 0 check (seen_total >= 0),
       recovered_total bigint not null default 0 check (recovered_total >= 0),
       awaited_total bigint not null default 0 check (awaited_total >= 0),
       refused_total bigint not null default 0 check (refused_total >= 0),
       primary key (tenant_id, shop_id, kind),
       foreign key (tenant_id, shop_id) references shops (tenant_id, id),
       check (recovered_total + awaited_total + refused_total <= seen_total)
     );
     create function cursor_moves_forward() returns trigger language plpgsql as $$
     begin
       if new.cursor < old.cursor or (new.cursor is null and old.cursor is not null) then
         raise exception 'a cursor never goes back' using errcode = 'restrict_violation';
       end if;
       return new;
     end $$;
     create trigger moves_forward before update on sync_cursors for each row execute function cursor_moves_forward()`,
  );
  await tenantTable(db, "sync_cursors", { app: "select, insert, update" });

  await run(
    db,
    `create table circuit_breakers (
       tenant_id uuid not null,
       shop_id uuid not null,
       failures integer not null default 0 check (failures >= 0),
       opened_at timestamptz,
       retry_at timestamptz,
       last_answer_at timestamptz,
       last_failure_at timestamptz,
       last_failure text,
       latency_milliseconds double precision check (latency_milliseconds >= 0),
       primary key (tenant_id, shop_id),
       foreign key (tenant_id, shop_id) references shops (tenant_id, id),
       check ((opened_at is null) = (retry_at is null))
     )`,
  );
  await tenantTable(db, "circuit_breakers", { app: "select, insert, update" });

  // An order that a poll found and the database refuses is parked like a webhook's, for people to see and replay.
  await run(db, "grant insert on webhook_deliveries to cf_dispatcher");
}
