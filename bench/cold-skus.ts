import pMap from "p-map";
import { createActivities } from "../src/activities/index.ts";
import type { StockRequest } from "../src/activities/order-report.ts";
import { createOrderActivities } from "../src/activities/order.ts";
import type { Database } from "../src/db/connection.ts";
import { applyInTransaction } from "../src/db/stock.ts";
import { withTenant } from "../src/db/tenant.ts";
import { asId } from "../src/domain/ids.ts";
import type { ChannelLine } from "../src/domain/order/channel-order.ts";
import type { StockAnswer } from "../src/domain/stock/operation.ts";
import type { IntakeDependencies } from "../src/intake/dependencies.ts";
import { takeOrders } from "../src/intake/take-orders.ts";
import type { FetchedOrder } from "../src/integrations/ports/sales-channel.ts";
import { type SeededShop, seedShop, seedSku, seededWarehouse } from "../test/support/seed.ts";
import { until } from "../test/support/until.ts";
import { noChannel, silent } from "../test/support/workers.ts";
import type { Benchmark } from "./benchmark.ts";
import { repeated } from "./harness.ts";
import { clocked, processorFigures } from "./processor-time.ts";
import { compareTo, type Figure } from "./report.ts";
import { type BenchServers, onServers, workerDependencies, workerPoolSize } from "./servers.ts";

/**
 * What the entities cost where they bring nothing: orders of two lines, spread so thin over 5,000 SKUs that hardly two meet
 * at one. Beside it the same orders, taken in and decided by the same code, whose local activity reserves both lines by row
 * lock in one transaction, without entities.
 */
export const coldSkus: Benchmark = {
  name: "skus",
  title: "orders of two lines over 5,000 SKUs",
  async run({ runs, short }) {
    return await onServers(async (servers) => {
      const bed = await prepare(servers, short ? 200 : 5_000);
      const orders = short ? 20 : 400;
      const found = await measureWays(bed, short ? 5 : 40)
        .then(() => repeated(runs, () => measureWays(bed, orders)))
        .finally(() => bed.close());
      return {
        settings: { "orders at once, all in flight": orders, SKUs: bed.codes.length },
        runs: found,
        compare: (median) => [
          compareTo(
            "orders against reserving by row lock",
            median("through entities") / median("by row lock"),
            "×",
            "at least",
            0.5,
          ),
        ],
      };
    });
  },
};

/** Orders that come in one page of the channel. */
const ordersPerPage = 50;
const unitsPerSku = 100_000;
/** No two SKUs of an order are neighbours, and no SKU comes again soon: it shares no factor with how many there are. */
const stride = 1_237;

interface Way {
  readonly name: string;
  readonly intake: IntakeDependencies;
}

interface Bed {
  readonly servers: BenchServers;
  readonly shop: SeededShop;
  readonly codes: readonly string[];
  readonly ways: readonly Way[];
  /** Lines ordered so far, over all runs. */
  ordered: number;
  close(): Promise<void>;
}

async function prepare(servers: BenchServers, skus: number): Promise<Bed> {
  const db = servers.openDatabase("cf_app", workerPoolSize);
  const dispatcherDb = servers.openDatabase("cf_dispatcher", workerPoolSize);
  const shop = await seedShop(db);
  await pMap(Array.from({ length: skus }), () => seedSku(db, shop, unitsPerSku), {
    concurrency: workerPoolSize,
  });
  const codes = await servers.query<{ code: string }>(
    "select channel_sku_id as code from listings where tenant_id = $1 order by channel_sku_id",
    [shop.tenantId],
  );
  const ways = ["through entities", "by row lock"].map((name, index) => ({
    name,
    queuePrefix: `way-${index}-`,
  }));
  const workers = await Promise.all(
    ways.map(({ name, queuePrefix }) => {
      const dependencies = workerDependencies(servers, db, queuePrefix);
      const activities = createActivities(dependencies);
      const own =
        name === "by row lock"
          ? createOrderActivities(dependencies, (request) => reserveByRowLock(db, request))
          : {};
      return servers.startWorkers({ ...activities, ...own }, queuePrefix);
    }),
  );
  return {
    servers,
    shop,
    codes: codes.map(({ code }) => code),
    ordered: 0,
    ways: ways.map(({ name, queuePrefix }) => ({
      name,
      intake: {
        db: dispatcherDb,
        channel: noChannel,
        client: servers.client,
        secretKey: Buffer.alloc(32, 7),
        logger: silent,
        queuePrefix,
        timeScale: 1,
        orderSyncMilliseconds: 300_000,
        inventorySyncMilliseconds: 900_000,
      },
    })),
    close: async () => {
      await Promise.all(workers.map((worker) => worker.stop()));
    },
  };
}

/** Both lines in one transaction; always the smaller SKU first, so that no two orders wait for each other. */
async function reserveByRowLock(
  db: Database,
  { tenantId, operations }: StockRequest,
): Promise<readonly StockAnswer[]> {
  const answers = new Map<(typeof operations)[number], StockAnswer | undefined>();
  const sorted = [...operations].sort((a, b) => (a.skuId < b.skuId ? -1 : 1));
  await withTenant(db, tenantId, async (transaction) => {
    for (const wanted of sorted) {
      const result = await applyInTransaction(transaction, tenantId, wanted.skuId, [wanted.operation]);
      answers.set(wanted, result.answers[0]);
    }
  });
  return operations.flatMap((wanted) => answers.get(wanted) ?? []);
}

async function measureWays(bed: Bed, orders: number): Promise<Figure[]> {
  const figures: Figure[] = [];
  for (const way of bed.ways) figures.push(...(await measure(bed, way, orders)));
  return figures;
}

async function measure(bed: Bed, { name, intake }: Way, orders: number): Promise<Figure[]> {
  const fetched = Array.from({ length: orders }, () => orderOf(bed));
  const orderRefs = fetched.map(({ order }) => `${bed.shop.shopId}/${order.orderId}`);
  const { seconds, used } = await clocked(
    () => bed.servers.processorSeconds(),
    async () => {
      for (let start = 0; start < orders; start += ordersPerPage)
        await takeOrders(
          intake,
          bed.shop,
          { askedAt: new Date().toISOString(), orders: fetched.slice(start, start + ordersPerPage) },
          () => "benchmark",
        );
      await untilReserved(bed, orderRefs);
    },
  );
  return [
    { name, unit: "orders a second", value: orders / seconds },
    ...processorFigures(`${name}: processor, `, used, "ms an order", orders),
  ];
}

async function untilReserved(bed: Bed, orderRefs: readonly string[]): Promise<void> {
  await until(
    "both lines of every order are reserved",
    async () => {
      const rows = await bed.servers.query(
        "select from order_lines where stage = 'held' and order_id in (select id from orders where order_ref = any ($1))",
        [orderRefs],
      );
      return rows.length === 2 * orderRefs.length;
    },
    { seconds: 120 },
  );
}

function orderOf(bed: Bed): FetchedOrder {
  const number = bed.ordered / 2 + 1;
  const now = new Date().toISOString();
  return {
    recipient: null,
    order: {
      orderId: asId<"ChannelOrder">(String(5_000_000_000 + number)),
      status: "on_hold",
      onHold: true,
      createdAt: now,
      updatedAt: now,
      paidAt: now,
      fulfilledBy: "seller",
      shipping: "channel",
      warehouseId: asId<"ChannelWarehouse">(seededWarehouse),
      shipBy: null,
      cancelBy: null,
      cancelReason: null,
      buyerRequestsCancel: false,
      trackingNumber: null,
      currency: "GBP",
      totalMinor: 2_000,
      lines: [lineOf(bed), lineOf(bed)],
    },
  };
}

function lineOf(bed: Bed): ChannelLine {
  bed.ordered += 1;
  const code = bed.codes[(bed.ordered * stride) % bed.codes.length] ?? "";
  return {
    lineId: asId<"ChannelLine">(String(8_000_000_000 + bed.ordered)),
    channelSkuId: asId<"ChannelSku">(code),
    channelProductId: asId<"ChannelProduct">(`product of ${code}`),
    sellerSku: code,
    productName: "A product",
    skuName: null,
    quantity: 1,
    status: "on_hold",
    packageId: null,
    salePriceMinor: 1_000,
  };
}
