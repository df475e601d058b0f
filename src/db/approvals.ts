import { sql } from "kysely";
import {
  type Approval,
  type ApprovalEvent,
  type ApprovalRefusal,
  type ApprovalState,
  approvalLifeHours,
  decideApproval,
} from "../domain/approval/decide.ts";
import { isRefusal, type Refusal } from "../domain/decision.ts";
import { asId, type LocationId, type SkuId, type TenantId, type UserId } from "../domain/ids.ts";
import type { StockAnswer, StockOperation } from "../domain/stock/operation.ts";
import { appendToOutbox } from "./outbox.ts";
import type { TenantTransaction } from "./tenant.ts";

/** A change of stock that somebody asks for who may not make it alone. */
export interface ChangeToApprove {
  /** Of the request: the same again finds the approval that it made. */
  readonly effectId: string;
  readonly skuId: SkuId;
  readonly locationId: LocationId | null;
  /** What is booked when it is approved. */
  readonly kind: "adjust" | "receive" | "damage" | "lost";
  /** Signed units. */
  readonly quantity: number;
  /** The count that the units follow from; null when units were named. */
  readonly counted: number | null;
  readonly reason: string;
  readonly requestedBy: UserId;
  readonly onHand: number;
  readonly available: number;
  /** Hours for which it waits; `approvalLifeHours` unless a test tells. */
  readonly lifeHours?: number;
}

/** Writes down what is asked for and has its workflow started, once however often it is asked. */
export async function askForApproval(
  transaction: TenantTransaction,
  tenantId: TenantId,
  change: ChangeToApprove,
): Promise<string> {
  await transaction
    .insertInto("approvals")
    .values({
      tenant_id: tenantId,
      effect_id: change.effectId,
      sku_id: change.skuId,
      location_id: change.locationId,
      kind: change.kind,
      quantity: change.quantity,
      counted: change.counted,
      reason: change.reason,
      requested_by: change.requestedBy,
      on_hand_when_asked: change.onHand,
      available_when_asked: change.available,
      expires_at: sql`clock_timestamp() + make_interval(secs => ${(change.lifeHours ?? approvalLifeHours) * 3_600})`,
    })
    .onConflict((conflict) => conflict.columns(["tenant_id", "effect_id"]).doNothing())
    .execute();
  const { id } = await transaction
    .selectFrom("approvals")
    .where("effect_id", "=", change.effectId)
    .select("id")
    .executeTakeFirstOrThrow();
  await appendToOutbox(transaction, tenantId, [
    { kind: "start_approval", key: id, payload: { approvalId: id } },
  ]);
  return id;
}

/** What happens to an approval, with what is written down of it. */
export type ApprovalChange =
  | { readonly kind: "look" }
  | { readonly kind: "approve" | "reject"; readonly by: UserId; readonly note: string | null }
  | { readonly kind: "answered"; readonly answer: StockAnswer };

export interface AdvancedApproval {
  readonly state: ApprovalState;
  /** Milliseconds until nobody may decide any more; 0 when that is over. */
  readonly millisecondsLeft: number;
  /** Why the change was not made; null when it was, or was no news. */
  readonly refusal: Refusal<ApprovalRefusal> | null;
}

/**
 * Decides what a change does to an approval, under its lock, and writes it down.
 *
 * @throws Error when there is no such approval.
 */
export async function advanceApproval(
  transaction: TenantTransaction,
  approvalId: string,
  change: ApprovalChange,
): Promise<AdvancedApproval> {
  const row = await transaction
    .selectFrom("approvals")
    .where("id", "=", approvalId)
    .select(["state", "requested_by", "expires_at", sql<string>`clock_timestamp()`.as("now")])
    .forUpdate()
    .executeTakeFirstOrThrow(() => new Error(`There is no approval ${approvalId}`));
  const approval: Approval = {
    state: row.state as ApprovalState,
    requestedBy: asId<"User">(row.requested_by),
    expiresAt: row.expires_at,
  };
  const decision = decideApproval(approval, eventOf(change), row.now);
  const millisecondsLeft = Math.max(0, Date.parse(approval.expiresAt) - Date.parse(row.now));
  if (isRefusal(decision)) return { state: approval.state, millisecondsLeft, refusal: decision };
  if (decision.state !== approval.state) {
    await transaction
      .updateTable("approvals")
      .set({ state: decision.state, ...columnsOf(decision.state, change) })
      .where("id", "=", approvalId)
      .execute();
  }
  return { state: decision.state, millisecondsLeft, refusal: null };
}

function eventOf(change: ApprovalChange): ApprovalEvent {
  return change.kind === "answered"
    ? { kind: "answered", applied: change.answer.outcome === "adjusted" }
    : change;
}

function columnsOf(state: ApprovalState, change: ApprovalChange) {
  const now = sql<string>`clock_timestamp()`;
  return {
    ...(change.kind === "approve" || change.kind === "reject"
      ? { decided_by: change.by, decided_at: now, note: change.note }
      : {}),
    ...(change.kind === "answered" ? numbersOf(change.answer) : {}),
    ...(state === "approving" ? {} : { settled_at: now }),
  };
}

function numbersOf(answer: StockAnswer) {
  if (answer.outcome === "adjusted") {
    return { on_hand_after: answer.onHand, available_after: answer.available };
  }
  return { refusal: answer.outcome === "refused" ? answer.reason : answer.outcome };
}

/**
 * The operation that an approval stands for.
 *
 * @throws Error when there is no such approval.
 */
export async function getApprovedOperation(
  transaction: TenantTransaction,
  approvalId: string,
): Promise<{ readonly skuId: SkuId; readonly operation: StockOperation }> {
  const row = await transaction
    .selectFrom("approvals")
    .where("id", "=", approvalId)
    .select(["sku_id", "location_id", "kind", "quantity", "reason", "requested_by"])
    .executeTakeFirstOrThrow(() => new Error(`There is no approval ${approvalId}`));
  const by = {
    reason: row.reason,
    actorId: asId<"User">(row.requested_by),
    locationId: row.location_id === null ? null : asId<"Location">(row.location_id),
  };
  const kind = row.kind as ChangeToApprove["kind"];
  return {
    skuId: asId<"Sku">(row.sku_id),
    operation:
      kind === "adjust"
        ? { kind, adjustmentId: approvalId, quantity: row.quantity, ...by }
        : { kind, changeId: approvalId, quantity: Math.abs(row.quantity), ...by },
  };
}
