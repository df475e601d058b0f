import type { Refusal } from "../decision.ts";
import type { UserId } from "../ids.ts";

/**
 * A change of stock that its asker may not make alone. It waits for somebody who may; then it goes to the stock, which has
 * the last word: between the asking and the approving units may have been sold.
 */
export const approvalStates = ["waiting", "approving", "approved", "rejected", "expired", "failed"] as const;
/**
 * `approving`: somebody has approved and the stock has not answered yet. `failed`: approved, and the stock refused it.
 * `approved`, `rejected`, `expired` and `failed` are final.
 */
export type ApprovalState = (typeof approvalStates)[number];

/** A change of more units than this waits for an approval, unless who asks may approve. */
export const largeChangeUnits = 100;

/** Hours for which a change waits; after that nobody should have to remember why it was wanted. */
export const approvalLifeHours = 72;

export interface Approval {
  readonly state: ApprovalState;
  readonly requestedBy: UserId;
  /** ISO 8601 in UTC. */
  readonly expiresAt: string;
}

export type ApprovalEvent =
  | { readonly kind: "approve"; readonly by: UserId }
  | { readonly kind: "reject"; readonly by: UserId }
  /** Its time may be over. */
  | { readonly kind: "look" }
  /** The stock has answered to what was approved. */
  | { readonly kind: "answered"; readonly applied: boolean };

export type ApprovalRefusal = "own_request" | "approved_already" | "rejected_already" | "expired_already";

/** The state that follows, which may be the same; or why not. */
export type ApprovalDecision = { readonly state: ApprovalState } | Refusal<ApprovalRefusal>;

/** What an event does to an approval. The same decision again changes nothing and is no error. `now` is ISO 8601. */
export function decideApproval(approval: Approval, event: ApprovalEvent, now: string): ApprovalDecision {
  switch (approval.state) {
    case "waiting":
      return decideWaiting(approval, event, now);
    case "approving":
      if (event.kind === "answered") return { state: event.applied ? "approved" : "failed" };
      return event.kind === "reject" ? refusals.approved_already : approval;
    case "approved":
    case "failed":
      return event.kind === "reject" ? refusals.approved_already : approval;
    case "rejected":
      return event.kind === "approve" ? refusals.rejected_already : approval;
    case "expired":
      return event.kind === "approve" || event.kind === "reject" ? refusals.expired_already : approval;
  }
}

function decideWaiting(approval: Approval, event: ApprovalEvent, now: string): ApprovalDecision {
  const isOver = Date.parse(now) >= Date.parse(approval.expiresAt);
  switch (event.kind) {
    case "look":
      return isOver ? { state: "expired" } : approval;
    case "approve":
      if (isOver) return refusals.expired_already;
      return event.by === approval.requestedBy ? refusals.own_request : { state: "approving" };
    case "reject":
      return isOver ? refusals.expired_already : { state: "rejected" };
    case "answered":
      return approval;
  }
}

/** True when nothing more can happen to it. */
export function isSettled(state: ApprovalState): boolean {
  return state !== "waiting" && state !== "approving";
}

const refusals = {
  own_request: {
    refused: "own_request",
    explanation: "Nobody approves what he has asked for himself: ask another admin.",
  },
  approved_already: { refused: "approved_already", explanation: "The change was approved already." },
  rejected_already: {
    refused: "rejected_already",
    explanation: "The change was rejected already: ask for it anew if it is right after all.",
  },
  expired_already: {
    refused: "expired_already",
    explanation: "Nobody decided in time: ask for the change anew.",
  },
} as const satisfies { readonly [Reason in ApprovalRefusal]: Refusal<Reason> };
