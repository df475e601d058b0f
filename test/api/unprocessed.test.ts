import { randomUUID } from "node:crypto";
import type { FastifyInstance } from "fastify";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { z } from "zod";
import { buildApp } from "../../src/api/app.ts";
import { hashPassword } from "../../src/api/auth/passwords.ts";
import { deliveriesPage } from "../../src/api/contract/deliveries.ts";
import type { Database } from "../../src/db/connection.ts";
import { withTenant } from "../../src/db/tenant.ts";
import { upsertUser } from "../../src/db/users.ts";
import { takeInChangedOrders } from "../../src/intake/changed-orders.ts";
import { startDispatcher } from "../../src/intake/dispatcher.ts";
import type { Loop } from "../../src/intake/loop.ts";
import type { RunningWorkers } from "../../src/workers.ts";
import { type DemoShop, orderOf, secretKey, startDemoShop, stockOfChannelSku } from "../support/demo-shop.ts";
import { openTestDatabase } from "../support/seed.ts";
import { until } from "../support/until.ts";
import { silent, startTestWorkers } from "../support/workers.ts";
import { password, signedWebhook, tiktokApp } from "./api-bed.ts";

/** What cannot be processed, from the webhook to the reserved unit: API, dispatcher, Workers and simulator are the real ones. */
let demo: DemoShop;
let workers: RunningWorkers;
let dispatcher: Loop;
let ingestDb: Database;
let app: FastifyInstance;
let channelShopId: string;
const headersOf = new Map<"admin" | "operator", { authorization: string }>();

beforeAll(async () => {
  demo = await startDemoShop();
  workers = await startTestWorkers(demo.temporal, demo.db, demo.channel);
  dispatcher = startDispatcher(demo.intake);
  ingestDb = openTestDatabase(demo.database.url, "cf_ingest");
  app = await buildApp({
    db: demo.db,
    ingestDb,
    temporal: demo.temporal.client,
    queuePrefix: demo.temporal.taskQueuePrefix,
    tiktokApp,
    secretKey,
    logger: silent,
    publicUrl: "http://creatorflow.test",
    temporalUiUrl: null,
    findPendingMigrations: () => Promise.resolve([]),
    rateLimits: { globalPerMinute: 1e6, userPerMinute: 1e6, addressPerMinute: 1e6 },
  });
  const [shop] = await demo.database.asSuperuser<{ channel_shop_id: string }>(
    "select channel_shop_id from shops",
  );
  channelShopId = shop!.channel_shop_id;
  const passwordHash = await hashPassword(password);
  for (const role of ["admin", "operator"] as const) {
    const email = `${role}@unprocessed.test`;
    await withTenant(demo.db, demo.shop.tenantId, (transaction) =>
      upsertUser(transaction, demo.shop.tenantId, { email, name: role, role, passwordHash }),
    );
    const answer = await app.inject({ method: "POST", url: "/api/auth/login", payload: { email, password } });
    headersOf.set(role, { authorization: `Bearer ${answer.json<{ access_token: string }>().access_token}` });
  }
});
afterAll(async () => {
  await dispatcher.stop();
  await app.close();
  await workers.stop();
  await ingestDb.destroy();
  await demo.close();
});

function newsOf(orderId: string, shopId: string): string {
  const data = { order_id: orderId, order_status: "UNPAID" };
  return JSON.stringify({ type: 1, tts_notification_id: randomUUID(), shop_id: shopId, data });
}

async function deliver(body: string): Promise<void> {
  expect((await app.inject(signedWebhook(body))).statusCode).toBe(200);
}

async function list(
  as: "admin" | "operator",
  query: string,
): Promise<z.output<typeof deliveriesPage>["deliveries"]> {
  const answer = await app.inject({ url: `/api/deliveries?${query}`, headers: headersOf.get(as) ?? {} });
  return deliveriesPage.parse(answer.json()).deliveries;
}

async function replay(id: string): Promise<number> {
  const url = `/api/deliveries/${id}/replay`;
  return (await app.inject({ method: "POST", url, headers: headersOf.get("admin") ?? {} })).statusCode;
}

/** Everything that happened for an order, so that twice would be seen. */
async function happenedFor(orderId: string) {
  const [counts] = await demo.database.asSuperuser<Record<"orders" | "snapshots" | "reservations", number>>(
    `select (select count(*)::int from orders where channel_order_id = $1) as orders,
       (select count(*)::int from order_snapshots as snapshot join orders on orders.id = snapshot.order_id
        where channel_order_id = $1) as snapshots,
       (select count(*)::int from reservations where order_ref like '%/' || $1) as reservations`,
    [orderId],
  );
  return counts;
}

const once = { orders: 1, snapshots: 1, reservations: 1 };

test("an order that the channel does not know is parked with the reason, and processed once when it is replayed after the channel knows it", async () => {
  const [sku] = demo.skus;
  const before = await stockOfChannelSku(demo.db, demo.shop.tenantId, sku!.id);
  await demo.control("PUT", "/_sim/faults", { unreadable: { percent: 100, forMs: 3_600_000 } });
  const orderId = await demo.placeOrder([{ skuId: sku!.id, quantity: 1 }]);
  await deliver(newsOf(orderId, channelShopId));
  const parked = await until(
    "it is parked",
    async () => (await list("admin", `state=parked&order_id=${orderId}`))[0],
  );
  expect(parked).toMatchObject({ attempts: 6, topic: 1, reason: expect.stringMatching(/\S/) });
  expect(await happenedFor(orderId)).toEqual({ orders: 0, snapshots: 0, reservations: 0 });

  await demo.control("PUT", "/_sim/faults", {});
  expect(await replay(parked.id)).toBe(200);
  const processed = await until("it is processed", async () =>
    (await list("admin", `state=processed&order_id=${orderId}`)).find(({ id }) => id === parked.id),
  );
  expect(processed.reason).toBeNull();
  await until("its units are reserved", async () => (await happenedFor(orderId))?.reservations === 1);
  // Replayed once more it is no news.
  expect(await replay(parked.id)).toBe(200);
  await until(
    "it is processed again",
    async () => (await list("admin", `state=processed&order_id=${orderId}`))[0],
  );
  expect(await happenedFor(orderId)).toEqual(once);
  const { reserved } = await stockOfChannelSku(demo.db, demo.shop.tenantId, sku!.id);
  expect(reserved).toBe(before.reserved + 1);
});

test("what names no order or no shop of ours is kept with the reason for the operators, moves nothing, and its order comes by the poll once", async () => {
  const orderId = await demo.placeOrder([{ skuId: demo.skus[1]!.id, quantity: 1 }]);
  const bodies = [
    [`{"type":1,"data":{"order_id":"${orderId}"`, "The body is not JSON."],
    [newsOf(orderId, "4711"), "no shop of ours is known by that id"],
  ] as const;
  for (const [body, reason] of bodies) {
    await deliver(body);
    const kept = (await list("operator", "state=kept")).find(({ body_preview: preview }) => preview === body);
    expect(kept).toMatchObject({ state: "kept", shop_id: null, reason });
    // It is nobody's: no seller sees it, and none can have it worked off.
    expect(await list("admin", "state=kept")).not.toContainEqual(expect.objectContaining({ id: kept!.id }));
    expect(await replay(kept!.id)).toBe(404);
  }
  expect(await orderOf(demo.db, demo.shop, orderId)).toBeNull();

  for (let round = 0; round < 2; round += 1) await takeInChangedOrders(demo.intake, demo.shop, null);
  await until("its unit is reserved", async () => (await happenedFor(orderId))?.reservations === 1);
  expect(await happenedFor(orderId)).toEqual(once);
});

test("news of a kind that nothing is done about is kept for its seller to see, refuses to be worked off, and holds nothing back", async () => {
  const orderId = await demo.placeOrder([{ skuId: demo.skus[2]!.id, quantity: 1 }]);
  await deliver(
    JSON.stringify({ type: 5, tts_notification_id: randomUUID(), shop_id: channelShopId, data: {} }),
  );
  const [kept] = await list("admin", "state=kept&topic=5");
  expect(kept).toMatchObject({ order_id: null, reason: "Nothing is done about topic 5." });
  expect(await replay(kept!.id)).toBe(409);
  await deliver(newsOf(orderId, channelShopId));
  await until(
    "what came after it is processed",
    async () => (await happenedFor(orderId))?.reservations === 1,
  );
  expect(await happenedFor(orderId)).toEqual(once);
});
