import { ApplicationFailure } from "@temporalio/activity";
import { crashPoint } from "../crash-points.ts";
import {
  appendObservations,
  beginComparison,
  closePushIntents,
  findListings,
  getOurNumbers,
  type IntendedPush,
  type Listing,
  type Observation,
  openPushIntents,
  setSyncStatus,
} from "../db/offers.ts";
import { withTenant } from "../db/tenant.ts";
import type { SkuId, TenantId } from "../domain/ids.ts";
import { decideOffer } from "../domain/stock/offer.ts";
import { ChannelFailure } from "../integrations/ports/failure.ts";
import type { ActivityDependencies } from "./dependencies.ts";
import { asActivityFailure } from "./failures.ts";

/** Rounds of reading, pushing and reading back; sales that slip in between are met by the next round. */
const roundsMaximum = 5;

export function createOfferActivities({ db, channel }: ActivityDependencies) {
  async function observe(
    tenantId: TenantId,
    skuId: SkuId,
    listing: Listing,
  ): Promise<readonly Observation[]> {
    const stock = await channel.readStock({ tenantId, shopId: listing.shopId }, [listing.channelSkuId], 3);
    crashPoint("offer: stock read, not observed");
    const observations = stock.filter((each) => each.channelSkuId === listing.channelSkuId);
    await withTenant(db, tenantId, (transaction) =>
      appendObservations(transaction, tenantId, listing, skuId, observations),
    );
    return observations;
  }

  /** One round. True when the channel shows what it should. */
  async function settle(tenantId: TenantId, skuId: SkuId, listing: Listing): Promise<boolean> {
    const theirs = await observe(tenantId, skuId, listing);
    crashPoint("offer: observed, nothing decided");
    const pushes = await withTenant(db, tenantId, async (transaction) => {
      await beginComparison(transaction, skuId);
      const ours = await getOurNumbers(transaction, listing, skuId);
      const wanted = theirs.flatMap((seen): IntendedPush[] => {
        const numbers = ours.get(seen.warehouseId);
        const decision = numbers === undefined ? null : decideOffer(numbers, seen);
        return decision?.push === true
          ? [{ warehouseId: seen.warehouseId, desired: decision.available, seen }]
          : [];
      });
      if (wanted.length === 0) await closePushIntents(transaction, listing, "confirmed", "read back");
      else await openPushIntents(transaction, tenantId, listing, skuId, wanted);
      return new Map(wanted.map((push) => [push.warehouseId, push.desired]));
    });
    if (pushes.size === 0) return true;
    crashPoint("offer: push intended, channel not told");
    // Every warehouse of the SKU must be listed; those that need nothing are told what they show.
    const [result] = await channel.setAvailable(
      { tenantId, shopId: listing.shopId },
      listing.channelProductId,
      theirs.map(({ warehouseId, available }) => ({
        channelSkuId: listing.channelSkuId,
        warehouseId,
        available: pushes.get(warehouseId) ?? available,
      })),
    );
    crashPoint("offer: channel told, intent open");
    if (result?.ok === false) {
      const outcome = `${result.message} (${result.channelCode})`;
      await withTenant(db, tenantId, async (transaction) => {
        await closePushIntents(transaction, listing, "refused", outcome);
        await setSyncStatus(transaction, skuId, "failed");
      });
      throw ApplicationFailure.create({ type: "push_refused", message: outcome, nextRetryDelay: "30s" });
    }
    return false;
  }

  async function settleListing(tenantId: TenantId, skuId: SkuId, listing: Listing): Promise<void> {
    for (let round = 0; round < roundsMaximum; round += 1) {
      if (await settle(tenantId, skuId, listing)) return;
    }
    throw ApplicationFailure.create({
      type: "offer_unsettled",
      message: `Listing ${listing.channelSkuId} does not show what it was told`,
    });
  }

  return {
    /**
     * Brings every listing of a SKU to the number it should show: reads the channel's numbers, compares totals, writes the
     * intent down, pushes, and reads back until they agree. One shop's trouble keeps no other listing from being told.
     */
    async pushOffer({
      tenantId,
      skuId,
    }: {
      readonly tenantId: TenantId;
      readonly skuId: SkuId;
    }): Promise<void> {
      const listings = await withTenant(db, tenantId, (transaction) => findListings(transaction, skuId));
      const failures: unknown[] = [];
      for (const listing of listings) {
        await settleListing(tenantId, skuId, listing).catch((error: unknown) => failures.push(error));
      }
      crashPoint("offer: settled, not marked");
      const [failure] = failures;
      const refused = failure instanceof ChannelFailure && failure.kind === "refused";
      if (failure === undefined || refused) {
        await withTenant(db, tenantId, (transaction) =>
          setSyncStatus(transaction, skuId, refused ? "failed" : "synced"),
        );
      }
      if (failure !== undefined) throw asActivityFailure(failure);
    },
  };
}
