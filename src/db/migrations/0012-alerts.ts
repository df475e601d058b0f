import type { Kysely } from "kysely";
import { allowOutboxKinds, run, tenantTable } from "./tools.ts";

/**
 * Alerts, to whom they went, and what is sold a day.
 *
 * An alert keeps its place in `alerts_one_a_condition` until its condition is over, whatever people say of it meanwhile. A
 * delivery is one message to one person by one medium on one rung of the ladder: its key makes sure that it is planned once.
 */
export async function up(db: Kysely<unknown>): Promise<void> {
  await run(
    db,
    `alter table tenants
       add column plan text not null default 'standard',
       add column engineering_email text,
       add column lead_time_days integer not null default 14,
       add column target_cover_days integer not null default 30,
       add constraint plan_is_known check (plan in ('standard', 'premium')),
       add constraint engineering_email_is_short check (length(engineering_email) between 3 and 320),
       add constraint lead_time_is_bounded check (lead_time_days between 0 and 365),
       add constraint cover_is_bounded check (target_cover_days between 1 and 365);

     -- Encrypted; what it is bound to is in src/db/notification-preferences.ts.
     alter table users add column phone bytea;

     alter table skus
       add column threshold_mode text not null default 'automatic',
       add column lead_time_days integer,
       add column units_sold_30_days integer not null default 0,
       add column sales_counted_sequence bigint not null default 0,
       add constraint threshold_mode_is_known check (threshold_mode in ('automatic', 'fixed')),
       add constraint lead_time_is_bounded check (lead_time_days between 0 and 365),
       add constraint sales_are_counted_on check (sales_counted_sequence >= 0);

     alter table listings add column sync_failures integer not null default 0 check (sync_failures >= 0)`,
  );

  await run(
    db,
    `create table alerts (
       id uuid primary key default uuidv7(),
       tenant_id uuid not null references tenants,
       kind text not null,
       severity text not null,
       sku_id uuid not null,
       subject_id text not null,
       state text not null default 'open',
       facts jsonb not null default '{}',
       recommendation jsonb,
       opened_at timestamptz not null default clock_timestamp(),
       counted_from timestamptz not null default clock_timestamp(),
       rungs integer not null default 0,
       steps integer not null default 0,
       acknowledged_at timestamptz,
       acknowledged_by uuid,
       snoozed_until timestamptz,
       resolved_at timestamptz,
       resolved_by uuid,
       rearmed_at timestamptz,
       unique (tenant_id, id),
       foreign key (tenant_id, sku_id) references skus (tenant_id, id),
       foreign key (tenant_id, acknowledged_by) references users (tenant_id, id),
       foreign key (tenant_id, resolved_by) references users (tenant_id, id),
       constraint alert_kind_is_known
         check (kind in ('low_stock', 'out_of_stock', 'sync_failed', 'drift', 'shortage', 'viral', 'stock_corrupt')),
       constraint alert_severity_is_known check (severity in ('warning', 'critical')),
       constraint alert_state_is_known check (state in ('open', 'acknowledged', 'snoozed', 'resolved', 'rearmed')),
       constraint alert_subject_is_named check (length(subject_id) between 1 and 200),
       constraint snoozed_until_a_time check ((state = 'snoozed') = (snoozed_until is not null)),
       constraint over_since_a_time check ((state = 'rearmed') = (rearmed_at is not null)),
       constraint resolved_since_a_time check (state <> 'resolved' or resolved_at is not null),
       constraint steps_count_up check (rungs >= 0 and steps >= rungs)
     );
     create unique index alerts_one_a_condition on alerts (tenant_id, kind, subject_id) where state <> 'rearmed';
     create index alerts_recent on alerts (tenant_id, opened_at desc, id desc);
     create index alerts_unanswered on alerts (tenant_id, opened_at desc, id desc) where state in ('open', 'snoozed');
     create index alerts_of_sku on alerts (tenant_id, sku_id);

     create trigger names_are_fixed before update on alerts for each row
       when ((new.tenant_id, new.id, new.kind, new.sku_id, new.subject_id, new.opened_at)
         is distinct from (old.tenant_id, old.id, old.kind, old.sku_id, old.subject_id, old.opened_at))
       execute function refuse_illegal_change('what the row is about cannot change');
     create trigger ended_is_ended before update on alerts for each row
       when (old.state = 'rearmed' and new is distinct from old)
       execute function refuse_illegal_change('an alert that is over stays over');
     create trigger stays_resolved before update on alerts for each row
       when (old.state = 'resolved' and new.state not in ('resolved', 'rearmed'))
       execute function refuse_illegal_change('a resolved alert is only rearmed');
     create trigger counts_up before update on alerts for each row when (new.steps < old.steps)
       execute function refuse_illegal_change('steps that were taken are never forgotten');
     create trigger never_deleted before delete on alerts for each row
       execute function refuse_illegal_change('its rows are never deleted')`,
  );
  await tenantTable(db, "alerts", { app: "select, insert, update" });

  await run(
    db,
    `create table alert_deliveries (
       id uuid primary key default uuidv7(),
       tenant_id uuid not null,
       alert_id uuid not null,
       user_id uuid,
       medium text not null,
       step integer not null,
       rung integer not null,
       state text not null default 'due',
       attempts integer not null default 0,
       last_error text,
       created_at timestamptz not null default clock_timestamp(),
       attempted_at timestamptz,
       ended_at timestamptz,
       unique (tenant_id, id),
       foreign key (tenant_id, alert_id) references alerts (tenant_id, id),
       foreign key (tenant_id, user_id) references users (tenant_id, id),
       constraint one_a_person_medium_and_step unique nulls not distinct (tenant_id, alert_id, user_id, medium, step),
       constraint delivery_medium_is_known check (medium in ('in_app', 'email', 'sms')),
       constraint delivery_state_is_known check (state in ('due', 'sending', 'sent', 'given_up', 'unneeded')),
       constraint ended_since_a_time check ((state in ('due', 'sending')) = (ended_at is null)),
       constraint engineering_gets_mail check (user_id is not null or medium = 'email'),
       constraint delivery_steps_count check (step >= 0 and rung >= 0 and attempts >= 0)
     );
     create index alert_deliveries_waiting on alert_deliveries (created_at) where state in ('due', 'sending');
     create index alert_deliveries_sent on alert_deliveries (tenant_id, user_id, medium, ended_at) where state = 'sent';

     create trigger names_are_fixed before update on alert_deliveries for each row
       when ((new.tenant_id, new.id, new.alert_id, new.user_id, new.medium, new.step, new.created_at)
         is distinct from (old.tenant_id, old.id, old.alert_id, old.user_id, old.medium, old.step, old.created_at))
       execute function refuse_illegal_change('what the row is about cannot change');
     create trigger ended_is_ended before update on alert_deliveries for each row
       when (old.ended_at is not null and new is distinct from old)
       execute function refuse_illegal_change('what was sent stays sent');
     create trigger never_deleted before delete on alert_deliveries for each row
       execute function refuse_illegal_change('its rows are never deleted')`,
  );
  await tenantTable(db, "alert_deliveries", { app: "select, insert, update" });

  await run(
    db,
    `create table notification_preferences (
       tenant_id uuid not null,
       user_id uuid not null,
       kind text not null,
       in_app boolean not null,
       email boolean not null,
       sms boolean not null,
       updated_at timestamptz not null default clock_timestamp(),
       primary key (tenant_id, user_id, kind),
       foreign key (tenant_id, user_id) references users (tenant_id, id),
       constraint preference_kind_is_known
         check (kind in ('low_stock', 'out_of_stock', 'sync_failed', 'drift', 'shortage', 'viral', 'stock_corrupt'))
     )`,
  );
  await tenantTable(db, "notification_preferences", { app: "select, insert, update" });

  await run(
    db,
    `create table daily_sales (
       tenant_id uuid not null,
       sku_id uuid not null,
       day date not null,
       units integer not null,
       primary key (tenant_id, sku_id, day),
       foreign key (tenant_id, sku_id) references skus (tenant_id, id)
     )`,
  );
  await tenantTable(db, "daily_sales", { app: "select, insert, update" });
  await allowOutboxKinds(db, ["deliver_alert", "check_alerts"]);
}
