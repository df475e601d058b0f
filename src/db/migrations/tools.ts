import { type Kysely, sql } from "kysely";

/** Runs SQL text that holds no parameters; statements are separated by semicolons. */
export async function run(db: Kysely<unknown>, text: string): Promise<void> {
  await sql.raw(text).execute(db);
}

/**
 * Puts a table (and a partition's parent) behind the tenant wall: row-level security enabled and forced, one policy on
 * the transaction's tenant, and the listed rights for `cf_app`. `cf_report` reads everything.
 *
 * The sub-select lets the planner evaluate the setting once; `nullif` matters because a custom setting falls back to
 * the empty string, not to null, after a transaction has used it.
 */
export async function tenantTable(
  db: Kysely<unknown>,
  table: string,
  rights: { app: string },
): Promise<void> {
  await run(
    db,
    `alter table ${table} enable row level security;
     alter table ${table} force row level security;
     create policy tenant_wall on ${table}
       using (tenant_id = (select nullif(current_setting('app.tenant_id', true), '')::uuid))
       with check (tenant_id = (select nullif(current_setting('app.tenant_id', true), '')::uuid));
     create policy report_reads on ${table} for select to cf_report using (true);
     grant ${rights.app} on ${table} to cf_app;
     grant select on ${table} to cf_report`,
  );
}

/** Facts are appended, never edited: updates, deletes and truncation of the table are refused for everybody. */
export async function appendOnly(db: Kysely<unknown>, table: string): Promise<void> {
  await run(
    db,
    `create trigger append_only before update or delete on ${table} for each row execute function refuse_change();
     create trigger never_emptied before truncate on ${table} for each statement execute function refuse_change()`,
  );
}

/** Adds to the kinds that are allowed, whichever these are by now: several features bring some of their own. */
export async function allowOutboxKinds(db: Kysely<unknown>, kinds: readonly string[]): Promise<void> {
  await run(
    db,
    `do $$
     declare
       allowed text;
     begin
       select string_agg(quote_literal(kind), ', ') into allowed from (
         select (regexp_matches(pg_get_constraintdef(oid), '''([a-z_]+)''', 'g'))[1] as kind
           from pg_constraint where conrelid = 'outbox'::regclass and conname = 'outbox_kind_check'
         union
         select unnest(array[${kinds.map((kind) => `'${kind}'`).join(", ")}])
       ) as kinds;
       alter table outbox drop constraint if exists outbox_kind_check;
       execute format('alter table outbox add constraint outbox_kind_check check (kind in (%s))', allowed);
     end $$`,
  );
}
