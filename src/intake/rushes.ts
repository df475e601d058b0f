import type { Database } from "../db/connection.ts";
import { countUndecidedOrders } from "../db/order-snapshots.ts";
import { withTenant } from "../db/tenant.ts";
import type { ShopId } from "../domain/ids.ts";
import type { ShopKey } from "../integrations/ports/sales-channel.ts";

/** Orders taken in and not decided about from which on a shop is in a rush: several seconds of work for two cores. */
const undecidedMinimum = 100;

/**
 * Shops whose new orders come in faster than their workflows decide about them. What is decided late is reserved late, so
 * meanwhile news of known orders leave the processors to the new ones.
 */
export class Rushes {
  readonly #shops = new Map<ShopId, ShopKey>();

  /** The shops that were in a rush when they were last looked at. */
  list(): readonly ShopId[] {
    return [...this.#shops.keys()];
  }

  /** Looks whether a shop is in a rush. */
  async look(db: Database, shop: ShopKey): Promise<void> {
    const undecided = await withTenant(db, shop.tenantId, (transaction) =>
      countUndecidedOrders(transaction, shop.shopId, undecidedMinimum),
    );
    if (undecided < undecidedMinimum) this.#shops.delete(shop.shopId);
    else this.#shops.set(shop.shopId, shop);
  }

  /** Looks whether those that were in a rush still are. */
  async lookAgain(db: Database): Promise<void> {
    await Promise.all([...this.#shops.values()].map((shop) => this.look(db, shop)));
  }
}
