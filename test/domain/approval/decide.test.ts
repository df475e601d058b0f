import { describe, expect, test } from "vitest";
import {
  type ApprovalEvent,
  type ApprovalState,
  approvalStates,
  decideApproval,
  isSettled,
} from "../../../src/domain/approval/decide.ts";
import { isRefusal } from "../../../src/domain/decision.ts";
import { asId } from "../../../src/domain/ids.ts";

const [asker, admin] = [asId<"User">("asker"), asId<"User">("admin")];
const inTime = "2026-01-01T11:59:59.999Z";
const tooLate = "2026-01-01T12:00:00.000Z";

const events = {
  approve: { kind: "approve", by: admin },
  "approve own": { kind: "approve", by: asker },
  reject: { kind: "reject", by: admin },
  "reject own": { kind: "reject", by: asker },
  look: { kind: "look" },
  applied: { kind: "answered", applied: true },
  "stock refused": { kind: "answered", applied: false },
} as const satisfies Record<string, ApprovalEvent>;
type EventName = keyof typeof events;

function outcome(state: ApprovalState, event: EventName, now: string): string {
  const decision = decideApproval(
    { state, requestedBy: asker, expiresAt: "2026-01-01T12:00:00.000Z" },
    events[event],
    now,
  );
  return isRefusal(decision) ? `refused: ${decision.refused}` : decision.state;
}

/** Every event in every state: in time, and when the time is over. One word where both are the same. */
const table: Readonly<
  Record<ApprovalState, Readonly<Record<EventName, string | readonly [string, string]>>>
> = {
  waiting: {
    approve: ["approving", "refused: expired_already"],
    "approve own": ["refused: own_request", "refused: expired_already"],
    reject: ["rejected", "refused: expired_already"],
    "reject own": ["rejected", "refused: expired_already"],
    look: ["waiting", "expired"],
    applied: "waiting",
    "stock refused": "waiting",
  },
  approving: {
    approve: "approving",
    "approve own": "approving",
    reject: "refused: approved_already",
    "reject own": "refused: approved_already",
    look: "approving",
    applied: "approved",
    "stock refused": "failed",
  },
  approved: {
    approve: "approved",
    "approve own": "approved",
    reject: "refused: approved_already",
    "reject own": "refused: approved_already",
    look: "approved",
    applied: "approved",
    "stock refused": "approved",
  },
  failed: {
    approve: "failed",
    "approve own": "failed",
    reject: "refused: approved_already",
    "reject own": "refused: approved_already",
    look: "failed",
    applied: "failed",
    "stock refused": "failed",
  },
  rejected: {
    approve: "refused: rejected_already",
    "approve own": "refused: rejected_already",
    reject: "rejected",
    "reject own": "rejected",
    look: "rejected",
    applied: "rejected",
    "stock refused": "rejected",
  },
  expired: {
    approve: "refused: expired_already",
    "approve own": "refused: expired_already",
    reject: "refused: expired_already",
    "reject own": "refused: expired_already",
    look: "expired",
    applied: "expired",
    "stock refused": "expired",
  },
};

describe.each(approvalStates)("an approval that is %s", (state) => {
  test.each(Object.keys(events) as EventName[])("met by: %s", (event) => {
    const expected = table[state][event];
    const [early, late] = typeof expected === "string" ? [expected, expected] : expected;
    expect([outcome(state, event, inTime), outcome(state, event, tooLate)]).toEqual([early, late]);
  });
});

test("every state can be reached from waiting, and none is left that is settled", () => {
  const reached = new Set<ApprovalState>(["waiting"]);
  for (const state of reached) {
    for (const event of Object.keys(events) as EventName[]) {
      for (const now of [inTime, tooLate]) {
        const next = outcome(state, event, now);
        if (next.startsWith("refused")) continue;
        if (isSettled(state)) expect(next).toBe(state);
        reached.add(next as ApprovalState);
      }
    }
  }
  expect([...reached].sort()).toEqual([...approvalStates].sort());
});
