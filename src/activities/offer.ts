import pTimeout from "p-timeout";
import { createCoalescer } from "../coalescer.ts";
import { crashPoint } from "../crash-points.ts";
import { findListings } from "../db/listings.ts";
import { completePushes, findPushCauses, type PushMade } from "../db/outbox.ts";
import { withTenant } from "../db/tenant.ts";
import { asId, type SkuId, type TenantId } from "../domain/ids.ts";
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

/** A SKU that is about to be pushed, and what was known of it just before. */
interface Begun {
  readonly listings: Awaited<ReturnType<typeof findListings>>;
  readonly causedAt: string | null;
  /** ISO time by the database's clock: numbers are read after it. */
  readonly begunAt: string;
}

const skusMaximum = 500;
/** Nobody waits for a message to be marked: many are in one statement. */
const completionLingerMilliseconds = 100;
/** Changes of batches whose pushes may be under way in this process; those beyond are left to their messages. */
const changesUnderWayMaximum = 2_000;
/** A push of which no end is heard keeps the SKU's next one waiting for so long; Temporal gives an activity a minute. */
const pushMillisecondsMaximum = 50_000;

/**
 * Pushes of SKUs' offers. In one process one push of a SKU is under way, however many ask for it: what changes meanwhile is
 * made good together, by the next.
 */
export function createOffers(dependencies: Pick<ActivityDependencies, "db" | "channel" | "pushConfirmed">) {
  const { db } = dependencies;
  const settle = createListingSettling(dependencies);

  const begin = createCoalescer<{ readonly skuId: SkuId; readonly change: Change }, Begun>({
    itemsMaximum: skusMaximum,
    lingerMilliseconds: 0,
    async send(tenantId, asked) {
      const [{ times, now }, listings] = await withTenant(
        db,
        asId<"Tenant">(tenantId),
        async (transaction) => [
          await findPushCauses(
            transaction,
            asked.flatMap(({ change }) => change.causes),
          ),
          await findListings(
            transaction,
            asked.map(({ skuId }) => skuId),
          ),
        ],
      );
      crashPoint("offer: push begun, nothing read");
      return asked.map(({ skuId, change }) => ({
        listings: listings.filter((listing) => listing.skuId === skuId),
        causedAt: earliestOf([change.causedAt, ...change.causes.map((cause) => times.get(cause) ?? null)]),
        begunAt: now,
      }));
    },
  });

  const complete = createCoalescer<PushMade, null>({
    itemsMaximum: skusMaximum,
    lingerMilliseconds: completionLingerMilliseconds,
    async send(tenantId, pushes) {
      crashPoint("offer: settled, message open");
      await withTenant(db, asId<"Tenant">(tenantId), (transaction) => completePushes(transaction, pushes));
      return pushes.map(() => null);
    },
  });

  /** Answers when it has begun; listings are settled side by side, so that one shop's trouble keeps no other from being told. */
  const pushSku = createCoalescer<Change, { readonly begunAt: string }>({
    itemsMaximum: changesUnderWayMaximum,
    lingerMilliseconds: 0,
    async send(key, changes) {
      const [tenantId, skuId] = key.split(" ") as [TenantId, SkuId];
      const { listings, causedAt, begunAt } = await begin(tenantId, {
        skuId,
        change: {
          causes: changes.flatMap(({ causes }) => causes),
          causedAt: earliestOf(changes.map((change) => change.causedAt)),
        },
      });
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
      return changes.map(() => ({ begunAt }));
    },
  });
  const keyOf = (tenantId: TenantId, skuId: SkuId): string => `${tenantId} ${skuId}`;

  let underWay = 0;

  async function pushAndComplete(tenantId: TenantId, skuId: SkuId, causes: readonly string[]): Promise<void> {
    const { begunAt } = await pushSku(keyOf(tenantId, skuId), { causes, causedAt: null });
    await complete(tenantId, { causes, begunAt });
  }

  return {
    /**
     * Begins to push what a batch has changed, without waiting for it. It is tried once: the messages that ask for it are done
     * when it has worked; else, and when this process ends before, they come due, and the SKU's entity pushes.
     */
    beginPush: (tenantId: TenantId, skuId: SkuId, causes: readonly string[]): void => {
      if (causes.length === 0 || underWay >= changesUnderWayMaximum) return;
      underWay += 1;
      void pushAndComplete(tenantId, skuId, causes)
        .catch(() => undefined)
        .finally(() => {
          underWay -= 1;
        });
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

/** The earliest of ISO times that may be missing. */
function earliestOf(times: readonly (string | null)[]): string | null {
  const known = times.filter((time) => time !== null);
  return known.reduce<string | null>(
    (earliest, time) => (earliest === null || Date.parse(time) < Date.parse(earliest) ? time : earliest),
    null,
  );
}
