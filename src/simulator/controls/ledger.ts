import { z } from "zod";
import { type Burst, type Order, type Sku, webhookRecord } from "../records.ts";
import type { Books } from "../state.ts";
import { sum } from "../stock.ts";

/** The simulator's own books, as whoever compares them with a seller's reads them. */

export const ledgerQuery = z.object({
  section: z.enum(["orders", "stock", "webhooks", "calls"]).default("orders"),
  limit: z.coerce.number().int().min(1).max(1000).default(100),
  /** The id after which to go on: the `nextCursor` of the page before. */
  cursor: z.string().default(""),
});

interface LedgerPage {
  readonly section: string;
  readonly items: readonly object[];
  readonly nextCursor: string | null;
}

/** One page of a section, in the order of ids. */
export async function readLedger(
  books: Books,
  { section, limit, cursor }: z.output<typeof ledgerQuery>,
): Promise<LedgerPage> {
  switch (section) {
    case "orders":
      return pageOf(section, books.orders.all(), cursor, limit, (order) => describeOrder(books, order));
    case "stock":
      return pageOf(section, books.skus.all(), cursor, limit, describeStock);
    case "calls":
      return pageOf(section, books.calls.all(), cursor, limit, ({ id, codes }) => ({ endpoint: id, codes }));
    case "webhooks":
      return readWebhooks(books, cursor, limit);
  }
}

/** An order with everything that happened to it. */
export function describeOrder(books: Books, order: Order) {
  return {
    orderId: order.id,
    burstId: order.burstId,
    status: order.status,
    shippingType: order.shippingType,
    warehouseId: order.warehouseId,
    createTime: order.createTime,
    updateTime: order.updateTime,
    statusChanges: order.statusChanges.map(({ status, by, atMilliseconds }) => ({
      status,
      by,
      at: new Date(atMilliseconds).toISOString(),
    })),
    lines: order.lines.map((line) => ({
      id: line.id,
      skuId: line.skuId,
      sellerSku: books.skus.get(line.skuId).sellerSku,
      oversold: line.oversold,
      packageId: line.packageId,
    })),
    packages: order.parcels.map((parcel) => ({
      id: parcel.id,
      status: parcel.status,
      trackingNumber: parcel.trackingNumber,
      shipCallsAccepted: parcel.shipCallsAccepted,
      shipCallsRepeated: parcel.shipCallsRepeated,
    })),
    cancellation:
      order.cancellation === null
        ? null
        : { id: order.cancellation.id, role: order.cancellation.role, status: order.cancellation.status },
    shipCallsAccepted: order.shipCallsAccepted,
    cancelCount: order.cancelCount,
  };
}

export function describeBurst(books: Books, burst: Burst) {
  const orders = [...books.orders.all()].filter(({ burstId }) => burstId === burst.id);
  return {
    burstId: burst.id,
    orders: burst.orders,
    tried: burst.tried,
    created: burst.created,
    soldOut: burst.tried - burst.created,
    done: burst.tried === burst.orders,
    orderIds: orders.map(({ id }) => id),
  };
}

export function describeCatalogue(books: Books) {
  const skus = [...books.skus.all()];
  return {
    warehouses: [...books.warehouses.all()],
    products: [...books.products.all()].map((product) => ({
      ...product,
      skus: skus
        .filter(({ productId }) => productId === product.id)
        .map((sku) => ({
          id: sku.id,
          sellerSku: sku.sellerSku,
          name: sku.name,
          pricePence: sku.pricePence,
          reservedForBursts: sku.reservedForBursts,
          available: sum(sku.cells, "available"),
          committed: sum(sku.cells, "committed"),
        })),
    })),
  };
}

function describeStock(sku: Sku) {
  return {
    skuId: sku.id,
    productId: sku.productId,
    sellerSku: sku.sellerSku,
    campaignLocked: sku.campaignLocked,
    creatorLocked: sku.creatorLocked,
    warehouses: sku.cells,
  };
}

function pageOf<Kept extends { id: string }>(
  section: string,
  records: Iterable<Kept>,
  cursor: string,
  limit: number,
  describe: (record: Kept) => object,
): LedgerPage {
  const rest = [...records].filter(({ id }) => id > cursor).sort((a, b) => (a.id < b.id ? -1 : 1));
  return {
    section,
    items: rest.slice(0, limit).map(describe),
    nextCursor: rest.length > limit ? (rest[limit - 1]?.id ?? null) : null,
  };
}

/** Finished webhooks are on disk alone. */
async function readWebhooks(books: Books, cursor: string, limit: number): Promise<LedgerPage> {
  await books.store.flush();
  const found = [];
  for await (const value of books.store.read("webhook/", cursor, limit + 1))
    found.push(webhookRecord.parse(value));
  const items = found.slice(0, limit);
  return { section: "webhooks", items, nextCursor: found.length > limit ? (items.at(-1)?.id ?? null) : null };
}
