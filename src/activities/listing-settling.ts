import { setTimeout as pause } from "node:timers/promises";
import { ApplicationFailure } from "@temporalio/activity";
import { createCoalescer } from "../coalescer.ts";
import { crashPoint } from "../crash-points.ts";
import { closePushIntents } from "../db/comparisons.ts";
import type { Listing } from "../db/listings.ts";
import { noteListingFailed, setListingStates } from "../db/sync-status.ts";
import { appendToOutbox } from "../db/outbox.ts";
import { withTenant } from "../db/tenant.ts";
import { asId, type ChannelSkuId, type SkuId, type TenantId } from "../domain/ids.ts";
import { comparisonTimeFor, refusedAgainAfter, secondLookTimeFor } from "../domain/stock/offer.ts";
import { ChannelFailure } from "../integrations/ports/failure.ts";
import type { CallPriority, ItemResult, ShopKey } from "../integrations/ports/sales-channel.ts";
import { createBudgetPatience } from "./budget-patience.ts";
import type { ActivityDependencies } from "./dependencies.ts";
import { compareListings, type Question, type Verdict } from "./offer-comparison.ts";

/** Rounds of reading, pushing and reading back; sales that slip in between are met by the next round. */
const roundsMaximum = 5;
/** TikTok Shop reads the stock of at most 600 SKUs a call. */
const listingsPerReadMaximum = 600;
/** TikTok Shop says nothing of a bound; a product has at most 100 SKUs. */
const skusPerPushMaximum = 100;
/**
 * Milliseconds that a question waits for others to the same shop. Longer ones gather while calls are under way; 25 made a third
 * fewer calls and everything slower, since what is read together is decided together, under the locks of all its SKUs.
 */
const lingerMilliseconds = 5;
/** Nobody sees a number sooner because it is read back sooner: these wait for company. */
const readBackLingerMilliseconds = 200;
/** Calls of one shop under way: one that gets no answer for ten seconds must not hold up everybody else's. */
const readsAtOnce = 8;
const readBacksAtOnce = 2;
const pushesAtOnce = 2;
/**
 * Calls without a clear answer after which a push still looks again by itself. Temporal's own tries come later and later,
 * also when all before were only limited: after minutes of that one lost answer would leave a wrong number for half a minute.
 */
const unclearMaximum = 2;
const unclearPauseMilliseconds = 250;
/** How long a push waits by itself for the shop's budget; then it is tried again later. */
const patienceMilliseconds = 20_000;

/** Brings listings to the number they should show; what is asked of many listings of a shop at the same time goes as few calls. */
export function createListingSettling(
  dependencies: Pick<ActivityDependencies, "db" | "channel" | "pushConfirmed">,
) {
  const { db, channel } = dependencies;
  const patience = createBudgetPatience();

  /** One call for all SKUs of a product that are pushed now. */
  async function pushMany(
    lane: string,
    pushes: readonly Pushed[],
  ): Promise<readonly ItemResult<ChannelSkuId>[]> {
    const { shop } = laneOf(lane);
    const [first] = pushes;
    if (first === undefined) return [];
    const { channelProductId } = first.listing;
    const results = await channel.setAvailable(
      shop,
      channelProductId,
      pushes.flatMap(({ listing, levels }) =>
        levels.map((level) => ({ channelSkuId: listing.channelSkuId, ...level })),
      ),
      tellPriority,
    );
    return pushes.map(
      ({ listing }) =>
        results.find(({ key }) => key === listing.channelSkuId) ?? { key: listing.channelSkuId, ok: true },
    );
  }

  const compareWith = (pace: { readonly callsMaximum: number; readonly lingerMilliseconds: number }) =>
    createCoalescer<Question, Verdict>({
      ...pace,
      itemsMaximum: listingsPerReadMaximum,
      send: (lane, questions) => compareListings(dependencies, laneOf(lane), questions),
    });
  const compare = compareWith({ callsMaximum: readsAtOnce, lingerMilliseconds });
  const readBack = compareWith({
    callsMaximum: readBacksAtOnce,
    lingerMilliseconds: readBackLingerMilliseconds,
  });
  const push = createCoalescer<Pushed, ItemResult<ChannelSkuId>>({
    itemsMaximum: skusPerPushMaximum,
    callsMaximum: pushesAtOnce,
    lingerMilliseconds,
    send: pushMany,
  });

  /** @returns the channel's words when it has refused the number. */
  async function tell(tenantId: TenantId, pushed: Pushed): Promise<string | null> {
    crashPoint("offer: push intended, channel not told");
    const { listing } = pushed;
    const lane = laneFor(tenantId, listing);
    const result = await push(`${lane} ${listing.channelProductId}`, pushed).catch(async (error: unknown) => {
      await lookAgainWhenUnclear(tenantId, listing.skuId, error);
      throw error;
    });
    crashPoint("offer: channel told, intent open");
    if (result.ok) return null;
    const refusal = `${result.message} (${result.channelCode})`;
    await withTenant(db, tenantId, (transaction) =>
      closePushIntents(transaction, [listing.listingId], "refused", refusal),
    );
    return refusal;
  }

  /** A call without an answer may take effect after a newer one. The next comparison finds that, so there must be one. */
  async function lookAgainWhenUnclear(tenantId: TenantId, skuId: SkuId, error: unknown): Promise<void> {
    if (!(error instanceof ChannelFailure) || !error.effectUnknown) return;
    const times = [secondLookTimeFor(Date.now()), comparisonTimeFor(Date.now())];
    await withTenant(db, tenantId, (transaction) =>
      appendToOutbox(
        transaction,
        tenantId,
        times.map((time) => ({
          kind: "push_offer" as const,
          key: `${skuId}/unclear push/${time}`,
          payload: { skuId },
          notBefore: new Date(time).toISOString(),
        })),
      ),
    );
  }

  /** Rounds of comparing and telling, until the listing shows what it should. */
  async function settleListing(tenantId: TenantId, listing: Listing, causedAt: string | null): Promise<void> {
    const patientUntil = Date.now() + patienceMilliseconds;
    let refusal: string | null = null;
    let unclear = 0;
    for (let round = 0; round < roundsMaximum; ) {
      try {
        const ask = round === 0 ? compare : readBack;
        const { levels } = await ask(laneFor(tenantId, listing), { listing, causedAt });
        if (levels === null) return;
        const refused = await tell(tenantId, { listing, levels });
        // Once is the channel's own trouble as often as not; the same words twice are meant.
        if (refused !== null && refusal !== null) throw await markRefused(tenantId, listing, refused);
        refusal = refused;
        round += 1;
      } catch (error) {
        // However far it came, it is read anew: the number of before may be wrong by then.
        if (error instanceof ChannelFailure && error.effectUnknown && unclear < unclearMaximum) {
          unclear += 1;
          await pause(unclearPauseMilliseconds);
        } else await patience.waitAfter(error, patientUntil);
      }
    }
    throw ApplicationFailure.create({
      type: "offer_unsettled",
      message: `Listing ${listing.channelSkuId} does not show what it was told`,
    });
  }

  /** @returns how often in a row telling the listing has failed. */
  async function noteFailure(tenantId: TenantId, listing: Listing, reason: string): Promise<number> {
    return await withTenant(db, tenantId, async (transaction) => {
      await setListingStates(transaction, tenantId, [listing], "failed");
      return await noteListingFailed(transaction, tenantId, listing, reason);
    });
  }

  /** A call that was not made, for want of budget or since the channel is spared, says nothing of the listing. */
  async function noteChannelFailure(
    tenantId: TenantId,
    listing: Listing,
    failure: ChannelFailure,
  ): Promise<void> {
    if (failure.kind === "refused") {
      await noteFailure(tenantId, listing, failure.message);
      return;
    }
    if (failure.kind === "rate_limited" || failure.retryAt !== null) return;
    await withTenant(db, tenantId, (transaction) =>
      noteListingFailed(transaction, tenantId, listing, failure.message),
    );
  }

  async function markRefused(
    tenantId: TenantId,
    listing: Listing,
    refusal: string,
  ): Promise<ApplicationFailure> {
    const failures = await noteFailure(tenantId, listing, refusal);
    const nextRetryDelay = refusedAgainAfter(failures);
    return ApplicationFailure.create({ type: "push_refused", message: refusal, nextRetryDelay });
  }

  /**
   * Reads the channel's numbers, compares totals, writes the intent down, pushes, and reads back until they agree.
   *
   * @param causedAt ISO time of the change that this makes good, for the measured delay; null when nobody has told.
   * @throws ChannelFailure when the channel cannot be told now; ApplicationFailure when it refuses the number, or forgets it.
   */
  return async (tenantId: TenantId, listing: Listing, causedAt: string | null): Promise<void> => {
    try {
      await settleListing(tenantId, listing, causedAt);
    } catch (error) {
      if (error instanceof ChannelFailure) await noteChannelFailure(tenantId, listing, error);
      throw error;
    }
  };
}

/**
 * More urgent than most readings: a number that was read and cannot be told must be read anew, and when the budget is short each
 * reading would take the call that the telling needs, for ever.
 */
const tellPriority: CallPriority = 2;

/** A listing, and the numbers of all its warehouses. */
interface Pushed {
  readonly listing: Listing;
  readonly levels: NonNullable<Verdict["levels"]>;
}

/** What is asked of one shop with one urgency goes together: a SKU that sells like mad waits for no other. */
function laneFor(tenantId: TenantId, { shopId, viral }: Listing): string {
  return `${tenantId} ${shopId} ${viral ? 2 : 3}`;
}

function laneOf(lane: string): { readonly shop: ShopKey; readonly priority: CallPriority } {
  const [tenantId = "", shopId = "", priority] = lane.split(" ");
  return {
    shop: { tenantId: asId<"Tenant">(tenantId), shopId: asId<"Shop">(shopId) },
    priority: priority === "2" ? 2 : 3,
  };
}
