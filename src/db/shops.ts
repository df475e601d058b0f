import { sql } from "kysely";
import { asId, type ShopId, type TenantId } from "../domain/ids.ts";
import type { Database } from "./connection.ts";

export interface ConnectedShop {
  readonly tenantId: TenantId;
  readonly shopId: ShopId;
}

/** Every shop of every tenant in a state; only ids, through the directory's function. */
export async function listShops(
  db: Database,
  status: "connecting" | "connected" | "disconnected",
): Promise<readonly ConnectedShop[]> {
  const { rows } = await sql<{ tenant_id: string; shop_id: string }>`
    select tenant_id, shop_id from list_shops() where status = ${status}`.execute(db);
  return rows.map((row) => ({ tenantId: asId<"Tenant">(row.tenant_id), shopId: asId<"Shop">(row.shop_id) }));
}

/** Every tenant that has a shop, whatever its state. */
export async function listTenants(db: Database): Promise<readonly TenantId[]> {
  const { rows } = await sql<{ tenant_id: string }>`
    select distinct tenant_id from list_shops() order by tenant_id`.execute(db);
  return rows.map((row) => asId<"Tenant">(row.tenant_id));
}
