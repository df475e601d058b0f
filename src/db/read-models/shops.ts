import { sql } from "kysely";
import type { TenantTransaction } from "../tenant.ts";

/** The tenant's shops, by name. */
export async function listTenantShops(transaction: TenantTransaction) {
  return await transaction
    .selectFrom("shops")
    .orderBy("name")
    .orderBy("id")
    .select([
      "id",
      "name",
      "channel",
      "channel_shop_id",
      "region",
      sql<"connecting" | "connected" | "disconnected">`status`.as("status"),
      "status_reason",
      "opened_at as stock_opened_at",
      "created_at as connected_at",
    ])
    .execute();
}
