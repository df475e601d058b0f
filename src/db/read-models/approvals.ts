import { sql } from "kysely";
import type { ApprovalState } from "../../domain/approval/decide.ts";
import type { StockRefusalReason } from "../../domain/stock/operation.ts";
import type { ChangeToApprove } from "../approvals.ts";
import type { TenantTransaction } from "../tenant.ts";

/** An approval with the SKU's numbers when it was asked for and now. */
export interface ApprovalRow {
  readonly id: string;
  readonly sku_id: string;
  readonly sku: string;
  readonly name: string;
  readonly location_id: string | null;
  readonly location_name: string | null;
  readonly kind: ChangeToApprove["kind"];
  readonly quantity: number;
  readonly counted: number | null;
  readonly reason: string;
  readonly requested_by: string;
  readonly requested_by_name: string;
  readonly requested_at: string;
  readonly expires_at: string;
  readonly state: ApprovalState;
  readonly decided_by: string | null;
  readonly decided_by_name: string | null;
  readonly decided_at: string | null;
  readonly note: string | null;
  readonly refusal: StockRefusalReason | null;
  readonly on_hand_when_asked: number;
  readonly available_when_asked: number;
  readonly on_hand_now: number;
  readonly available_now: number;
  readonly on_hand_after: number | null;
  readonly available_after: number | null;
  /** `requested_at` to the microsecond: what the list is sorted by, with the id. */
  readonly sort_time: string;
}

const approvalsWithNames = sql`
  select approval.id, approval.sku_id, sku.code as sku, sku.name, approval.location_id, location.name as location_name,
    approval.kind, approval.quantity, approval.counted, approval.reason, approval.requested_by, asker.name as requested_by_name,
    approval.requested_at, approval.expires_at, approval.state, approval.decided_by, decider.name as decided_by_name,
    approval.decided_at, approval.note, approval.refusal, approval.on_hand_when_asked, approval.available_when_asked,
    level.on_hand as on_hand_now, level.available as available_now, approval.on_hand_after, approval.available_after,
    approval.requested_at::text as sort_time
  from approvals as approval
  join skus as sku on sku.tenant_id = approval.tenant_id and sku.id = approval.sku_id
  join users as asker on asker.tenant_id = approval.tenant_id and asker.id = approval.requested_by
  left join users as decider on decider.tenant_id = approval.tenant_id and decider.id = approval.decided_by
  left join locations as location on location.tenant_id = approval.tenant_id and location.id = approval.location_id
  cross join lateral (
    select coalesce(sum(current_stock), 0)::integer as on_hand, coalesce(sum(available_stock), 0)::integer as available
    from stock_levels where stock_levels.tenant_id = approval.tenant_id and stock_levels.sku_id = approval.sku_id
  ) as level`;

/** The seller's approvals, newest first; one more than asked for when there are older ones. */
export async function listApprovals(
  transaction: TenantTransaction,
  state: ApprovalState | undefined,
  limit: number,
  before: { readonly sortTime: string; readonly id: string } | null,
): Promise<readonly ApprovalRow[]> {
  const { rows } = await sql<ApprovalRow>`
    ${approvalsWithNames}
    where ${state === undefined ? sql`true` : sql`approval.state = ${state}`}
      and ${
        before === null
          ? sql`true`
          : sql`(approval.requested_at, approval.id) < (${before.sortTime}::timestamptz, ${before.id}::uuid)`
      }
    order by approval.requested_at desc, approval.id desc
    limit ${limit + 1}
  `.execute(transaction);
  return rows;
}

/** The approval that a request has asked for before; null when it has not. */
export async function findApprovalOfRequest(
  transaction: TenantTransaction,
  effectId: string,
): Promise<string | null> {
  const row = await transaction
    .selectFrom("approvals")
    .where("effect_id", "=", effectId)
    .select("id")
    .executeTakeFirst();
  return row?.id ?? null;
}

export async function findApproval(transaction: TenantTransaction, id: string): Promise<ApprovalRow | null> {
  const { rows } = await sql<ApprovalRow>`${approvalsWithNames} where approval.id = ${id}`.execute(
    transaction,
  );
  return rows[0] ?? null;
}
