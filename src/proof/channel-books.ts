import { z } from "zod";

/**
 * A channel's own books, as its simulator lays them open under `/_sim`. A real channel has no such door; there the stock
 * sync compares.
 */
const bookedOrderSchema = z.object({
  orderId: z.string(),
  status: z.string(),
  statusChanges: z.array(z.object({ status: z.string(), at: z.iso.datetime() })).min(1),
  lines: z.array(z.object({ id: z.string(), skuId: z.string(), oversold: z.boolean() })),
  shipCallsAccepted: z.number().int(),
  cancelCount: z.number().int(),
});
export type BookedOrder = z.output<typeof bookedOrderSchema>;

const bookedStockSchema = z.object({
  skuId: z.string(),
  sellerSku: z.string(),
  /** Of the available units, those that only a campaign or a creator may sell. */
  campaignLocked: z.number().int(),
  creatorLocked: z.number().int(),
  warehouses: z.array(
    z.object({ warehouseId: z.string(), available: z.number().int(), committed: z.number().int() }),
  ),
});
export type BookedStock = z.output<typeof bookedStockSchema>;

export interface ChannelBooks {
  readonly channelShopId: string;
  readonly orders: readonly BookedOrder[];
  readonly stock: readonly BookedStock[];
}

const pageSize = 1_000;
const answerMilliseconds = 30_000;

/**
 * Reads the books of all of a simulator's shops, or null when no simulator answers at the address.
 *
 * @throws Error when one answers and its books cannot be read.
 */
export async function readChannelBooks(simulatorUrl: string): Promise<readonly ChannelBooks[] | null> {
  const listed = await fetch(new URL("/_sim/shops", simulatorUrl), {
    signal: AbortSignal.timeout(answerMilliseconds),
  }).catch(() => null);
  if (listed?.ok !== true) return null;
  const books: ChannelBooks[] = [];
  for (const { shopId, controls } of shopsSchema.parse(await listed.json())) {
    const ledger = new URL(`${controls}/_sim/ledger`, simulatorUrl);
    // Stock first: an order that is placed in between is then missing in neither list of orders.
    const stock = await readSection(ledger, "stock", bookedStockSchema);
    const orders = await readSection(ledger, "orders", bookedOrderSchema);
    books.push({ channelShopId: shopId, orders, stock });
  }
  return books;
}

const shopsSchema = z.array(z.object({ shopId: z.string(), controls: z.string() })).max(100);

async function readSection<Item extends z.ZodType>(
  ledger: URL,
  section: string,
  item: Item,
): Promise<readonly z.output<Item>[]> {
  const page = z.object({ items: z.array(item), nextCursor: z.string().nullable() });
  const items: z.output<Item>[] = [];
  let cursor: string | null = "";
  while (cursor !== null) {
    const url = new URL(ledger);
    url.search = new URLSearchParams({ section, limit: String(pageSize), cursor }).toString();
    const response = await fetch(url, { signal: AbortSignal.timeout(answerMilliseconds) });
    if (!response.ok) throw new Error(`The channel's books (${section}) answered ${response.status}`);
    const read = page.parse(await response.json());
    items.push(...read.items);
    cursor = read.nextCursor;
  }
  return items;
}
