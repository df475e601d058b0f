import { parse } from "lossless-json";
import { z } from "zod";
import { until } from "../test/support/until.ts";

/** The simulated shop's own controls and books, as a benchmark uses them. */

const catalogueSchema = z.object({
  products: z.array(
    z.object({
      skus: z.array(z.object({ id: z.string(), available: z.number(), reservedForBursts: z.boolean() })),
    }),
  ),
});
const burstSchema = z.object({ created: z.number(), done: z.boolean(), orderIds: z.array(z.string()) });
const orderSchema = z
  .object({
    orderId: z.string(),
    burstId: z.string().nullable(),
    statusChanges: z.array(z.object({ status: z.string(), at: z.iso.datetime() })).min(1),
  })
  .transform((order) => ({ ...order, placedAt: order.statusChanges[0]?.at ?? "" }));
export type SimulatedOrder = z.output<typeof orderSchema>;
const callsSchema = z.object({ endpoint: z.string(), codes: z.record(z.string(), z.number()) });

const stockTopic = 68;
const webhookSchema = z.object({ type: z.number(), body: z.string() });
const stockMessageSchema = z.object({
  data: z.object({
    sku_id: z.string(),
    occurred_at: z.string(),
    quantity_snapshot_after_change: z.object({
      total_available_quantity: z.coerce.number(),
      total_committed_quantity: z.coerce.number(),
    }),
    change_detail: z.tuple([
      z.object({
        trigger_source: z.string(),
        total_quantity_delta: z.coerce.number().default(0),
        committed_quantity_delta: z.coerce.number().default(0),
      }),
    ]),
  }),
});

/** One change of a SKU's numbers in a shop's books, which tell the seller of each. */
export interface StockChange {
  readonly channelSkuId: string;
  /** Milliseconds since the epoch. */
  readonly at: number;
  readonly trigger: string;
  /** Units by which available and committed together have changed. */
  readonly totalDelta: number;
  readonly committedDelta: number;
  readonly available: number;
  readonly committed: number;
}

function stockChangeOf(body: string): StockChange {
  // Ids have more digits than a number keeps.
  const { data } = stockMessageSchema.parse(parse(body, null, (digits) => digits));
  const [change] = data.change_detail;
  return {
    channelSkuId: data.sku_id,
    at: Date.parse(data.occurred_at.replace(/(\.\d{3})\d*Z$/, "$1Z")),
    trigger: change.trigger_source,
    totalDelta: change.total_quantity_delta,
    committedDelta: change.committed_quantity_delta,
    available: data.quantity_snapshot_after_change.total_available_quantity,
    committed: data.quantity_snapshot_after_change.total_committed_quantity,
  };
}

export interface BurstRequest {
  readonly orders: number;
  readonly skuIds: readonly string[];
  /** Real milliseconds an order stays in a state; null means until it is moved. */
  readonly durations: Readonly<Record<string, number | null>>;
  /** Real milliseconds over which the orders are spread. */
  readonly overMs: number;
}

export class Simulator {
  readonly url: string;
  /** Of the controls of one shop among several. */
  readonly #prefix: string;

  constructor(url: string, prefix: "" | "/second" = "") {
    this.url = url;
    this.#prefix = prefix;
  }

  async control<Schema extends z.ZodType>(
    method: "GET" | "POST" | "PUT",
    route: string,
    schema: Schema,
    body?: object,
  ): Promise<z.output<Schema>> {
    const response = await fetch(new URL(`${this.#prefix}${route}`, this.url), {
      method,
      ...(body === undefined
        ? {}
        : { body: JSON.stringify(body), headers: { "content-type": "application/json" } }),
      signal: AbortSignal.timeout(60_000),
    });
    const text = await response.text();
    if (!response.ok) throw new Error(`The simulator answered ${response.status} to ${route}: ${text}`);
    return schema.parse(JSON.parse(text));
  }

  /** SKUs that nobody else orders, with units for so many orders of one unit each. */
  async quietSkus(count: number, orders: number): Promise<readonly { readonly id: string }[]> {
    const { products } = await this.control("GET", "/_sim/catalog", catalogueSchema);
    const unitsEach = Math.ceil(orders / count);
    const found = products
      .flatMap(({ skus }) => skus)
      .filter((sku) => sku.reservedForBursts && sku.available >= unitsEach)
      .slice(0, count);
    if (found.length < count) throw new Error(`No ${count} quiet SKUs have ${unitsEach} units left`);
    return found;
  }

  /** Begins a burst, waits until all of its orders are placed, and gives their numbers. */
  async placeBurst(request: BurstRequest): Promise<readonly string[]> {
    const { burstId } = await this.control("POST", "/_sim/burst", z.object({ burstId: z.string() }), {
      ...request,
      oversell: true,
    });
    const burst = await until(
      "the burst's orders are placed",
      async () => {
        const progress = await this.control("GET", `/_sim/bursts/${burstId}`, burstSchema);
        return progress.done ? progress : null;
      },
      { seconds: 60 + request.overMs / 1_000 },
    );
    return burst.orderIds;
  }

  /** The shop's own books of its orders. */
  async orders(): Promise<readonly SimulatedOrder[]> {
    return await this.#pages("orders", orderSchema);
  }

  /** Every change of a SKU's numbers, in the order in which the shop has made them. */
  async stockJournal(): Promise<readonly StockChange[]> {
    const webhooks = await this.#pages("webhooks", webhookSchema);
    return webhooks.filter(({ type }) => type === stockTopic).map(({ body }) => stockChangeOf(body));
  }

  /** Calls received so far, by endpoint, whatever was answered. */
  async calls(): Promise<ReadonlyMap<string, number>> {
    const endpoints = await this.#pages("calls", callsSchema);
    return new Map(
      endpoints.map(({ endpoint, codes }) => [endpoint, Object.values(codes).reduce((sum, n) => sum + n, 0)]),
    );
  }

  async #pages<Schema extends z.ZodType>(section: string, schema: Schema): Promise<z.output<Schema>[]> {
    const page = z.object({ items: z.array(schema), nextCursor: z.string().nullable() });
    const items: z.output<Schema>[] = [];
    let cursor: string | null = "";
    while (cursor !== null) {
      const answer: z.output<typeof page> = await this.control(
        "GET",
        `/_sim/ledger?section=${section}&limit=1000&cursor=${encodeURIComponent(cursor)}`,
        page,
      );
      items.push(...answer.items);
      cursor = answer.nextCursor;
    }
    return items;
  }
}
