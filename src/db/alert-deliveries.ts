import { sql } from "kysely";
import type { AlertFacts, AlertKind, AlertSeverity } from "../domain/alert/alert.ts";
import type { Unanswered } from "../domain/alert/escalation.ts";
import { type AlertState, isUnanswered } from "../domain/alert/life.ts";
import type { AlertMedium, Notice } from "../domain/alert/recipients.ts";
import type { ReorderRecommendation } from "../domain/alert/reorder.ts";
import { type AlertDeliveryId, type AlertId, asId, type SkuId, type UserId } from "../domain/ids.ts";
import { currentTenant, type TenantTransaction } from "./tenant.ts";
import { findRecommendation } from "./thresholds.ts";

/** An alert, locked, as whoever decides about telling people of it needs it. */
export interface LockedAlert {
  readonly alertId: AlertId;
  readonly kind: AlertKind;
  readonly skuId: SkuId;
  readonly unanswered: Unanswered;
  /** Steps taken ever: the next one's number. */
  readonly steps: number;
  readonly hasRecommendation: boolean;
  /** Milliseconds since the epoch, by the database's clock. */
  readonly now: number;
}

export async function lockAlert(
  transaction: TenantTransaction,
  alertId: AlertId,
): Promise<LockedAlert | null> {
  const row = await transaction
    .selectFrom("alerts")
    .where("id", "=", alertId)
    .select(["kind", "severity", "sku_id", "state", "counted_from", "snoozed_until", "rungs", "steps"])
    .select((eb) => [
      eb("recommendation", "is not", null).as("has_recommendation"),
      sql<string>`clock_timestamp()`.as("now"),
    ])
    .forUpdate()
    .executeTakeFirst();
  if (row === undefined) return null;
  return {
    alertId,
    kind: row.kind as AlertKind,
    skuId: asId<"Sku">(row.sku_id),
    unanswered: {
      state: row.state as AlertState,
      severity: row.severity as AlertSeverity,
      countedFrom: Date.parse(row.counted_from),
      snoozedUntil: row.snoozed_until === null ? null : Date.parse(row.snoozed_until),
      rungs: row.rungs,
    },
    steps: row.steps,
    hasRecommendation: Boolean(row.has_recommendation),
    now: Date.parse(row.now),
  };
}

/** The snooze is over: the alert is open again, and its ladder begins anew. */
export async function wakeAlert(transaction: TenantTransaction, alertId: AlertId): Promise<void> {
  await transaction
    .updateTable("alerts")
    .set({ state: "open", snoozed_until: null, rungs: 0, counted_from: sql`clock_timestamp()` })
    .where("id", "=", alertId)
    .where("state", "=", "snoozed")
    .execute();
}

/** Takes a step up the ladder: its messages are written down, to be sent once this is committed. */
export async function planStep(
  transaction: TenantTransaction,
  { alertId, steps }: Pick<LockedAlert, "alertId" | "steps">,
  rung: number,
  notices: readonly Notice[],
): Promise<void> {
  const rows = notices.map(({ userId, medium }) => ({ user_id: userId, medium }));
  // What the app shows is the row itself: it is sent with the commit.
  await sql`
    insert into alert_deliveries (tenant_id, alert_id, user_id, medium, step, rung, state, attempts, ended_at)
    select ${currentTenant}, ${alertId}::uuid, user_id, medium, ${steps}::integer, ${rung}::integer,
      case medium when 'in_app' then 'sent' else 'due' end,
      case medium when 'in_app' then 1 else 0 end,
      case medium when 'in_app' then clock_timestamp() end
    from jsonb_to_recordset(${JSON.stringify(rows)}::jsonb) as given (user_id uuid, medium text)
    on conflict (tenant_id, alert_id, user_id, medium, step) do nothing
  `.execute(transaction);
  await transaction
    .updateTable("alerts")
    // Rungs that were slept through count as steps that were taken: there are never fewer steps than rungs.
    .set({ rungs: rung + 1, steps: Math.max(steps, rung) + 1 })
    .where("id", "=", alertId)
    .execute();
}

/** Messages of an alert that are still to be sent, oldest first. */
export async function findWaitingDeliveries(
  transaction: TenantTransaction,
  alertId: AlertId,
): Promise<readonly AlertDeliveryId[]> {
  const rows = await transaction
    .selectFrom("alert_deliveries")
    .where("alert_id", "=", alertId)
    .where("state", "in", ["due", "sending"])
    .orderBy("step")
    .orderBy("id")
    .select("id")
    .execute();
  return rows.map(({ id }) => asId<"AlertDelivery">(id));
}

/** What an alert recommends to order, reckoned from the numbers of this moment and kept with it. */
export async function saveRecommendation(
  transaction: TenantTransaction,
  alertId: AlertId,
  skuId: SkuId,
): Promise<void> {
  const recommendation = await findRecommendation(transaction, skuId);
  await transaction
    .updateTable("alerts")
    .set({ recommendation: recommendation === null ? null : JSON.stringify(recommendation) })
    .where("id", "=", alertId)
    .execute();
}

/** One message that is about to be sent. */
export interface ClaimedDelivery {
  readonly userId: UserId | null;
  readonly medium: Exclude<AlertMedium, "in_app">;
  readonly alertId: AlertId;
  readonly kind: AlertKind;
  readonly facts: AlertFacts;
  readonly reorder: ReorderRecommendation | null;
  readonly rung: number;
  readonly sku: { readonly name: string; readonly code: string };
}

/** Messages to one person by one medium within an hour; more wait, so that a bad night does not bury a mailbox. */
const anHourMaximum = { email: 30, sms: 10 } as const;

/**
 * Takes a message to send it: the attempt is written down before it is made, so that whoever comes after a crash knows that
 * it may have gone out.
 *
 * @returns "ended" when it has ended already, or when somebody has answered the alert meanwhile, and "later" when the
 *   person has got as many messages within an hour as one can take.
 */
export async function claimDelivery(
  transaction: TenantTransaction,
  deliveryId: AlertDeliveryId,
): Promise<ClaimedDelivery | "ended" | "later"> {
  const { rows } = await sql<{
    user_id: string | null;
    medium: "email" | "sms";
    rung: number;
    attempts: number;
    alert_id: string;
    alert_state: AlertState;
    kind: AlertKind;
    facts: AlertFacts;
    recommendation: ReorderRecommendation | null;
    name: string;
    code: string;
    sent_lately: number;
  }>`
    select delivery.user_id, delivery.medium, delivery.rung, delivery.attempts, alert.id as alert_id,
      alert.state as alert_state, alert.kind, alert.facts, alert.recommendation, sku.name, sku.code,
      (select count(*)::integer from alert_deliveries as other
       where other.tenant_id = delivery.tenant_id and other.user_id is not distinct from delivery.user_id
         and other.medium = delivery.medium and other.state = 'sent' and other.ended_at > now() - interval '1 hour'
      ) as sent_lately
    from alert_deliveries as delivery
    join alerts as alert on alert.tenant_id = delivery.tenant_id and alert.id = delivery.alert_id
    join skus as sku on sku.tenant_id = alert.tenant_id and sku.id = alert.sku_id
    where delivery.id = ${deliveryId} and delivery.state in ('due', 'sending')
    for update of delivery
  `.execute(transaction);
  const [row] = rows;
  if (row === undefined) return "ended";
  if (!isUnanswered(row.alert_state) || row.alert_state === "snoozed") {
    await endDelivery(transaction, deliveryId, "unneeded", "Answered before it was sent");
    return "ended";
  }
  if (row.sent_lately >= anHourMaximum[row.medium]) return "later";
  await transaction
    .updateTable("alert_deliveries")
    .set({ state: "sending", attempts: row.attempts + 1, attempted_at: sql`clock_timestamp()` })
    .where("id", "=", deliveryId)
    .execute();
  return {
    userId: row.user_id === null ? null : asId<"User">(row.user_id),
    medium: row.medium,
    alertId: asId<"Alert">(row.alert_id),
    kind: row.kind,
    facts: row.facts,
    reorder: row.recommendation,
    rung: row.rung,
    sku: { name: row.name, code: row.code },
  };
}

/** Writes down how a message ended; the first ending counts. */
export async function endDelivery(
  transaction: TenantTransaction,
  deliveryId: AlertDeliveryId,
  state: "sent" | "given_up" | "unneeded",
  reason: string | null,
): Promise<void> {
  await transaction
    .updateTable("alert_deliveries")
    .set({ state, last_error: reason, ended_at: sql`clock_timestamp()` })
    .where("id", "=", deliveryId)
    .where("state", "in", ["due", "sending"])
    .execute();
}

/** Writes down why an attempt failed that is made again. */
export async function noteDeliveryFailure(
  transaction: TenantTransaction,
  deliveryId: AlertDeliveryId,
  reason: string,
): Promise<void> {
  await transaction
    .updateTable("alert_deliveries")
    .set({ last_error: reason.slice(0, 500) })
    .where("id", "=", deliveryId)
    .where("state", "=", "sending")
    .execute();
}
