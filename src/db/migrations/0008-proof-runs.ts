import type { Kysely } from "kysely";
import { appendOnly, run } from "./tools.ts";

/**
 * What each proof found, so that metrics and health can tell the last one's result and age. It spans all sellers, so a row
 * counts and names no subject.
 */
export async function up(db: Kysely<unknown>): Promise<void> {
  await run(
    db,
    `create table proof_runs (
       id uuid primary key default uuidv7(),
       began_at timestamptz not null,
       finished_at timestamptz not null default clock_timestamp(),
       clean boolean not null,
       violations integer not null check (violations >= 0),
       under_way integer not null check (under_way >= 0),
       compared_with_channel boolean not null,
       checks jsonb not null,
       check (clean = (violations = 0)),
       check (began_at <= finished_at)
     );
     create index proof_runs_recent on proof_runs (finished_at desc);
     grant insert on proof_runs to cf_dispatcher;
     grant select on proof_runs to cf_app, cf_report;
     create index webhook_deliveries_parked on webhook_deliveries (received_at) where state = 'parked'`,
  );
  await appendOnly(db, "proof_runs");
}
