import {
  asId,
  type ChannelOrderId,
  type OperationId,
  type ShopId,
  type SkuId,
  type TenantId,
} from "../domain/ids.ts";
import { operationIdOf, type StockOperation } from "../domain/stock/operation.ts";
import { appendToOutbox } from "./outbox.ts";
import { markOfferPending } from "./sync-status.ts";
import type { TenantTransaction } from "./tenant.ts";

/** A line of an order that has sold units of a SKU. */
export interface SoldLine {
  readonly skuId: SkuId;
  readonly orderId: ChannelOrderId;
  readonly lineId: string;
}

/**
 * Other shops that sell the same units learn of a sale here, and not when it is reserved: when orders come faster than they are
 * decided, they would go on offering units that are sold.
 */
export async function announceSales(
  transaction: TenantTransaction,
  tenantId: TenantId,
  shopId: ShopId,
  sold: readonly SoldLine[],
): Promise<void> {
  const shared = await findSharedSkus(
    transaction,
    sold.map(({ skuId }) => skuId),
  );
  await markOfferPending(transaction, shared, shopId);
  await appendToOutbox(
    transaction,
    tenantId,
    sold
      .filter(({ skuId }) => shared.includes(skuId))
      .map(({ skuId, orderId, lineId }) => ({
        kind: "push_offer",
        key: announcementKey(skuId, { orderRef: `${shopId}/${orderId}`, lineId }),
        payload: { skuId, soldBy: shopId },
      })),
  );
}

/**
 * Those whose order's line was stored with the message to the other shops (`announceSales`), and leaves them no less to offer when it
 * is reserved: it is the line's first request, and names the location where its units were missing before.
 */
export async function findAnnounced(
  transaction: TenantTransaction,
  skuId: SkuId,
  operations: readonly StockOperation[],
): Promise<ReadonlySet<OperationId>> {
  const reserves = operations.flatMap((operation) =>
    operation.kind === "reserve" && operation.claim.generation === 1 && operation.locationId !== null
      ? [{ operationId: operationIdOf(operation), key: announcementKey(skuId, operation.claim) }]
      : [],
  );
  if (reserves.length === 0) return new Set();
  const rows = await transaction
    .selectFrom("outbox")
    .where("kind", "=", "push_offer")
    .where(
      "key",
      "in",
      reserves.map(({ key }) => key),
    )
    .select("key")
    .execute();
  const told = new Set(rows.map(({ key }) => key));
  return new Set(reserves.filter(({ key }) => told.has(key)).map(({ operationId }) => operationId));
}

/** The key of the message that tells other shops of what an order's line has sold of a SKU. */
function announcementKey(skuId: SkuId, line: { readonly orderRef: string; readonly lineId: string }): string {
  return `${skuId}/sold/${line.orderRef}/${line.lineId}`;
}

/** Of SKUs those that more than one shop sells: what one of them sells concerns the others. */
async function findSharedSkus(
  transaction: TenantTransaction,
  skuIds: readonly SkuId[],
): Promise<readonly SkuId[]> {
  if (skuIds.length === 0) return [];
  const rows = await transaction
    .selectFrom("skus")
    .where("id", "in", [...new Set(skuIds)])
    .where("sold_in_several_shops", "=", true)
    .orderBy("id")
    .select("id")
    .execute();
  return rows.map(({ id }) => asId<"Sku">(id));
}
