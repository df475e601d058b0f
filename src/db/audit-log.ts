import type { SkuId, TenantId, UserId } from "../domain/ids.ts";
import type { TenantTransaction } from "./tenant.ts";

/** What a person did or was refused. Values are plain JSON without anything personal. */
export interface AuditEntry {
  readonly eventType:
    | "login"
    | "login_refused"
    | "session_reused"
    | "permission_refused"
    | "recipient_read"
    | "order_cancel"
    | "sync_pause"
    | "sync_resume"
    | "offer_settings"
    | "drift_repair"
    | "alert_acknowledge"
    | "alert_snooze"
    | "alert_resolve"
    | "notification_preferences"
    | "replenishment"
    | "deliveries_replay"
    | "approval_asked"
    | "approval_decided"
    | "bulk_asked"
    | "threshold_set"
    | "barcode_set"
    | "shortage_course"
    | "shortage_policy";
  readonly userId: UserId | null;
  readonly orderRef?: string;
  readonly skuId?: SkuId;
  readonly oldValues?: Readonly<Record<string, unknown>>;
  readonly newValues?: Readonly<Record<string, unknown>>;
  readonly reason?: string;
  readonly address: string;
  readonly userAgent: string | null;
  readonly requestId: string;
}

/** Appends to the record, in the transaction of the change itself where there is one. */
export async function appendAudit(
  transaction: TenantTransaction,
  tenantId: TenantId,
  entry: AuditEntry,
): Promise<void> {
  await transaction
    .insertInto("inventory_audit_log")
    .values({
      tenant_id: tenantId,
      event_type: entry.eventType,
      user_id: entry.userId,
      order_ref: entry.orderRef ?? null,
      sku_id: entry.skuId ?? null,
      old_values: entry.oldValues === undefined ? null : JSON.stringify(entry.oldValues),
      new_values: entry.newValues === undefined ? null : JSON.stringify(entry.newValues),
      reason: entry.reason ?? null,
      ip_address: entry.address,
      user_agent: entry.userAgent?.slice(0, 300) ?? null,
      request_id: entry.requestId,
    })
    .execute();
}
