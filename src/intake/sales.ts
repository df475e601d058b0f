import { listShops } from "../db/shops.ts";
import { withTenant } from "../db/tenant.ts";
import { followSalesOfPage } from "../db/thresholds.ts";
import type { SkuId, TenantId } from "../domain/ids.ts";
import type { IntakeDependencies } from "./dependencies.ts";

/** Milliseconds between two passes over what was sold: an hour, never less than a minute when time is scaled. */
export function salesRestMilliseconds(timeScale: number): number {
  return Math.max(60_000, Math.round(3_600_000 / timeScale));
}

/**
 * Counts what every seller's SKUs have sold since the last pass, and lets automatic thresholds follow, page by page. Several
 * processes may do this at once: each movement is counted once.
 *
 * @returns how many pages were looked at.
 */
export async function followSales({ db, logger }: IntakeDependencies): Promise<number> {
  let pages = 0;
  for (const tenantId of await listTenants(db)) {
    try {
      let after: SkuId | null = null;
      do {
        const from: SkuId | null = after;
        after = await withTenant(db, tenantId, (transaction) =>
          followSalesOfPage(transaction, tenantId, from),
        );
        pages += 1;
      } while (after !== null);
    } catch (error) {
      logger.warn(
        { err: error, tenantId },
        "What a seller has sold could not be counted and is counted later",
      );
    }
  }
  return pages;
}

async function listTenants(db: IntakeDependencies["db"]): Promise<readonly TenantId[]> {
  const shops = await listShops(db, "connected");
  return [...new Set(shops.map(({ tenantId }) => tenantId))];
}
