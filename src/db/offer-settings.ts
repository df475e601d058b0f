import { sql } from "kysely";
import type { SkuId, TenantId } from "../domain/ids.ts";
import type { DriftRule } from "../domain/stock/reconcile.ts";
import { markOfferPending, refreshSyncStatus } from "./sync-status.ts";
import { appendToOutbox } from "./outbox.ts";
import type { TenantTransaction } from "./tenant.ts";

/** What a seller says about how a SKU is offered; what is left out stays as it is. */
export interface OfferSettings {
  readonly bufferUnits?: number | undefined;
  readonly bufferPercent?: number | undefined;
  readonly driftRule?: DriftRule | undefined;
  /** Of single listings; null falls back to what is said of the SKU. */
  readonly listings?: readonly {
    readonly listingId: string;
    readonly bufferUnits?: number | null | undefined;
    readonly bufferPercent?: number | null | undefined;
    readonly cap?: number | undefined;
  }[];
}

/**
 * Stores the settings and has the SKU's listings compared with them.
 *
 * @param changeId names this change: once it was made, it is not made again.
 * @returns false when a listing is not one of the SKU's; nothing was changed then.
 */
export async function saveOfferSettings(
  transaction: TenantTransaction,
  tenantId: TenantId,
  skuId: SkuId,
  settings: OfferSettings,
  changeId: string,
): Promise<boolean> {
  const listings = settings.listings ?? [];
  const known = await transaction.selectFrom("listings").where("sku_id", "=", skuId).select("id").execute();
  const own = new Set(known.map(({ id }) => id));
  if (!listings.every(({ listingId }) => own.has(listingId))) return false;
  await transaction
    .updateTable("skus")
    .set((of) => ({
      buffer: settings.bufferUnits ?? of.ref("buffer"),
      buffer_percent: settings.bufferPercent ?? of.ref("buffer_percent"),
      drift_rule: settings.driftRule ?? of.ref("drift_rule"),
    }))
    .where("id", "=", skuId)
    .execute();
  for (const listing of listings) {
    await transaction
      .updateTable("listings")
      .set((of) => ({
        buffer: listing.bufferUnits === undefined ? of.ref("buffer") : listing.bufferUnits,
        buffer_percent:
          listing.bufferPercent === undefined ? of.ref("buffer_percent") : listing.bufferPercent,
        cap: listing.cap ?? of.ref("cap"),
      }))
      .where("id", "=", listing.listingId)
      .execute();
  }
  await tellChannels(transaction, tenantId, skuId, `settings ${changeId}`);
  return true;
}

/** Stops or resumes telling the channels a SKU's numbers. Resumed, its listings are compared at once. */
export async function setSyncPaused(
  transaction: TenantTransaction,
  tenantId: TenantId,
  skuId: SkuId,
  paused: boolean,
  changeId: string,
): Promise<void> {
  await transaction
    .updateTable("skus")
    .set({ sync_paused_at: paused ? sql`coalesce(sync_paused_at, clock_timestamp())` : null })
    .where("id", "=", skuId)
    .execute();
  if (!paused) await tellChannels(transaction, tenantId, skuId, `resumed ${changeId}`);
  await refreshSyncStatus(transaction, [skuId]);
}

async function tellChannels(
  transaction: TenantTransaction,
  tenantId: TenantId,
  skuId: SkuId,
  cause: string,
): Promise<void> {
  await markOfferPending(transaction, [skuId]);
  await appendToOutbox(transaction, tenantId, [
    { kind: "push_offer", key: `${skuId}/${cause}`, payload: { skuId } },
  ]);
}
