import { crashPoint } from "../crash-points.ts";
import { type AdvancedApproval, advanceApproval, getApprovedOperation } from "../db/approvals.ts";
import { withTenant } from "../db/tenant.ts";
import { invariant } from "../domain/assert.ts";
import type { TenantId } from "../domain/ids.ts";
import type { StockAnswer } from "../domain/stock/operation.ts";
import type { ApprovalWish } from "../workflows/messages.ts";
import type { ActivityDependencies } from "./dependencies.ts";
import type { StockRequest } from "./order-report.ts";

interface ApprovalKey {
  readonly tenantId: TenantId;
  readonly approvalId: string;
}

export function createApprovalActivities(
  { db }: Pick<ActivityDependencies, "db">,
  requestStock: (request: StockRequest) => Promise<readonly StockAnswer[]>,
) {
  return {
    /** Where an approval stands; one whose time is over expires by being looked at. */
    async lookAtApproval({ tenantId, approvalId }: ApprovalKey): Promise<AdvancedApproval> {
      return await withTenant(db, tenantId, (transaction) =>
        advanceApproval(transaction, approvalId, { kind: "look" }),
      );
    },

    /** Writes down what somebody has decided; what is approved then waits for the stock. */
    async decideOnApproval({
      tenantId,
      approvalId,
      ...wish
    }: ApprovalKey & ApprovalWish): Promise<AdvancedApproval> {
      return await withTenant(db, tenantId, (transaction) => advanceApproval(transaction, approvalId, wish));
    },

    /** Has the SKU's entity apply what was approved, if it can take it as it is now, and writes its answer down. */
    async applyApproval({ tenantId, approvalId }: ApprovalKey): Promise<AdvancedApproval> {
      crashPoint("approval: approved, stock not asked");
      const asked = await withTenant(db, tenantId, (transaction) =>
        getApprovedOperation(transaction, approvalId),
      );
      const [answer] = await requestStock({ tenantId, operations: [asked] });
      invariant(answer !== undefined, `the stock answered nothing to the approval ${approvalId}`);
      crashPoint("approval: stock answered, not recorded");
      const advanced = await withTenant(db, tenantId, (transaction) =>
        advanceApproval(transaction, approvalId, { kind: "answered", answer }),
      );
      crashPoint("approval: answer recorded, not told");
      return advanced;
    },
  };
}
