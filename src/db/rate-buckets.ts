import { sql } from "kysely";
import { createCoalescer } from "../coalescer.ts";
import type { ShopId, TenantId } from "../domain/ids.ts";
import {
  type Grant,
  type LimitState,
  newBucket,
  type Priority,
  type RateBucket,
  recordAccepted,
  recordLimited,
  takeTokens,
} from "../domain/shop/rate-budget.ts";
import type { Database } from "./connection.ts";
import { type TenantTransaction, withTenantUnsynced } from "./tenant.ts";

interface Shop {
  readonly tenantId: TenantId;
  readonly shopId: ShopId;
}

interface WantedCall {
  readonly shop: Shop;
  readonly priority: Priority;
}

/** No bucket holds more tokens than a few of these. */
const takenTogetherMaximum = 100;
/** Milliseconds for which a refusal is believed without asking again: another process may have raised the rate. */
const refusalKnownMaximum = 2_000;

/**
 * The rate budget of every shop, shared by all processes: the bucket is a row, the row's lock is the order of calls, and
 * the database's clock is everyone's. What this process wants to call at the same time is asked for in one transaction, the
 * most urgent first. Accepted calls are only counted here and stored with the next call that is taken, so that a call costs
 * no second transaction; a process that dies forgets a few of them. A refusal is remembered until the time it names, so that
 * waiting costs nothing. What a crash of the database takes with it is a few tokens that are given out once more.
 *
 * @param startPerMinute the rate a shop's first bucket starts with, when it is known to bear more than the careful default.
 */
export function createRateBudget(db: Database, options: { readonly startPerMinute?: number } = {}) {
  const acceptedByShop = new Map<string, number>();
  /** Until when a class of calls need not ask again; by this process's clock. */
  const refusedUntil = new Map<string, number>();
  /** Shops whose channel limits, as far as this process has found out itself. */
  const limitedShops = new Set<string>();

  /** The channel takes calls again: who waits need not believe the refusals of before. */
  function forgetRefusals(shop: Shop): void {
    for (const key of refusedUntil.keys()) if (key.startsWith(`${shop.shopId}/`)) refusedUntil.delete(key);
  }

  async function change<Result>(
    shop: Shop,
    decide: (bucket: RateBucket, now: number) => { readonly bucket: RateBucket; readonly result: Result },
  ): Promise<Result> {
    return await withTenantUnsynced(db, shop.tenantId, async (transaction) => {
      const locked =
        (await lockBucket(transaction, shop)) ??
        (await insertBucket(transaction, shop, options.startPerMinute));
      const { bucket, result } = decide(locked.bucket, locked.now);
      await saveBucket(transaction, shop, bucket);
      return result;
    });
  }

  async function takeForAll(calls: readonly WantedCall[]): Promise<readonly Grant[]> {
    const [{ shop }] = calls as [WantedCall];
    const accepted = acceptedByShop.get(shop.shopId) ?? 0;
    acceptedByShop.delete(shop.shopId);
    return await change(shop, (bucket, now) => {
      const priorities = calls.map(({ priority }) => priority);
      const taken = takeTokens(recordAccepted(bucket, accepted, now), priorities, now);
      const result = calls.map((call, index): Grant => {
        const grant = taken.grants[index];
        if (grant === undefined) throw new Error("A call was neither granted nor refused");
        return grant.granted ? grant : refusal(call, grant.retryAt - now);
      });
      return { bucket: taken.bucket, result };
    });
  }

  /** The bucket's clock is the database's; who waits goes by this process's. */
  function refusal({ shop, priority }: WantedCall, wait: number): Grant {
    const now = Date.now();
    refusedUntil.set(`${shop.shopId}/${priority}`, now + Math.min(wait, refusalKnownMaximum));
    return { granted: false, retryAt: now + wait };
  }

  const takeTogether = createCoalescer<WantedCall, Grant>({
    itemsMaximum: takenTogetherMaximum,
    lingerMilliseconds: 0,
    send: (_shopId, calls) => takeForAll(calls),
  });

  return {
    take: async (shop: Shop, priority: Priority): Promise<Grant> => {
      const known = refusedUntil.get(`${shop.shopId}/${priority}`) ?? 0;
      if (known > Date.now()) return { granted: false, retryAt: known };
      return await takeTogether(shop.shopId, { shop, priority });
    },
    accepted: (shop: Shop): void => {
      acceptedByShop.set(shop.shopId, (acceptedByShop.get(shop.shopId) ?? 0) + 1);
      if (limitedShops.delete(shop.shopId)) forgetRefusals(shop);
    },
    limited: async (shop: Shop, retryAt: number): Promise<void> => {
      acceptedByShop.delete(shop.shopId);
      limitedShops.add(shop.shopId);
      const wait = retryAt - Date.now();
      await change(shop, (bucket, now) => ({ bucket: recordLimited(bucket, now + wait, now), result: null }));
    },
  };
}

interface LockedBucket {
  readonly bucket: RateBucket;
  /** Milliseconds, by the database's clock. */
  readonly now: number;
}

async function lockBucket(transaction: TenantTransaction, shop: Shop): Promise<LockedBucket | null> {
  const row = await transaction
    .selectFrom("rate_buckets")
    .select([
      "tokens",
      "rate_per_minute",
      "burst",
      "refilled_at",
      "blocked_until",
      "accepted_streak",
      "limit_state",
    ])
    .select(sql<string>`clock_timestamp()`.as("now"))
    .where("tenant_id", "=", shop.tenantId)
    .where("shop_id", "=", shop.shopId)
    .forUpdate()
    .executeTakeFirst();
  if (row === undefined) return null;
  return {
    now: Date.parse(row.now),
    bucket: {
      tokens: row.tokens,
      ratePerMinute: row.rate_per_minute,
      burst: row.burst,
      refilledAt: Date.parse(row.refilled_at),
      blockedUntil: row.blocked_until === null ? null : Date.parse(row.blocked_until),
      acceptedStreak: row.accepted_streak,
      // A CHECK allows no other.
      limit: row.limit_state as LimitState,
    },
  };
}

/** Two processes may meet here: one inserts, both then lock the same row. */
async function insertBucket(
  transaction: TenantTransaction,
  shop: Shop,
  startPerMinute: number | undefined,
): Promise<LockedBucket> {
  const bucket = newBucket(Date.now(), startPerMinute);
  await transaction
    .insertInto("rate_buckets")
    .values({
      tenant_id: shop.tenantId,
      shop_id: shop.shopId,
      ...columnsOf(bucket),
      refilled_at: sql<string>`clock_timestamp()`,
    })
    .onConflict((conflict) => conflict.doNothing())
    .execute();
  const locked = await lockBucket(transaction, shop);
  if (locked === null)
    throw new Error(`Broken invariant: the rate bucket of ${shop.shopId} was just inserted`);
  return locked;
}

async function saveBucket(transaction: TenantTransaction, shop: Shop, bucket: RateBucket): Promise<void> {
  await transaction
    .updateTable("rate_buckets")
    .set(columnsOf(bucket))
    .where("tenant_id", "=", shop.tenantId)
    .where("shop_id", "=", shop.shopId)
    .execute();
}

function columnsOf(bucket: RateBucket) {
  return {
    tokens: bucket.tokens,
    rate_per_minute: bucket.ratePerMinute,
    burst: bucket.burst,
    refilled_at: new Date(bucket.refilledAt).toISOString(),
    blocked_until: bucket.blockedUntil === null ? null : new Date(bucket.blockedUntil).toISOString(),
    accepted_streak: bucket.acceptedStreak,
    limit_state: bucket.limit,
  };
}
