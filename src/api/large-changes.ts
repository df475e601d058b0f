import type { z } from "zod";
import { askForApproval, type ChangeToApprove } from "../db/approvals.ts";
import { appendAudit } from "../db/audit-log.ts";
import type { Database } from "../db/connection.ts";
import { isLocation, listLevels, type SkuRow } from "../db/read-models/inventory.ts";
import { type TenantTransaction, withTenant } from "../db/tenant.ts";
import { approvalLifeHours, largeChangeUnits } from "../domain/approval/decide.ts";
import { asId, type SkuId } from "../domain/ids.ts";
import type { adjustOrAwait } from "./contract/approvals.ts";
import { mayDo, type Role } from "./contract/permissions.ts";
import { originOf, sessionOf } from "./plugins/authentication.ts";
import { Problem } from "./problem.ts";
import { stockRefusals } from "./stock-refusals.ts";

/** What a change by hand comes to: done, or it waits. */
export type Change = z.output<typeof adjustOrAwait>;

/** True when somebody else must approve. */
export function isLargeChange(role: Role, quantity: number): boolean {
  return Math.abs(quantity) > largeChangeUnits && !mayDo(role, "inventory:write_large");
}

/**
 * Writes down that somebody wants a change which somebody else must approve.
 *
 * @throws Problem when the location is none, or units are to leave it and the SKU has no stock record there.
 */
export async function askForLargeChange(
  db: Database,
  request: Parameters<typeof sessionOf>[0] & Parameters<typeof originOf>[0],
  sku: SkuRow,
  wanted: Pick<ChangeToApprove, "effectId" | "kind" | "locationId" | "quantity" | "counted" | "reason">,
): Promise<Change> {
  const { tenantId, userId } = sessionOf(request);
  const skuId = asId<"Sku">(sku.id);
  return await withTenant(db, tenantId, async (transaction) => {
    if (!(await isPlaceFor(transaction, skuId, wanted))) {
      throw new Problem("refused", stockRefusals.unknown_location);
    }
    const id = await askForApproval(transaction, tenantId, {
      ...wanted,
      skuId,
      requestedBy: userId,
      onHand: sku.current_stock,
      available: sku.available_stock,
    });
    await appendAudit(transaction, tenantId, {
      eventType: "approval_asked",
      userId,
      skuId,
      newValues: { approval_id: id, quantity: wanted.quantity },
      reason: wanted.reason,
      ...originOf(request),
    });
    return awaitingApproval(id);
  });
}

/** Units may come to any location of the seller's; they leave only where the SKU has lain. */
async function isPlaceFor(
  transaction: TenantTransaction,
  skuId: SkuId,
  { locationId, quantity }: Pick<ChangeToApprove, "locationId" | "quantity">,
): Promise<boolean> {
  if (locationId === null) return true;
  if (quantity > 0) return await isLocation(transaction, locationId);
  const levels = await listLevels(transaction, skuId);
  return levels.some((level) => level.location_id === locationId);
}

export function awaitingApproval(approvalId: string): Change {
  return {
    success: true,
    approval_id: approvalId,
    detail: `A change of more than ${largeChangeUnits} units: it waits for an admin, for ${approvalLifeHours} hours at most.`,
  };
}

export function statusOf(body: Change): 200 | 202 {
  return "approval_id" in body ? 202 : 200;
}
