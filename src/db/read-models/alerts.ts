import { sql } from "kysely";
import type { AlertKind, AlertSeverity } from "../../domain/alert/alert.ts";
import type { AlertState } from "../../domain/alert/life.ts";
import type { AlertMedium } from "../../domain/alert/recipients.ts";
import type { ReorderRecommendation } from "../../domain/alert/reorder.ts";
import type { AlertId, SkuId } from "../../domain/ids.ts";
import type { TenantTransaction } from "../tenant.ts";

export interface AlertRow {
  readonly id: string;
  readonly kind: AlertKind;
  readonly severity: AlertSeverity;
  readonly state: AlertState;
  readonly product_id: string;
  readonly sku: string;
  readonly name: string;
  readonly subject_id: string;
  readonly available_when_opened: number | null;
  readonly threshold: number | null;
  readonly reason: string | null;
  readonly recommendation: ReorderRecommendation | null;
  readonly reminders: number;
  readonly opened_at: string;
  readonly acknowledged_at: string | null;
  readonly acknowledged_by: string | null;
  readonly snoozed_until: string | null;
  readonly resolved_at: string | null;
  readonly resolved_by: string | null;
  readonly over_at: string | null;
  /** `opened_at` to the microsecond: what the list is sorted by, with the id. */
  readonly sort_time: string;
}

export interface AlertFilter {
  readonly state?: AlertState | undefined;
  readonly kind?: AlertKind | undefined;
  readonly severity?: AlertSeverity | undefined;
  readonly product_id?: string | undefined;
}

const alertColumns = sql`alert.id, alert.kind, alert.severity, alert.state, alert.sku_id as product_id, sku.code as sku, sku.name,
  alert.subject_id, (alert.facts ->> 'available')::integer as available_when_opened,
  (alert.facts ->> 'threshold')::integer as threshold, alert.facts ->> 'reason' as reason, alert.recommendation,
  greatest(alert.steps - 1, 0) as reminders, alert.opened_at, alert.acknowledged_at,
  acknowledger.name as acknowledged_by, alert.snoozed_until, alert.resolved_at, resolver.name as resolved_by,
  alert.rearmed_at as over_at, alert.opened_at::text as sort_time`;

const alertTables = sql`alerts as alert
  join skus as sku on sku.tenant_id = alert.tenant_id and sku.id = alert.sku_id
  left join users as acknowledger on acknowledger.tenant_id = alert.tenant_id and acknowledger.id = alert.acknowledged_by
  left join users as resolver on resolver.tenant_id = alert.tenant_id and resolver.id = alert.resolved_by`;

/** The seller's alerts, newest first; one more than asked for when there are older ones. */
export async function listAlerts(
  transaction: TenantTransaction,
  filter: AlertFilter,
  limit: number,
  before: { readonly sortTime: string; readonly id: string } | null,
): Promise<readonly AlertRow[]> {
  const { rows } = await sql<AlertRow>`
    select ${alertColumns}
    from ${alertTables}
    where ${filter.state === undefined ? sql`true` : sql`alert.state = ${filter.state}`}
      and ${filter.kind === undefined ? sql`true` : sql`alert.kind = ${filter.kind}`}
      and ${filter.severity === undefined ? sql`true` : sql`alert.severity = ${filter.severity}`}
      and ${filter.product_id === undefined ? sql`true` : sql`alert.sku_id = ${filter.product_id}`}
      and ${before === null ? sql`true` : sql`(alert.opened_at, alert.id) < (${before.sortTime}::timestamptz, ${before.id}::uuid)`}
    order by alert.opened_at desc, alert.id desc
    limit ${limit + 1}
  `.execute(transaction);
  return rows;
}

export async function findAlert(transaction: TenantTransaction, alertId: AlertId): Promise<AlertRow | null> {
  const { rows } = await sql<AlertRow>`
    select ${alertColumns} from ${alertTables} where alert.id = ${alertId}`.execute(transaction);
  return rows[0] ?? null;
}

export interface AlertDeliveryRow {
  readonly id: string;
  /** Null: those who look after the installation. */
  readonly user_id: string | null;
  readonly user_name: string | null;
  readonly medium: AlertMedium;
  readonly rung: number;
  readonly state: "due" | "sending" | "sent" | "given_up" | "unneeded";
  readonly attempts: number;
  readonly last_error: string | null;
  readonly created_at: string;
  readonly attempted_at: string | null;
  readonly ended_at: string | null;
}

const deliveriesMaximum = 200;

/** To whom an alert went, the newest 200 messages first. */
export async function listAlertDeliveries(
  transaction: TenantTransaction,
  alertId: AlertId,
): Promise<readonly AlertDeliveryRow[]> {
  const { rows } = await sql<AlertDeliveryRow>`
    select delivery.id, delivery.user_id, person.name as user_name, delivery.medium, delivery.rung, delivery.state,
      delivery.attempts, delivery.last_error, delivery.created_at, delivery.attempted_at, delivery.ended_at
    from alert_deliveries as delivery
    left join users as person on person.tenant_id = delivery.tenant_id and person.id = delivery.user_id
    where delivery.alert_id = ${alertId}
    order by delivery.step desc, delivery.id desc
    limit ${sql.lit(deliveriesMaximum)}
  `.execute(transaction);
  return rows;
}

export interface ReplenishmentRow {
  readonly threshold_mode: "automatic" | "fixed";
  readonly low_stock_threshold: number;
  readonly lead_time_days: number | null;
}

/** How a SKU's threshold is found and how long its supply takes. */
export async function findReplenishment(
  transaction: TenantTransaction,
  skuId: SkuId,
): Promise<ReplenishmentRow | null> {
  const row = await transaction
    .selectFrom("skus")
    .where("id", "=", skuId)
    .select(["threshold_mode", "low_stock_threshold", "lead_time_days"])
    .executeTakeFirst();
  if (row === undefined) return null;
  return { ...row, threshold_mode: row.threshold_mode === "fixed" ? "fixed" : "automatic" };
}
