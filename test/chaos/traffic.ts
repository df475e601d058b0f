import { setTimeout as pause } from "node:timers/promises";
import { type CarefulClient, createCarefulClient } from "./careful-client.ts";
import type { Random } from "../support/random.ts";
import { type ChaosStack, ControlRefusal, skusOf } from "./stack.ts";

/** What sellers and buyers do meanwhile: orders at a steady rate and in bursts, changes of mind, stock counted anew. */
export interface Traffic {
  /** The SKUs that were sold and counted, by our ids. */
  readonly skuIds: readonly string[];
  /** Orders that the channel has taken, bursts included. */
  readonly placed: () => number;
  readonly client: CarefulClient;
  /** Ends what comes in; what is there goes its way. */
  end(): Promise<void>;
}

export interface TrafficOptions {
  readonly random: Random;
  /** Makes the keys of this run its own. */
  readonly name: string;
  readonly ordersPerSecond: number;
  readonly adjustmentsPerSecond: number;
  /** Orders of one burst, and seconds between bursts. */
  readonly burst: { readonly orders: number; readonly everySeconds: number };
  /** However long it takes, no more than these are placed one by one. */
  readonly ordersMaximum: number;
}

interface Burst {
  readonly done: boolean;
  readonly created: number;
}

const tickMilliseconds = 100;
const burstsMaximum = 5;
/** Few, so that orders compete for them. */
const skusMaximum = 8;

export async function startTraffic(stack: ChaosStack, options: TrafficOptions): Promise<Traffic> {
  const { random } = options;
  const skuIds = (await skusOf(stack)).slice(0, skusMaximum).map(({ id }) => id);
  const ourSkus = (
    await stack.sql<{ sku_id: string }>("select sku_id from listings where channel_sku_id = any ($1)", [
      skuIds,
    ])
  ).map((row) => row.sku_id);
  const client = createCarefulClient(stack, options.name);
  const bursts: string[] = [];
  let burstOrders = 0;
  let placed = 0;
  let isEnding = false;

  async function placeOrder(): Promise<void> {
    const lines = Array.from({ length: random.whole(1, 2) }, () => ({
      skuId: random.pick(skuIds),
      quantity: random.whole(1, 2),
    }));
    const changesMind = random.chance(0.15);
    const body = {
      lines,
      durations: quickLife(random),
      oversell: random.chance(0.2),
      ...(changesMind ? { buyerCancelsIn: random.whole(200, 6_000) } : {}),
    };
    try {
      await stack.control("POST", "/_sim/orders", body);
      placed += 1;
    } catch (error) {
      // Sold out there: no order, and no harm.
      if (!(error instanceof ControlRefusal) || error.status !== 409) throw error;
    }
  }

  async function placeBurst(): Promise<void> {
    const { burstId } = await stack.control<{ burstId: string }>("POST", "/_sim/burst", {
      orders: options.burst.orders,
      skuIds,
      linesPerOrder: 2,
      oversell: true,
      durations: quickLife(random),
    });
    bursts.push(burstId);
  }

  async function run(): Promise<void> {
    const began = performance.now();
    const due = { orders: 0, adjustments: 0, bursts: 1 };
    while (!isEnding) {
      const seconds = (performance.now() - began) / 1_000;
      for (; due.orders < Math.min(seconds * options.ordersPerSecond, options.ordersMaximum); due.orders += 1)
        await placeOrder();
      for (
        ;
        due.adjustments < Math.min(seconds * options.adjustmentsPerSecond, options.ordersMaximum);
        due.adjustments += 1
      ) {
        client.adjust(random.pick(ourSkus), random.pick([-3, -1, 1, 2, 5]));
      }
      for (
        ;
        due.bursts < seconds / options.burst.everySeconds && bursts.length < burstsMaximum;
        due.bursts += 1
      )
        await placeBurst();
      await pause(tickMilliseconds);
    }
  }

  const running = run();
  // Looked at when it ends; until then a failure must not count as unhandled.
  running.catch(() => undefined);
  return {
    client,
    skuIds: ourSkus,
    placed: () => placed + burstOrders,
    async end() {
      isEnding = true;
      await running;
      for (const burstId of bursts) {
        let burst: Burst;
        do burst = await stack.control<Burst>("GET", `/_sim/bursts/${burstId}`);
        while (!burst.done);
        burstOrders += burst.created;
      }
    },
  };
}

/** A whole life in seconds. The channel's system never cancels for want of shipment: how slow we are is no outcome. */
function quickLife(random: Random) {
  return {
    unpaidMs: random.whole(0, 1_500),
    onHoldMs: random.whole(0, 3_000),
    shipmentMs: null,
    collectionMs: random.whole(200, 3_000),
    transitMs: random.whole(200, 3_000),
    completedMs: random.whole(200, 3_000),
  };
}
