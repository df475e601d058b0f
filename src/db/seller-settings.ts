import type { TenantId } from "../domain/ids.ts";
import type { ShortagePolicy } from "../domain/order/shortage.ts";
import { type AuditEntry, appendAudit } from "./audit-log.ts";
import type { TenantTransaction } from "./tenant.ts";

/** What the seller wants done about paid orders that are short. The tenant wall shows one tenant: the transaction's. */
export async function findShortagePolicy(transaction: TenantTransaction): Promise<ShortagePolicy> {
  const row = await transaction.selectFrom("tenants").select("shortage_policy").executeTakeFirstOrThrow();
  return row.shortage_policy as ShortagePolicy;
}

/** Sets it for shortages to come; the old and the new policy go on record. Orders that are short already go on as they do. */
export async function setShortagePolicy(
  transaction: TenantTransaction,
  tenantId: TenantId,
  policy: ShortagePolicy,
  by: Pick<AuditEntry, "userId" | "address" | "userAgent" | "requestId">,
): Promise<void> {
  const before = await findShortagePolicy(transaction);
  await transaction
    .updateTable("tenants")
    .set({ shortage_policy: policy })
    .where("tenant_id", "=", tenantId)
    .execute();
  await appendAudit(transaction, tenantId, {
    eventType: "shortage_policy",
    oldValues: { policy: before },
    newValues: { policy },
    ...by,
  });
}
