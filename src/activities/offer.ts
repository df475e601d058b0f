import { ApplicationFailure } from "@temporalio/activity";
import { LRUCache } from "lru-cache";
import pTimeout from "p-timeout";
import { createCoalescer } from "../coalescer.ts";
import { crashPoint } from "../crash-points.ts";
import { findListings, type Listing } from "../db/listings.ts";
import { completePushes, findPushCauses, type PushAsked, type PushMade } from "../db/outbox.ts";
import { withTenant, withTenantUnsynced } from "../db/tenant.ts";
import { asId, type SkuId, type TenantId } from "../domain/ids.ts";
import { type OfferChange, soldByAlone } from "../domain/stock/offer-change.ts";
import { ChannelFailure } from "../integrations/ports/failure.ts";
import { tellSku } from "../sku-entity.ts";
import type { ActivityDependencies } from "./dependencies.ts";
import { asActivityFailure } from "./failures.ts";
import { createListingSettling } from "./listing-settling.ts";

/** What asks for the push of a SKU's offer. */
interface Change extends OfferChange {
  /** Messages of the outbox that ask for it. */
  readonly causes: readonly string[];
  /** ISO time since when a number is wrong; null when nobody has told. */
  readonly causedAt: string | null;
  /** It comes as an activity: Temporal decides when to try again what has failed, and now is the time. */
  readonly isActivity: boolean;
}

/** What is known of a SKU just before its push. */
interface Beginning {
  readonly listings: readonly Listing[];
  /** ISO time by the database's clock. */
  readonly begunAt: string;
  /** ISO times of the messages that ask for it. */
  readonly times: readonly string[];
}

const skusMaximum = 500;
/** Nobody waits for a message to be marked: many are in one statement. */
const completionLingerMilliseconds = 100;
/** What has failed for many at once is told to their entity by one signal. */
const tellLingerMilliseconds = 20;
/** Messages whose pushes may be under way in this process. */
const messagesUnderWayMaximum = 2_000;
/** A push of which no end is heard keeps the SKU's next one waiting for so long; Temporal gives an activity a minute. */
const pushMillisecondsMaximum = 50_000;
/** How long a listing whose push has failed is left to its SKU's entity, unless the failure says how long. */
const restMilliseconds = 5_000;
/** Listings of which is remembered that they rest; one that falls out is only tried sooner. */
const restingMaximum = 10_000;

/**
 * Pushes of SKUs' offers. In one process one push of a SKU is under way, however many ask for it (but for one of which no end is
 * heard): what changes meanwhile is made good together, by the next.
 */
export function createOffers(
  dependencies: Pick<
    ActivityDependencies,
    "db" | "channel" | "client" | "queuePrefix" | "logger" | "pushConfirmed"
  >,
) {
  const { db, logger } = dependencies;
  const settle = createListingSettling(dependencies);

  const begin = createCoalescer<{ readonly skuId: SkuId; readonly causes: readonly string[] }, Beginning>({
    itemsMaximum: skusMaximum,
    lingerMilliseconds: 0,
    async send(tenantId, asked) {
      const causes = asked.flatMap((each) => each.causes);
      const skuIds = asked.map(({ skuId }) => skuId);
      const [{ times, now }, listings] = await withTenant(
        db,
        asId<"Tenant">(tenantId),
        async (transaction) => [
          await findPushCauses(transaction, causes),
          await findListings(transaction, skuIds),
        ],
      );
      crashPoint("offer: push begun, nothing read");
      return asked.map((each) => ({
        listings: listings.filter(({ skuId }) => skuId === each.skuId),
        times: each.causes.flatMap((cause) => times.get(cause) ?? []),
        begunAt: now,
      }));
    },
  });

  const complete = createCoalescer<PushMade, null>({
    itemsMaximum: skusMaximum,
    lingerMilliseconds: completionLingerMilliseconds,
    async send(tenantId, pushes) {
      crashPoint("offer: pushed, messages open");
      // What the database loses of these comes due again, and finds nothing to do.
      await withTenantUnsynced(db, asId<"Tenant">(tenantId), (transaction) =>
        completePushes(transaction, pushes),
      );
      return pushes.map(() => null);
    },
  });

  const tellEntity = createCoalescer<string, null>({
    itemsMaximum: messagesUnderWayMaximum,
    lingerMilliseconds: tellLingerMilliseconds,
    async send(key, causedAt) {
      const { tenantId, skuId } = skuOf(key);
      await tellSku(dependencies, tenantId, skuId, earliestOf(causedAt) ?? new Date().toISOString());
      crashPoint("offer: entity told, messages open");
      return causedAt.map(() => null);
    },
  });

  /** Listings whose last push has failed. Whatever changes meanwhile, they are not tried more often than Temporal tries them. */
  const resting = new LRUCache<string, true>({ max: restingMaximum });

  async function settleOrRest(tenantId: TenantId, listing: Listing, causedAt: string | null): Promise<void> {
    try {
      await settle(tenantId, listing, causedAt);
      resting.delete(listing.listingId);
    } catch (error) {
      resting.set(listing.listingId, true, { ttl: restAfter(error) });
      throw error;
    }
  }

  /** Answers with the time of its beginning. Listings are settled side by side: one shop's trouble keeps no other from being told. */
  const pushSku = createCoalescer<Change, string>({
    itemsMaximum: messagesUnderWayMaximum,
    lingerMilliseconds: 0,
    async send(key, changes) {
      const { tenantId, skuId } = skuOf(key);
      const causes = changes.flatMap((change) => change.causes);
      const { listings, times, begunAt } = await begin(tenantId, { skuId, causes });
      const causedAt = earliestOf([...times, ...changes.flatMap((change) => change.causedAt ?? [])]);
      const soldBy = soldByAlone(changes);
      const pushed = listings.filter(({ paused, shopId }) => !paused && shopId !== soldBy);
      const isActivity = changes.some((change) => change.isActivity);
      const ready = isActivity ? pushed : pushed.filter(({ listingId }) => !resting.has(listingId));
      const outcomes = await pTimeout(
        Promise.allSettled(ready.map((listing) => settleOrRest(tenantId, listing, causedAt))),
        { milliseconds: pushMillisecondsMaximum, message: "No end is heard of the push" },
      );
      crashPoint("offer: settled, not answered");
      const failures = outcomes.flatMap((outcome) =>
        outcome.status === "rejected" ? [outcome.reason as unknown] : [],
      );
      // What the channel refuses is not tried again; what fails beside it must be.
      if (failures.length > 0) throw failures.find((failure) => !isRefusal(failure)) ?? failures[0];
      if (ready.length < pushed.length) throw new Error("A listing rests after a failure");
      return changes.map(() => begunAt);
    },
  });

  /** Messages whose pushes are under way. */
  const underWay = new Map<string, Promise<void>>();

  /** Temporal repeats what does not work at once. */
  async function pushOrTellEntity(key: string, asked: readonly PushAsked[], causedAt: string): Promise<void> {
    const causes = asked.map((message) => message.key);
    try {
      const change = { causes, causedAt: null, isActivity: false, soldBy: soldByAlone(asked) };
      const begunAt = await pushSku(key, change).catch(async () => {
        await tellEntity(key, causedAt);
        return null;
      });
      await complete(skuOf(key).tenantId, { causes, begunAt });
    } catch (error) {
      logger.warn({ err: error, skuId: skuOf(key).skuId }, "A push has not worked, and comes due again");
    } finally {
      for (const cause of causes) underWay.delete(cause);
    }
  }

  return {
    /**
     * Begins to push a SKU's offer, without waiting for it. It is tried once, and then left to the SKU's entity; either way the
     * messages that ask for it are done. When this process ends before, they come due again.
     *
     * @param asked those whose push is under way are let be.
     * @param causedAt ISO time of the change, for the entity.
     * @returns false when too many are under way: nothing was begun.
     */
    beginPush: (
      tenantId: TenantId,
      skuId: SkuId,
      asked: readonly PushAsked[],
      causedAt = new Date().toISOString(),
    ): boolean => {
      const fresh = asked.filter(({ key }) => !underWay.has(key));
      if (underWay.size + fresh.length > messagesUnderWayMaximum) return false;
      if (fresh.length === 0) return true;
      const push = pushOrTellEntity(keyOf(tenantId, skuId), fresh, causedAt);
      for (const { key } of fresh) underWay.set(key, push);
      return true;
    },

    /** Waits until the pushes have ended that are under way now, but not longer than some milliseconds. */
    async allEnded(millisecondsMaximum: number): Promise<void> {
      const ended = Promise.all(underWay.values()).then(() => undefined);
      await pTimeout(ended, { milliseconds: millisecondsMaximum, fallback: () => undefined });
    },

    activities: {
      /**
       * Brings every listing of a SKU to the number it should show.
       *
       * @param asked.causedAt ISO time of the change that this makes good; for the measured delay.
       */
      async pushOffer({
        tenantId,
        skuId,
        causedAt = null,
      }: {
        readonly tenantId: TenantId;
        readonly skuId: SkuId;
        readonly causedAt?: string | null;
      }): Promise<void> {
        try {
          await pushSku(keyOf(tenantId, skuId), { causes: [], causedAt, isActivity: true, soldBy: null });
        } catch (error) {
          // After minutes of a storm Temporal's own delay is its longest, and a lost answer would leave a wrong number for as long.
          throw asActivityFailure(error, restMilliseconds);
        }
      },
    },
  };
}

function keyOf(tenantId: TenantId, skuId: SkuId): string {
  return `${tenantId} ${skuId}`;
}

function skuOf(key: string): { readonly tenantId: TenantId; readonly skuId: SkuId } {
  const [tenantId = "", skuId = ""] = key.split(" ");
  return { tenantId: asId<"Tenant">(tenantId), skuId: asId<"Sku">(skuId) };
}

function isRefusal(failure: unknown): boolean {
  return failure instanceof ChannelFailure && failure.kind === "refused";
}

/** Milliseconds until Temporal tries again what has failed so. */
function restAfter(error: unknown): number {
  const failure = asActivityFailure(error);
  const delay: unknown = failure instanceof ApplicationFailure ? failure.nextRetryDelay : undefined;
  return typeof delay === "number" && delay > 0 ? delay : restMilliseconds;
}

/** The earliest of ISO times; null of none. */
function earliestOf(times: readonly string[]): string | null {
  return times.toSorted((one, other) => Date.parse(one) - Date.parse(other))[0] ?? null;
}
