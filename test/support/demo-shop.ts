import fs from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import type { Database } from "../../src/db/connection.ts";
import { createRateBudget } from "../../src/db/rate-buckets.ts";
import { createCredentialStore } from "../../src/db/shop-credentials.ts";
import { withTenant } from "../../src/db/tenant.ts";
import { asId, type ChannelOrderId, type ShopId, type TenantId } from "../../src/domain/ids.ts";
import { seedDemo } from "../../src/embedded/demo.ts";
import { takeInShop } from "../../src/intake/catalogue.ts";
import type { IntakeDependencies } from "../../src/intake/dependencies.ts";
import { listShops } from "../../src/db/shops.ts";
import { createTiktokShop } from "../../src/integrations/tiktok-shop/adapter.ts";
import type { SalesChannel, ShopKey } from "../../src/integrations/ports/sales-channel.ts";
import { type Simulator, startSimulator } from "../../src/simulator/app.ts";
import { createTestDatabase, type TestDatabase } from "./database.ts";
import { openTestDatabase } from "./seed.ts";
import { type TestTemporal, testTemporal } from "./temporal.ts";
import { silent } from "./workers.ts";

/** A demo seller whose shop is a running simulator, connected and opened; everything real, nothing shared. */
export interface DemoShop {
  readonly db: Database;
  readonly dispatcherDb: Database;
  readonly database: TestDatabase;
  readonly temporal: TestTemporal;
  readonly simulator: Simulator;
  readonly channel: SalesChannel;
  readonly intake: IntakeDependencies;
  readonly shop: ShopKey;
  /** Sells the same units; its controls are below `/second`. Null unless asked for. */
  readonly secondShop: ShopKey | null;
  readonly app: { readonly key: string; readonly secret: string };
  /** Channel numbers and codes of SKUs that nobody else orders. */
  readonly skus: readonly { readonly id: string; readonly sellerSku: string; readonly available: number }[];
  /** Calls one of the simulator's controls. */
  control<Answer>(method: "GET" | "POST" | "PUT", path: string, body?: object): Promise<Answer>;
  /** Places an order that stays in each state until it is moved. */
  placeOrder(
    lines: readonly { readonly skuId: string; readonly quantity: number }[],
    options?: { readonly oversell?: boolean; readonly shippingType?: "SELLER" },
  ): Promise<ChannelOrderId>;
  close(): Promise<void>;
}

export const secretKey = Buffer.alloc(32, 7);

const stays = {
  unpaidMs: null,
  onHoldMs: null,
  shipmentMs: null,
  collectionMs: null,
  transitMs: null,
  completedMs: null,
};

export async function startDemoShop(
  options: { readonly secondShop?: boolean; readonly webhookUrl?: string } = {},
): Promise<DemoShop> {
  const home = await fs.mkdtemp(path.join(os.tmpdir(), "creatorflow-shop-"));
  const [database, temporal, simulator] = await Promise.all([
    createTestDatabase(),
    testTemporal(),
    startSimulator({ port: 0, home, timeScale: 1_000, webhookUrl: null, ordersPerMinute: 0, ...options }),
  ]);
  const db = openTestDatabase(database.url);
  const dispatcherDb = openTestDatabase(database.url, "cf_dispatcher");

  async function control<Answer>(
    method: "GET" | "POST" | "PUT",
    route: string,
    body?: object,
  ): Promise<Answer> {
    const response = await fetch(`${simulator.url}${route}`, {
      method,
      ...(body === undefined
        ? {}
        : { body: JSON.stringify(body), headers: { "content-type": "application/json" } }),
    });
    const text = await response.text();
    if (!response.ok) throw new Error(`${method} ${route} answered ${response.status}: ${text}`);
    return JSON.parse(text) as Answer;
  }

  await seedDemo({
    databaseUrl: database.url,
    simulatorUrl: simulator.url,
    secretKey,
    password: "demo-password",
    log: () => undefined,
  });
  const { appKey, appSecret } = await control<{ appKey: string; appSecret: string }>(
    "GET",
    "/_sim/credentials",
  );
  await control("PUT", "/_sim/quota", { requestsPerSecond: 1_000, burst: 1_000 });
  const app = { key: appKey, secret: appSecret };
  const channel = createTiktokShop({
    apiUrl: simulator.url,
    authUrl: simulator.url,
    app,
    credentials: createCredentialStore(db, secretKey),
    // Tests ask much in a short time of a shop that allows it.
    budget: createRateBudget(db, { startPerMinute: 3_000 }),
  });
  const intake: IntakeDependencies = {
    db: dispatcherDb,
    channel,
    client: temporal.client,
    secretKey,
    logger: silent,
    queuePrefix: temporal.taskQueuePrefix,
    timeScale: 1_000,
    orderSyncMilliseconds: 5_000,
    inventorySyncMilliseconds: 900_000,
  };
  // In the order in which they were seeded: the second finds the first one's units on the shelf.
  const [shop, second] = await shopsInOrder(db, await listShops(dispatcherDb, "connecting"));
  if (shop === undefined) throw new Error("The demo shop was not seeded");
  await takeInShop(intake, shop);
  if (second !== undefined) await takeInShop(intake, second);
  const { products } = await control<{
    products: { skus: { id: string; sellerSku: string; available: number; reservedForBursts: boolean }[] }[];
  }>("GET", "/_sim/catalog");

  return {
    db,
    dispatcherDb,
    database,
    temporal,
    simulator,
    channel,
    intake,
    shop,
    secondShop: second ?? null,
    app,
    skus: products.flatMap((product) => product.skus.filter((sku) => sku.reservedForBursts)),
    control,
    async placeOrder(lines, options = {}) {
      const { orderId } = await control<{ orderId: string }>("POST", "/_sim/orders", {
        lines,
        durations: stays,
        ...options,
      });
      return asId<"ChannelOrder">(orderId);
    },
    async close() {
      await Promise.all([simulator.stop(), temporal.close(), db.destroy(), dispatcherDb.destroy()]);
      await database.drop();
      await fs.rm(home, { recursive: true, force: true });
    },
  };
}

async function shopsInOrder(db: Database, shops: readonly ShopKey[]): Promise<readonly ShopKey[]> {
  const [one] = shops;
  if (one === undefined) return [];
  const rows = await withTenant(db, one.tenantId, (transaction) =>
    transaction.selectFrom("shops").orderBy("id").select("id").execute(),
  );
  return rows.flatMap(({ id }) => shops.filter(({ shopId }) => shopId === id));
}

/** An order as it stands here, with its lines' stages in order. */
export async function orderOf(
  db: Database,
  shop: { tenantId: TenantId; shopId: ShopId },
  orderId: ChannelOrderId,
) {
  return await withTenant(db, shop.tenantId, async (transaction) => {
    const order = await transaction
      .selectFrom("orders")
      .where("channel_order_id", "=", orderId)
      .selectAll()
      .executeTakeFirst();
    if (order === undefined) return null;
    const lines = await transaction
      .selectFrom("order_lines")
      .where("order_id", "=", order.id)
      .orderBy("line_id")
      .selectAll()
      .execute();
    const events = await transaction
      .selectFrom("order_events")
      .where("order_id", "=", order.id)
      .orderBy("sequence")
      .select(["kind", "data", "cause"])
      .execute();
    return { ...order, lines, stages: lines.map((line) => line.stage), events };
  });
}

/** A SKU's numbers here, by its channel number. */
export async function stockOfChannelSku(db: Database, tenantId: TenantId, channelSkuId: string) {
  return await withTenant(db, tenantId, async (transaction) => {
    const row = await transaction
      .selectFrom("listings")
      .innerJoin("stock_levels", "stock_levels.sku_id", "listings.sku_id")
      .where("listings.channel_sku_id", "=", channelSkuId)
      .select([
        "stock_levels.current_stock as onHand",
        "stock_levels.reserved_stock as reserved",
        "listings.sku_id as skuId",
      ])
      .executeTakeFirstOrThrow();
    return row;
  });
}
