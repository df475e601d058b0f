import pTimeout from "p-timeout";
import { createCoalescer } from "../coalescer.ts";
import { crashPoint } from "../crash-points.ts";
import { findListings, type Listing } from "../db/listings.ts";
import { completePushes, findPushCauses, type PushMade } from "../db/outbox.ts";
import { withTenant } from "../db/tenant.ts";
import { asId, type SkuId, type TenantId } from "../domain/ids.ts";
import { tellSku } from "../sku-entity.ts";
import type { ActivityDependencies } from "./dependencies.ts";
import { asActivityFailure } from "./failures.ts";
import { createListingSettling } from "./listing-settling.ts";

/** What asks for the push of a SKU's offer. */
interface Change {
  /** Messages of the outbox that ask for it. */
  readonly causes: readonly string[];
  /** ISO time since when a number is wrong; null when nobody has told. */
  readonly causedAt: string | null;
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
/** Messages whose pushes may be under way in this process. */
const messagesUnderWayMaximum = 2_000;
/** A push of which no end is heard keeps the SKU's next one waiting for so long; Temporal gives an activity a minute. */
const pushMillisecondsMaximum = 50_000;

/**
 * Pushes of SKUs' offers. In one process one push of a SKU is under way, however many ask for it: what changes meanwhile is
 * made good together, by the next.
 */
export function createOffers(
  dependencies: Pick<ActivityDependencies, "db" | "channel" | "client" | "queuePrefix" | "pushConfirmed">,
) {
  const { db } = dependencies;
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
      await withTenant(db, asId<"Tenant">(tenantId), (transaction) => completePushes(transaction, pushes));
      return pushes.map(() => null);
    },
  });

  /** Listings are settled side by side, so that one shop's trouble keeps no other from being told. */
  const pushSku = createCoalescer<Change, string>({
    itemsMaximum: messagesUnderWayMaximum,
    lingerMilliseconds: 0,
    async send(key, changes) {
      const [tenantId, skuId] = key.split(" ") as [TenantId, SkuId];
      const causes = changes.flatMap((change) => change.causes);
      const { listings, times, begunAt } = await begin(tenantId, { skuId, causes });
      const causedAt = earliestOf([...times, ...changes.flatMap((change) => change.causedAt ?? [])]);
      const settling = listings
        .filter(({ paused }) => !paused)
        .map((listing) => settle(tenantId, listing, causedAt));
      const outcomes = await pTimeout(Promise.allSettled(settling), {
        milliseconds: pushMillisecondsMaximum,
        message: "No end is heard of the push",
      });
      crashPoint("offer: settled, not answered");
      const failed = outcomes.find((outcome) => outcome.status === "rejected");
      if (failed !== undefined) throw failed.reason;
      return changes.map(() => begunAt);
    },
  });
  const keyOf = (tenantId: TenantId, skuId: SkuId): string => `${tenantId} ${skuId}`;

  /** Messages whose pushes are under way. */
  const underWay = new Set<string>();

  /** Temporal repeats what does not work at once. */
  async function pushOrTellEntity(
    tenantId: TenantId,
    skuId: SkuId,
    causes: readonly string[],
    causedAt: string,
  ): Promise<void> {
    const begunAt = await pushSku(keyOf(tenantId, skuId), { causes, causedAt: null }).catch(async () => {
      await tellSku(dependencies, tenantId, skuId, causedAt);
      crashPoint("offer: entity told, messages open");
      return null;
    });
    await complete(tenantId, { causes, begunAt });
  }

  return {
    /**
     * Begins to push a SKU's offer, without waiting for it. It is tried once, and then left to the SKU's entity; either way the
     * messages that ask for it are done. When this process ends before, they come due again.
     *
     * @param messages keys; those whose push is under way are let be.
     * @param causedAt ISO time of the change, for the entity.
     * @returns false when too many are under way: nothing was begun.
     */
    beginPush: (
      tenantId: TenantId,
      skuId: SkuId,
      messages: readonly string[],
      causedAt = new Date().toISOString(),
    ): boolean => {
      const causes = messages.filter((message) => !underWay.has(message));
      if (underWay.size + causes.length > messagesUnderWayMaximum) return false;
      if (causes.length === 0) return true;
      for (const cause of causes) underWay.add(cause);
      void pushOrTellEntity(tenantId, skuId, causes, causedAt)
        .catch(() => undefined)
        .finally(() => {
          for (const cause of causes) underWay.delete(cause);
        });
      return true;
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
          await pushSku(keyOf(tenantId, skuId), { causes: [], causedAt });
        } catch (error) {
          throw asActivityFailure(error);
        }
      },
    },
  };
}

/** The earliest of ISO times; null of none. */
function earliestOf(times: readonly string[]): string | null {
  return times.toSorted((one, other) => Date.parse(one) - Date.parse(other))[0] ?? null;
}
