import { listShops } from "../db/shops.ts";
import { findUnhandledOrders } from "../db/orders.ts";
import { withTenant } from "../db/tenant.ts";
import type { IntakeDependencies } from "./dependencies.ts";
import { takeInShop } from "./catalogue.ts";
import { tellOrder } from "./take-orders.ts";

/** Stored news older than this that no workflow has handled is told again. */
const unhandledSeconds = 30;

/**
 * Catches what its owner lost: orders with stored news that their workflow never took in, because Temporal was away, was
 * lost, or somebody ended the workflow by hand.
 *
 * @returns how many orders were told again.
 */
export async function sweepUnhandledOrders(dependencies: IntakeDependencies): Promise<number> {
  let told = 0;
  for (const shop of await listShops(dependencies.db, "connected")) {
    const orderIds = await withTenant(dependencies.db, shop.tenantId, (transaction) =>
      findUnhandledOrders(transaction, shop.shopId, unhandledSeconds),
    );
    for (const orderId of orderIds) await tellOrder(dependencies, shop, orderId, "swept: unhandled news");
    told += orderIds.length;
  }
  return told;
}

/**
 * Takes in the catalogue, the stock and the open orders of every shop that was added and is not connected yet.
 *
 * @returns how many shops were connected.
 */
export async function connectShops(dependencies: IntakeDependencies): Promise<number> {
  const shops = await listShops(dependencies.db, "connecting");
  for (const shop of shops) {
    const taken = await takeInShop(dependencies, shop);
    dependencies.logger.info({ ...shop, ...taken }, "A shop is connected");
  }
  return shops.length;
}
