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

interface Rush extends Shop {
  /** Milliseconds since 1970. */
  readonly beganAt: number;
}

/** The shops that are in a rush, as far as this process knows: what may come a little later leaves the processors to new orders. */
export class Rushes {
  readonly #rushes = new Map<ShopId, Rush>();
  readonly #tell: (shop: Shop, rush: boolean) => void;

  /** @param tell is told when a rush begins and when it is over. */
  constructor(tell: (shop: Shop, rush: boolean) => void = () => undefined) {
    this.#tell = tell;
  }

  /** The shops that were in a rush when they were last looked at. */
  list(): readonly ShopId[] {
    return [...this.#rushes.keys()];
  }

  /** Whether a shop was in a rush when it was last looked at. */
  has(shopId: ShopId): boolean {
    return this.#rushes.has(shopId);
  }

  /** Looks whether a shop is in a rush. */
  async look(db: Database, { tenantId, shopId }: Shop): Promise<boolean> {
    const undecided = await withTenant(db, tenantId, (transaction) =>
      countUndecidedOrders(transaction, shopId),
    );
    const now = Date.now();
    const known = this.#rushes.get(shopId);
    const rush = isRush(undecided, known === undefined ? null : now - known.beganAt);
    if (rush) this.#rushes.set(shopId, known ?? { tenantId, shopId, beganAt: now });
    else this.#rushes.delete(shopId);
    if (rush !== (known !== undefined)) this.#tell({ tenantId, shopId }, rush);
    return rush;
  }

  /** Looks whether those that were in a rush still are. One that cannot be looked at stays as it was, and `fail` is told. */
  async lookAgain(db: Database, fail: (shop: Shop, error: unknown) => void): Promise<void> {
    await Promise.all(
      [...this.#rushes.values()].map((shop) =>
        this.look(db, shop).catch((error: unknown) => {
          fail(shop, error);
        }),
      ),
    );
  }
}

/**
 * New orders of a shop that are not decided about: those that a webhook has named and nobody works for yet, and those that
 * are stored. Counted up to what a rush needs. What a partial index asks for is written out: as values, a plan that serves
 * all values could not use it, and would read whatever the shop was ever sent.
 */
export async function countUndecidedOrders(transaction: TenantTransaction, shopId: ShopId): Promise<number> {
  const named = transaction
    .selectFrom("webhook_deliveries")
    .where("shop_id", "=", shopId)
    .where(
      sql<boolean>`state = 'waiting' and first_of_order and next_attempt_at <= now()
        and (leased_until is null or leased_until < now())`,
    );
  const stored = transaction
    .selectFrom("orders")
    .where("shop_id", "=", shopId)
    .where(sql<boolean>`handled_version = 0 and handled_version < snapshot_version`);
  const { count } = await transaction
    .selectFrom(
      named.select("id").unionAll(stored.select("id")).limit(undecidedOrdersCounted).as("undecided"),
    )
    .select(sql<number>`count(*)::integer`.as("count"))
    .executeTakeFirstOrThrow();
  return count;
}
