import { followSales } from "../db/demand.ts";
import { listShops } from "../db/shops.ts";
import { withTenant } from "../db/tenant.ts";
import type { TenantId } from "../domain/ids.ts";
import type { IntakeDependencies } from "./dependencies.ts";

/**
 * Looks at how fast each seller's SKUs sell. Several processes may: who comes second finds the same sales and the same rates.
 *
 * @returns how many SKUs have gone viral or ceased to be.
 */
export async function followAllSales({ db, logger }: IntakeDependencies): Promise<number> {
  const tenants = new Set<TenantId>((await listShops(db, "connected")).map(({ tenantId }) => tenantId));
  let told = 0;
  for (const tenantId of tenants) {
    const news = await withTenant(db, tenantId, (transaction) => followSales(transaction, tenantId));
    for (const each of news) logger.info({ tenantId, ...each }, "A SKU sells otherwise than usual");
    told += news.length;
  }
  return told;
}
