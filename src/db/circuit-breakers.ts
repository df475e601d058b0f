import { sql } from "kysely";
import type { ShopId, TenantId } from "../domain/ids.ts";
import {
  breakerLimits,
  type CircuitBreaker,
  closedBreaker,
  giveBackTrial,
  type Passage,
  permitCall,
  recordUnanswered,
} from "../domain/shop/circuit-breaker.ts";
import type { Database } from "./connection.ts";
import { type TenantTransaction, withTenant } from "./tenant.ts";

interface Shop {
  readonly tenantId: TenantId;
  readonly shopId: ShopId;
}

/** How long a process believes what it knows of a closed breaker: a call costs no round trip meanwhile. */
const believedMilliseconds = 2_000;
/** The share of the newest call in the mean latency. */
const latencyWeight = 0.2;

/** A breaker as its row has it, with the database's clock at that moment, which is the row's. */
interface Seen {
  readonly breaker: CircuitBreaker;
  readonly now: number;
}

/** What this process knows of one shop's breaker. */
interface Known {
  /** When the next call may be tried, by this process's clock; null while the breaker is closed. */
  retryAt: number | null;
  /** Milliseconds of this process's clock. */
  readAt: number;
  /** Failures in a row of this process's own calls. */
  failures: number;
  latencyMilliseconds: number | null;
  answeredSince: boolean;
}

/**
 * The circuit breaker of every shop. Each process counts its own failures in a row, and what it finds out it writes down
 * for all: an open breaker is a row, and the row's lock lets one call of all processes try. While calls succeed the row is
 * read (and the latency written) at most every 2 seconds, so a shop that is well costs next to nothing.
 *
 * @param pauseMilliseconds how long an open breaker lets nothing through; 60 s unless time is scaled.
 */
export function createCircuitBreaker(
  db: Database,
  { pauseMilliseconds = breakerLimits.pauseMilliseconds }: { readonly pauseMilliseconds?: number } = {},
) {
  const knownByShop = new Map<string, Known>();
  const reading = new Map<string, Promise<void>>();

  function knownOf(shop: Shop): Known {
    const fresh = {
      retryAt: null,
      readAt: Number.NEGATIVE_INFINITY,
      failures: 0,
      latencyMilliseconds: null,
      answeredSince: false,
    };
    const known = knownByShop.get(shop.shopId) ?? fresh;
    knownByShop.set(shop.shopId, known);
    return known;
  }

  async function change<Result>(
    shop: Shop,
    decide: (
      breaker: CircuitBreaker,
      now: number,
    ) => { readonly breaker: CircuitBreaker; readonly result: Result },
    failure: string | null = null,
  ): Promise<Result> {
    return await withTenant(db, shop.tenantId, async (transaction) => {
      const { breaker: before, now } = await lockBreaker(transaction, shop);
      const { breaker, result } = decide(before, now);
      await saveBreaker(transaction, shop, breaker, failure);
      learn(knownOf(shop), { breaker, now });
      return result;
    });
  }

  function learn(known: Known, { breaker: { retryAt }, now }: Seen): void {
    // Another process's call came through: what failed here before it says nothing any more.
    if (known.retryAt !== null && retryAt === null) known.failures = 0;
    known.retryAt = retryAt === null ? null : byOwnClock(retryAt, now);
    known.readAt = performance.now();
  }

  /** Reads what the others have found out and writes how our calls went, once for all who ask at the same time. */
  async function refresh(shop: Shop): Promise<void> {
    const known = knownOf(shop);
    if (performance.now() - known.readAt < believedMilliseconds) return;
    const underWay = reading.get(shop.shopId) ?? read(shop, known).finally(() => reading.delete(shop.shopId));
    reading.set(shop.shopId, underWay);
    await underWay;
  }

  async function read(shop: Shop, known: Known): Promise<void> {
    const { answeredSince } = known;
    known.answeredSince = false;
    const seen = await withTenant(db, shop.tenantId, (transaction) =>
      noteLatency(transaction, shop, answeredSince ? known.latencyMilliseconds : null),
    );
    learn(known, seen);
  }

  return {
    permit: async (shop: Shop): Promise<Passage> => {
      await refresh(shop);
      const { retryAt } = knownOf(shop);
      if (retryAt === null) return { granted: true };
      if (Date.now() < retryAt) return { granted: false, retryAt };
      // The row decides, by the database's clock: one of all who ask may try.
      return await change(shop, (before, now) => {
        const { breaker, passage } = permitCall(before, now, pauseMilliseconds);
        return {
          breaker,
          result: passage.granted ? passage : { granted: false, retryAt: byOwnClock(passage.retryAt, now) },
        };
      });
    },
    giveBack: async (shop: Shop, trialUntil: number): Promise<void> => {
      await change(shop, (breaker, now) => ({
        breaker: giveBackTrial(breaker, trialUntil, now),
        result: undefined,
      }));
    },
    answered: async (shop: Shop, latencyMilliseconds: number): Promise<void> => {
      const known = knownOf(shop);
      known.failures = 0;
      known.answeredSince = true;
      const mean = known.latencyMilliseconds ?? latencyMilliseconds;
      known.latencyMilliseconds = mean + latencyWeight * (latencyMilliseconds - mean);
      if (known.retryAt === null) return;
      await change(shop, () => ({ breaker: closedBreaker, result: undefined }));
    },
    unanswered: async (shop: Shop, reason: string): Promise<void> => {
      const known = knownOf(shop);
      known.failures += 1;
      if (known.failures < breakerLimits.failuresToOpen) return;
      await change(
        shop,
        (breaker, now) => ({
          breaker: recordUnanswered(
            { ...breaker, failures: Math.max(breaker.failures, known.failures - 1) },
            now,
            pauseMilliseconds,
          ),
          result: undefined,
        }),
        reason,
      );
    },
  };
}

/** Turns a time of the database's clock, which said `now` a moment ago, into this process's: who waits goes by that one. */
function byOwnClock(time: number, now: number): number {
  return Date.now() + time - now;
}

async function lockBreaker(transaction: TenantTransaction, shop: Shop): Promise<Seen> {
  await transaction
    .insertInto("circuit_breakers")
    .values({ tenant_id: shop.tenantId, shop_id: shop.shopId })
    .onConflict((conflict) => conflict.doNothing())
    .execute();
  const row = await transaction
    .selectFrom("circuit_breakers")
    .where("shop_id", "=", shop.shopId)
    .select(["failures", "retry_at", databaseNow])
    .forUpdate()
    .executeTakeFirstOrThrow();
  return seenIn(row);
}

async function saveBreaker(
  transaction: TenantTransaction,
  shop: Shop,
  { failures, retryAt }: CircuitBreaker,
  failure: string | null,
): Promise<void> {
  await transaction
    .updateTable("circuit_breakers")
    .set({
      failures,
      retry_at: retryAt === null ? null : new Date(retryAt).toISOString(),
      opened_at: retryAt === null ? null : sql`coalesce(opened_at, clock_timestamp())`,
      ...(failure === null
        ? {}
        : { last_failure: failure.slice(0, 1_000), last_failure_at: sql`clock_timestamp()` }),
    })
    .where("shop_id", "=", shop.shopId)
    .execute();
}

/** @param latencyMilliseconds of the last calls; null when none was answered since the last time. */
async function noteLatency(
  transaction: TenantTransaction,
  shop: Shop,
  latencyMilliseconds: number | null,
): Promise<Seen> {
  const answered = latencyMilliseconds === null ? null : sql<string>`clock_timestamp()`;
  const row = await transaction
    .insertInto("circuit_breakers")
    .values({
      tenant_id: shop.tenantId,
      shop_id: shop.shopId,
      latency_milliseconds: latencyMilliseconds,
      last_answer_at: answered,
    })
    .onConflict((conflict) =>
      conflict.columns(["tenant_id", "shop_id"]).doUpdateSet({
        latency_milliseconds: sql`coalesce(excluded.latency_milliseconds, circuit_breakers.latency_milliseconds)`,
        last_answer_at: sql`coalesce(excluded.last_answer_at, circuit_breakers.last_answer_at)`,
      }),
    )
    .returning(["failures", "retry_at", databaseNow])
    .executeTakeFirstOrThrow();
  return seenIn(row);
}

const databaseNow = sql<string>`clock_timestamp()`.as("now");

function seenIn(row: {
  readonly failures: number;
  readonly retry_at: string | null;
  readonly now: string;
}): Seen {
  const retryAt = row.retry_at === null ? null : Date.parse(row.retry_at);
  return { breaker: { failures: row.failures, retryAt }, now: Date.parse(row.now) };
}
