import type { Database } from "../db/connection.ts";
import { findSku, type SkuRow } from "../db/read-models/inventory.ts";
import { withTenant } from "../db/tenant.ts";
import type { SkuId, TenantId } from "../domain/ids.ts";
import { notFound } from "./problem.ts";

/** @throws Problem when the seller has no such SKU. */
export async function getSku(db: Database, tenantId: TenantId, skuId: SkuId): Promise<SkuRow> {
  return await withTenant(db, tenantId, async (transaction) => knownSku(await findSku(transaction, skuId)));
}

/** @throws Problem when the seller has no SKU like that. */
export function knownSku(sku: SkuRow | null): SkuRow {
  if (sku === null) throw notFound("product");
  return sku;
}
