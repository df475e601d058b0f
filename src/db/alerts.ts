import { type RawBuilder, sql } from "kysely";
import { type AlertFacts, type AlertKind, severityOf } from "../domain/alert/alert.ts";
import { type AlertEvent, type AlertRefusal, type AlertState, nextState } from "../domain/alert/life.ts";
import { refuseSnooze, type SnoozeRefusal } from "../domain/alert/snooze.ts";
import type { Refusal } from "../domain/decision.ts";
import { isRefusal } from "../domain/decision.ts";
import type { AlertId, SkuId, TenantId, UserId } from "../domain/ids.ts";
import { appendToOutbox } from "./outbox.ts";
import { currentTenant, type TenantTransaction } from "./tenant.ts";

export interface AlertToOpen {
  readonly kind: AlertKind;
  readonly skuId: SkuId;
  /** What exactly it is about when a SKU may have several, such as a listing's id; the SKU unless told. */
  readonly subjectId?: string;
  readonly facts?: AlertFacts;
}

/**
 * Opens alerts, in the transaction that finds their conditions, and has people told once that is committed. A condition
 * whose alert is there already, answered or not, opens no second one until `resolveAlerts` has said that it is over.
 */
export async function openAlerts(
  transaction: TenantTransaction,
  tenantId: TenantId,
  alerts: readonly AlertToOpen[],
): Promise<void> {
  if (alerts.length === 0) return;
  const rows = alerts.map(({ kind, skuId, subjectId, facts }) => ({
    kind,
    severity: severityOf(kind),
    sku_id: skuId,
    subject_id: subjectId ?? skuId,
    facts: facts ?? {},
  }));
  // One statement: a batch of stock pays one round trip for an alert and for the message that tells of it.
  await sql`
    with opened as (
      insert into alerts (tenant_id, kind, severity, sku_id, subject_id, facts)
      select ${tenantId}, kind, severity, sku_id, subject_id, facts
      from jsonb_to_recordset(${JSON.stringify(rows)}::jsonb)
        as given (kind text, severity text, sku_id uuid, subject_id text, facts jsonb)
      on conflict (tenant_id, kind, subject_id) where state <> 'rearmed' do nothing
      returning id
    )
    insert into outbox (tenant_id, kind, key, payload)
    select ${tenantId}, 'deliver_alert', id::text, jsonb_build_object('alertId', id) from opened
  `.execute(transaction);
}

/** Opens one alert; see `openAlerts`. */
export async function openAlert(
  transaction: TenantTransaction,
  tenantId: TenantId,
  alert: AlertToOpen,
): Promise<void> {
  await openAlerts(transaction, tenantId, [alert]);
}

/**
 * Notes that conditions are over: their alerts end, whatever people have said of them, and the next time is a new alert.
 * Without an alert nothing happens.
 *
 * @param subjectId what the alerts are about, as it was when they were opened.
 * @param onlyIf a further condition, as SQL.
 */
export async function resolveAlerts(
  transaction: TenantTransaction,
  tenantId: TenantId,
  kinds: readonly AlertKind[],
  subjectId: string,
  onlyIf: RawBuilder<unknown> = sql`true`,
): Promise<void> {
  if (kinds.length === 0) return;
  await sql`
    with over as (
      update alerts
      set state = 'rearmed', rearmed_at = clock_timestamp(), snoozed_until = null
      where tenant_id = ${currentTenant} and kind = any (${kinds}::text[]) and subject_id = ${subjectId}
        and state <> 'rearmed' and ${onlyIf}
      returning id, old.state as was
    )
    insert into outbox (tenant_id, kind, key, payload)
    select ${tenantId}, 'deliver_alert', id || '/over', jsonb_build_object('alertId', id)
    from over where was in ('open', 'snoozed')
  `.execute(transaction);
}

/** What a person says of an alert. */
export type AlertAnswer =
  | { readonly event: "acknowledge" | "resolve" }
  | { readonly event: "snooze" /** ISO 8601. */; readonly until: string };

/**
 * Writes down what a person says of an alert, and lets its workflow know.
 *
 * @param effectId the person's request; sent again it changes nothing more.
 * @returns the state that the alert is in now, why it was refused, or null when there is no such alert.
 */
export async function answerAlert(
  transaction: TenantTransaction,
  tenantId: TenantId,
  alertId: AlertId,
  answer: AlertAnswer,
  by: UserId,
  effectId: string,
): Promise<AlertState | Refusal<AlertRefusal | SnoozeRefusal> | null> {
  const alert = await transaction
    .selectFrom("alerts")
    .where("id", "=", alertId)
    .select(["state", sql<string>`clock_timestamp()`.as("now")])
    .forUpdate()
    .executeTakeFirst();
  if (alert === undefined) return null;
  const key = `${alertId}/${effectId}`.slice(0, 400);
  const said = await transaction
    .selectFrom("outbox")
    .where("tenant_id", "=", tenantId)
    .where("kind", "=", "deliver_alert")
    .where("key", "=", key)
    .select("id")
    .executeTakeFirst();
  // Whatever has become of it since: other people may have answered, or the snooze may be over.
  if (said !== undefined) return alert.state as AlertState;
  const refusal = answer.event === "snooze" ? refuseSnooze(answer.until, alert.now) : null;
  if (refusal !== null) return refusal;
  const next = nextState(alert.state as AlertState, answer.event satisfies AlertEvent);
  if (typeof next !== "string" && isRefusal(next)) return next;
  await transaction
    .updateTable("alerts")
    .set({
      state: next,
      snoozed_until: answer.event === "snooze" ? answer.until : null,
      ...(answer.event === "acknowledge" && alert.state !== "acknowledged"
        ? { acknowledged_at: sql`clock_timestamp()`, acknowledged_by: by }
        : {}),
      ...(answer.event === "resolve" && alert.state !== "resolved"
        ? { resolved_at: sql`clock_timestamp()`, resolved_by: by }
        : {}),
    })
    .where("id", "=", alertId)
    .execute();
  await appendToOutbox(transaction, tenantId, [{ kind: "deliver_alert", key, payload: { alertId } }]);
  return next;
}
