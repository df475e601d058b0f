import { setTimeout as pause } from "node:timers/promises";
import pMap from "p-map";
import { WorkflowUpdateRPCTimeoutOrCancelledError } from "@temporalio/client";
import { asId, type SkuId, type TenantId } from "../src/domain/ids.ts";
import type { StockOperation } from "../src/domain/stock/operation.ts";
import { askEntity } from "../src/sku-entity.ts";
import { type Random, randomFrom } from "../test/support/random.ts";
import { until } from "../test/support/until.ts";
import { z } from "zod";
import type { Findings } from "./report.ts";
import type { Simulator } from "./simulator.ts";
import { type BenchStack, describeRateBudget, learnRateBudget, onStack } from "./stack.ts";

/** One seller's shelf behind two shops, and what changes it. */
export interface TwoShops {
  readonly skus: readonly SoldSku[];
  readonly shops: readonly Shop[];
}

export interface Shop {
  readonly shopId: string;
  readonly name: string;
  readonly simulator: Simulator;
}

export interface SoldSku {
  readonly tenantId: TenantId;
  readonly skuId: SkuId;
  /** By our id of the shop. */
  readonly channelSkuIds: ReadonlyMap<string, string>;
}

/** So many that nothing sells out: a number cut off at nothing says nothing of how late it is. */
const unitsPlenty = 1_000;
/** Real milliseconds in each state, so that a whole life passes within the run; the parcel leaves at the end of the second. */
const life = { unpaidMs: 1_000, onHoldMs: 1_000, collectionMs: 2_000, transitMs: 2_000, completedMs: 2_000 };
/** Times that a seller asks for one change. */
const triesMaximum = 3;
/** One buyer in so many cancels. */
const cancelsOneIn = 8;

/** How often sellers change stock and buyers order while it is measured how soon the shops show it. */
const causesPerSecond = 10;
const ordersPerSecond = 5;

/** Measures on a shelf of its own, beginning with the rate budget that a shop has learnt when it takes every call. */
export async function onTwoShops(
  short: boolean,
  measure: (stack: BenchStack, shops: TwoShops) => Promise<Findings>,
): Promise<Findings> {
  return await onStack({ timeScale: 1, demoOrders: false, secondShop: true }, async (stack) => {
    const shops = await openTwoShops(stack, short ? 20 : 200);
    await learnRateBudget(stack);
    const budget = await describeRateBudget(stack);
    const findings = await measure(stack, shops);
    return {
      ...findings,
      settings: {
        SKUs: shops.skus.length,
        "adjustments and receipts a second": causesPerSecond,
        "orders a second, both shops": ordersPerSecond,
        ...findings.settings,
        "rate budget of each shop, as it has learnt it": budget,
      },
    };
  });
}

/** Brings so many SKUs that both shops sell to as many units each. */
export async function openTwoShops(
  stack: BenchStack,
  skuCount: number,
  unitsEach: number = unitsPlenty,
): Promise<TwoShops> {
  const rows = await stack.query<{
    tenant_id: string;
    sku_id: string;
    available: number;
    shops: { shop: string; channel_sku: string }[];
  }>(
    `select tenant_id, sku_id, (select sum(available_stock)::integer from stock_levels where sku_id = listings.sku_id) as available,
       jsonb_agg(jsonb_build_object('shop', shop_id, 'channel_sku', channel_sku_id)) as shops
     from listings group by tenant_id, sku_id having count(*) = 2 order by sku_id limit $1`,
    [skuCount],
  );
  const skus = rows.map((row) => ({
    tenantId: asId<"Tenant">(row.tenant_id),
    skuId: asId<"Sku">(row.sku_id),
    channelSkuIds: new Map(row.shops.map(({ shop, channel_sku: channelSku }) => [shop, channelSku])),
  }));
  if (skus.length < skuCount) throw new Error(`Only ${skus.length} SKUs are sold in both shops`);
  const shops = await shopsOf(stack);
  await pMap(
    rows,
    async ({ available }, index) => {
      const sku = skus[index];
      if (sku !== undefined)
        await changeStock({ stack, ...sku }, "adjust", `${sku.skuId}/opening`, unitsEach - available);
    },
    { concurrency: 8 },
  );
  await untilSettled(stack, 120);
  await stack.query(`
    create table if not exists bench_buffers (sku_id uuid, adaptive_buffer integer, at timestamptz default clock_timestamp());
    create or replace function bench_note_buffer() returns trigger language plpgsql security definer
      set search_path = public as $$ begin
        insert into bench_buffers (sku_id, adaptive_buffer) values (new.sku_id, new.adaptive_buffer); return null; end $$;
    create or replace trigger bench_note_buffer after insert or update on sku_demand
      for each row execute function bench_note_buffer()`);
  return { skus, shops };
}

async function shopsOf(stack: BenchStack): Promise<readonly Shop[]> {
  const { simulator, secondSimulator } = stack;
  const there = await simulator.control(
    "GET",
    "/_sim/shops",
    z.array(z.object({ shopId: z.string(), controls: z.string() })),
  );
  const rows = await stack.query<{ id: string; name: string; channel_shop_id: string }>(
    "select id, name, channel_shop_id from shops order by id",
  );
  return rows.map(({ id, name, channel_shop_id: channelShopId }) => {
    const found = there.find(({ shopId }) => shopId === channelShopId);
    if (found === undefined) throw new Error(`The simulator has no shop ${channelShopId}`);
    return { shopId: id, name, simulator: found.controls === "" ? simulator : secondSimulator };
  });
}

/** What sellers and buyers do for a while: adjustments and receipts beside orders in both shops, each at its own pace. */
export async function runTraffic(
  stack: BenchStack,
  shops: TwoShops,
  seconds: number,
  seed: number,
): Promise<void> {
  const random = randomFrom(seed);
  const run = `${seed}/${Date.now()}`;
  await Promise.all([
    atPace(causesPerSecond, seconds, async (count) => {
      const { tenantId, skuId } = random.pick(shops.skus);
      const place = { stack, tenantId, skuId };
      if (random.chance(0.25)) await changeStock(place, "receive", `${run}/${count}`, random.whole(1, 10));
      else await changeStock(place, "adjust", `${run}/${count}`, random.pick([-3, -2, -1, 1, 2, 4]));
    }),
    atPace(ordersPerSecond, seconds, (count) => placeOrder(shops, count, random)),
  ]);
}

/** Begins so many a second whether or not those before have ended, and waits for all of them. */
async function atPace(
  perSecond: number,
  seconds: number,
  begin: (count: number) => Promise<void>,
): Promise<void> {
  const underWay: Promise<void>[] = [];
  const began = performance.now();
  for (let count = 0; count < perSecond * seconds; count += 1) {
    const due = began + (count * 1_000) / perSecond;
    await pause(Math.max(0, due - performance.now()));
    underWay.push(begin(count));
  }
  await Promise.all(underWay);
}

async function placeOrder({ skus, shops }: TwoShops, count: number, random: Random): Promise<void> {
  const shop = shops[count % shops.length];
  if (shop === undefined) throw new Error("There is no shop");
  const lines = Array.from({ length: random.whole(1, 2) }, () => ({
    skuId: random.pick(skus).channelSkuIds.get(shop.shopId) ?? "",
    quantity: 1,
  }));
  const cancels = random.whole(1, cancelsOneIn) === 1 ? { buyerCancelsIn: random.whole(200, 3_000) } : {};
  await shop.simulator.control("POST", "/_sim/orders", z.unknown(), {
    lines,
    durations: { ...life, shipmentMs: null },
    ...cancels,
  });
}

export async function changeStock(
  {
    stack,
    tenantId,
    skuId,
  }: { readonly stack: BenchStack; readonly tenantId: TenantId; readonly skuId: SkuId },
  kind: "adjust" | "receive",
  id: string,
  quantity: number,
): Promise<void> {
  const how = { quantity, reason: "benchmark", actorId: null, locationId: null };
  const operation: StockOperation =
    kind === "adjust" ? { kind, adjustmentId: id, ...how } : { kind, changeId: id, ...how };
  for (let attempt = 1; ; attempt += 1) {
    try {
      await askEntity(stack.client, { tenantId, skuId }, [operation]);
      return;
    } catch (error) {
      // After a storm its answer may be late; asked again it is the same change.
      if (!(error instanceof WorkflowUpdateRPCTimeoutOrCancelledError) || attempt >= triesMaximum)
        throw error;
    }
  }
}

/**
 * Waits until all news that have come are taken in and every listing shows what it should. News whose webhook was answered too
 * late come again after minutes, and are nothing that is on its way here.
 *
 * @returns milliseconds since the epoch: all that was committed until then has been made good.
 */
export async function untilSettled(stack: BenchStack, seconds: number): Promise<number> {
  return await until(
    "all news are taken in and every listing is right",
    async () => {
      await pause(200);
      const began = Date.now();
      const [left] = await stack.query<{ orders: number; listings: number; pushes: number }>(
        `select (select count(*)::integer from orders where handled_version < snapshot_version) as orders,
           (select count(*)::integer from listings where sync_status <> 'synced') as listings,
           (select count(*)::integer from outbox where kind = 'push_offer' and done_at is null) as pushes`,
      );
      if (left === undefined || left.orders + left.listings + left.pushes > 0)
        throw new Error(JSON.stringify(left));
      return began;
    },
    { seconds },
  );
}

/** Calls that both shops have received so far. */
export async function callsOf({ shops }: TwoShops): Promise<number> {
  const calls = await Promise.all(shops.map(({ simulator }) => simulator.calls()));
  return calls.flatMap((each) => [...each.values()]).reduce((sum, count) => sum + count, 0);
}
