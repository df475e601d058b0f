import { sql } from "kysely";
import type { TenantId } from "../domain/ids.ts";
import type { TenantTransaction } from "./tenant.ts";

/** Notes packages whose shipment is arranged. */
export async function savePackages(
  transaction: TenantTransaction,
  tenantId: TenantId,
  orderId: string,
  packageIds: readonly string[],
): Promise<void> {
  await transaction
    .insertInto("packages")
    .values(
      packageIds.map((packageId) => ({
        tenant_id: tenantId,
        order_id: orderId,
        channel_package_id: packageId,
      })),
    )
    .onConflict((conflict) => conflict.doNothing())
    .execute();
}

/** Keeps where a package's label can be fetched, and until when. */
export async function saveDocument(
  transaction: TenantTransaction,
  orderId: string,
  packageId: string,
  document: { readonly url: string; readonly expiresAt: string; readonly trackingNumber: string | null },
): Promise<void> {
  await transaction
    .updateTable("packages")
    .set({
      document_url: document.url,
      document_expires_at: document.expiresAt,
      tracking_number: sql`coalesce(${document.trackingNumber}, tracking_number)`,
    })
    .where("order_id", "=", orderId)
    .where("channel_package_id", "=", packageId)
    .execute();
}

/** Adds what the carrier has reported; what is known already is left out. */
export async function appendTracking(
  transaction: TenantTransaction,
  tenantId: TenantId,
  orderId: string,
  entries: readonly { readonly description: string; readonly at: string }[],
): Promise<void> {
  if (entries.length === 0) return;
  await transaction
    .insertInto("tracking_events")
    .values(
      entries.map((entry) => ({
        tenant_id: tenantId,
        order_id: orderId,
        occurred_at: entry.at,
        description: entry.description,
      })),
    )
    .onConflict((conflict) => conflict.doNothing())
    .execute();
}
