import { type ConnectedShop, listShops } from "../db/shops.ts";
import { findUnhandledOrders } from "../db/order-snapshots.ts";
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
    await forShop(dependencies, shop, "sweeping", async () => {
      const orderIds = await withTenant(dependencies.db, shop.tenantId, (transaction) =>
        findUnhandledOrders(transaction, shop.shopId, unhandledSeconds),
      );
      for (const orderId of orderIds) await tellOrder(dependencies, shop, orderId, "swept: unhandled news");
      told += orderIds.length;
    });
  }
  return told;
}

/**
 * Takes in the catalogue, the stock and the open orders of every shop that was added and is not connected yet.
 *
 * @returns how many shops were connected.
 */
export async function connectShops(dependencies: IntakeDependencies): Promise<number> {
  let connected = 0;
  for (const shop of await listShops(dependencies.db, "connecting")) {
    await forShop(dependencies, shop, "connecting", async () => {
      const taken = await takeInShop(dependencies, shop);
      dependencies.logger.info({ ...shop, ...taken }, "A shop is connected");
      connected += 1;
    });
  }
  return connected;
}

/** One shop's trouble is its own: it is written down for people, and the shops behind it have their turn. */
async function forShop(
  { db, logger }: IntakeDependencies,
  shop: ConnectedShop,
  doing: string,
  work: () => Promise<void>,
): Promise<void> {
  try {
    await work();
  } catch (error) {
    logger.warn({ err: error, ...shop, doing }, "A shop's turn failed and comes again");
    const reason = `${doing}: ${error instanceof Error ? error.message : String(error)}`;
    await withTenant(db, shop.tenantId, (transaction) =>
      transaction.updateTable("shops").set({ status_reason: reason }).where("id", "=", shop.shopId).execute(),
    );
  }
}
