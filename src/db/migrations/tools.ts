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
