import pg from "pg";
import { type AuditEntry, appendAudit } from "./audit-log.ts";
import type { SkuId, TenantId } from "../domain/ids.ts";
import type { TenantTransaction } from "./tenant.ts";
import { setThreshold } from "./thresholds.ts";

/** Who sets something of a SKU, for the record. */
export type SettingBy = Pick<AuditEntry, "userId" | "address" | "userAgent" | "requestId">;

/**
 * Fixes from how many available units on a SKU is low; the old and the new value go on record. False: no such SKU.
 *
 * @param cause names the change: its alerts are compared with it once.
 */
export async function fixThreshold(
  transaction: TenantTransaction,
  tenantId: TenantId,
  skuId: SkuId,
  threshold: number,
  cause: string,
  by: SettingBy,
): Promise<boolean> {
  const set = await setThreshold(transaction, tenantId, skuId, { mode: "fixed", threshold }, cause);
  if (set === null) return false;
  await appendAudit(transaction, tenantId, {
    eventType: "threshold_set",
    skuId,
    oldValues: { low_stock_threshold: set.before },
    newValues: { low_stock_threshold: set.threshold },
    ...by,
  });
  return true;
}

/** Sets or removes what a scanner reads for a SKU. `taken`: another SKU has it. */
export async function setBarcode(
  transaction: TenantTransaction,
  tenantId: TenantId,
  skuId: SkuId,
  barcode: string | null,
  by: SettingBy,
): Promise<"set" | "no_sku" | "taken"> {
  const sku = await transaction
    .selectFrom("skus")
    .where("id", "=", skuId)
    .select("barcode")
    .forUpdate()
    .executeTakeFirst();
  if (sku === undefined) return "no_sku";
  const other = await transaction
    .selectFrom("skus")
    .where("barcode", "=", barcode)
    .where("id", "<>", skuId)
    .select("id")
    .executeTakeFirst();
  if (other !== undefined) return "taken";
  await transaction.updateTable("skus").set({ barcode }).where("id", "=", skuId).execute();
  await appendAudit(transaction, tenantId, {
    eventType: "barcode_set",
    skuId,
    oldValues: { barcode: sku.barcode },
    newValues: { barcode },
    ...by,
  });
  return "set";
}

/** True when two people set one barcode for two SKUs at the same moment, and the database let one through. */
export function isBarcodeTaken(error: unknown): boolean {
  return error instanceof pg.DatabaseError && error.constraint === "skus_by_barcode";
}
