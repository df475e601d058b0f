import { sql } from "kysely";
import type { ShopId, TenantId } from "../domain/ids.ts";
import { isRush, undecidedOrdersCounted } from "../domain/shop/rush.ts";
import type { Database } from "./connection.ts";
import { type TenantTransaction, withTenant } from "./tenant.ts";

/** A shop and whose it is. */
interface Shop {
  readonly tenantId: TenantId;
  readonly shopId: ShopId;
}

/** The shops that are in a rush, as far as this process knows: what may come a little later leaves the processors to new orders. */
export class Rushes {
  readonly #shops = new Map<ShopId, Shop>();

  /** The shops that were in a rush when they were last looked at. */
  list(): readonly ShopId[] {
    return [...this.#shops.keys()];
  }

  /** Looks whether a shop is in a rush. */
  async look(db: Database, { tenantId, shopId }: Shop): Promise<boolean> {
    const undecided = await withTenant(db, tenantId, (transaction) =>
      countUndecidedOrders(transaction, shopId),
    );
    const rush = isRush(undecided, this.#shops.has(shopId));
    if (rush) this.#shops.set(shopId, { tenantId, shopId });
    else this.#shops.delete(shopId);
    return rush;
  }

  /** Looks whether those that were in a rush still are. */
  async lookAgain(db: Database): Promise<void> {
    await Promise.all([...this.#shops.values()].map((shop) => this.look(db, shop)));
  }
}

/**
 * New orders of a shop that are not decided about: those that a webhook has named and that are not fetched yet, and those
 * that are stored. Counted up to what a rush needs.
 */
async function countUndecidedOrders(transaction: TenantTransaction, shopId: ShopId): Promise<number> {
  const named = transaction
    .selectFrom("webhook_deliveries")
    .where("shop_id", "=", shopId)
    .where("state", "=", "waiting")
    .where("first_of_order", "=", true)
    .where("next_attempt_at", "<=", sql<string>`now()`);
  const stored = transaction
    .selectFrom("orders")
    .where("shop_id", "=", shopId)
    .where("handled_version", "=", 0)
    .whereRef("handled_version", "<", "snapshot_version");
  const { count } = await transaction
    .selectFrom(
      named.select("id").unionAll(stored.select("id")).limit(undecidedOrdersCounted).as("undecided"),
    )
    .select(sql<number>`count(*)::integer`.as("count"))
    .executeTakeFirstOrThrow();
  return count;
}
