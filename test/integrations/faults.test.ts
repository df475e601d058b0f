import fs from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import type { ChannelFailure, FailureKind } from "../../src/integrations/ports/failure.ts";
import { createTiktokShop, type TiktokShop } from "../../src/integrations/tiktok-shop/adapter.ts";
import { type Simulator, startSimulator } from "../../src/simulator/app.ts";
import { asId } from "../../src/domain/ids.ts";
import { BudgetInMemory, CredentialsInMemory, failureOf, shop } from "./support.ts";

/** Every fault that the simulator knows of a call, met by our own adapter over the wire. */
let home: string;
let simulator: Simulator;
let channel: TiktokShop;
let budget: BudgetInMemory;

async function control<Answer>(
  method: "GET" | "POST" | "PUT",
  route: string,
  body?: object,
): Promise<Answer> {
  const response = await fetch(simulator.url + route, {
    method,
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  if (!response.ok) throw new Error(`${route} answered ${response.status}: ${await response.text()}`);
  return (await response.json()) as Answer;
}

beforeAll(async () => {
  home = await fs.mkdtemp(path.join(os.tmpdir(), "creatorflow-faults-"));
  simulator = await startSimulator({ port: 0, home, timeScale: 1, webhookUrl: null, ordersPerMinute: 0 });
});
afterAll(async () => {
  await simulator.stop();
  await fs.rm(home, { recursive: true, force: true });
});
beforeEach(async () => {
  const { appKey, appSecret, shopCipher, accessToken, refreshToken } = await control<
    Record<"appKey" | "appSecret" | "shopCipher" | "accessToken" | "refreshToken", string>
  >("GET", "/_sim/credentials");
  const never = "2099-12-31T00:00:00.000Z";
  budget = new BudgetInMemory();
  channel = createTiktokShop({
    apiUrl: simulator.url,
    authUrl: simulator.url,
    app: { key: appKey, secret: appSecret },
    credentials: new CredentialsInMemory(
      { accessToken, accessTokenExpiresAt: never, refreshToken, refreshTokenExpiresAt: never },
      shopCipher,
    ),
    budget,
  });
});

interface BookedOrder {
  readonly orderId: string;
  readonly status: string;
  readonly packages: readonly { readonly id: string; readonly shipCallsAccepted: number }[];
}

async function givenOrderToShip(): Promise<BookedOrder> {
  const { products } = await control<{ products: { skus: { id: string }[] }[] }>("GET", "/_sim/catalog");
  const { orderId } = await control<BookedOrder>("POST", "/_sim/orders", {
    lines: [{ skuId: products[0]!.skus[0]!.id, quantity: 1 }],
    durations: { unpaidMs: null, onHoldMs: null, shipmentMs: null, collectionMs: null },
  });
  await control("POST", `/_sim/orders/${orderId}/pay`);
  return await control<BookedOrder>("POST", `/_sim/orders/${orderId}/release`);
}

const shipping = { endpoint: "packages/ship", next: 1 };

async function shipUnder(rule: object): Promise<{ failure: ChannelFailure; shipped: number }> {
  const { orderId, packages } = await givenOrderToShip();
  await control("PUT", "/_sim/faults", { calls: [{ ...shipping, ...rule }] });
  const failure = await failureOf(channel.arrangeShipments(shop, [asId<"ChannelPackage">(packages[0]!.id)]));
  return { failure, shipped: await shippedTimes(orderId) };
}

async function shippedTimes(orderId: string): Promise<number> {
  const { items } = await control<{ items: BookedOrder[] }>("GET", "/_sim/ledger?section=orders&limit=1000");
  return items.find((order) => order.orderId === orderId)!.packages[0]!.shipCallsAccepted;
}

test.each<[string, object, FailureKind, number]>([
  ["429 with Retry-After", { fault: "too_many_requests", retryAfterSeconds: 9 }, "rate_limited", 0],
  ["429 without Retry-After", { fault: "too_many_requests" }, "rate_limited", 0],
  ["a 5xx that did nothing", { fault: "server_error", status: 502 }, "unavailable", 0],
  ["a 5xx after it was applied", { fault: "server_error", applied: true }, "unavailable", 1],
  ["a connection reset before it was applied", { fault: "reset" }, "unavailable", 0],
  ["a connection reset after it was applied", { fault: "reset", applied: true }, "unavailable", 1],
  ["an answer that breaks off", { fault: "truncated" }, "malformed", 1],
  ["an answer that is no JSON", { fault: "malformed" }, "malformed", 1],
  ["an answer with wrong types", { fault: "wrong_types" }, "malformed", 1],
])(
  "%s is told as what it is, and whether it took effect is never guessed",
  async (_name, rule, kind, shipped) => {
    const began = Date.now();
    const outcome = await shipUnder(rule);
    expect(outcome.failure.kind).toBe(kind);
    expect(outcome.failure.effectUnknown).toBe(kind !== "rate_limited");
    expect(outcome.shipped).toBe(shipped);
    if (kind !== "rate_limited") return;
    const seconds = "retryAfterSeconds" in rule ? 9 : 1;
    expect(outcome.failure.retryAt).toBeGreaterThanOrEqual(began + seconds * 1_000);
    expect(budget.limitedUntil).toEqual([outcome.failure.retryAt]);
  },
  20_000,
);

test("a time-out is the same failure whether the call was applied or not, which only the books know", async () => {
  const orders = [await givenOrderToShip(), await givenOrderToShip()];
  const timeout = { ...shipping, fault: "timeout" };
  await control("PUT", "/_sim/faults", { calls: [timeout, { ...timeout, applied: true }] });
  const failures = await Promise.all(
    orders.map(({ packages }) =>
      failureOf(channel.arrangeShipments(shop, [asId<"ChannelPackage">(packages[0]!.id)])),
    ),
  );
  expect(failures).toMatchObject([
    { kind: "unavailable", effectUnknown: true },
    { kind: "unavailable", effectUnknown: true },
  ]);
  const shipped = await Promise.all(orders.map(({ orderId }) => shippedTimes(orderId)));
  expect(shipped.sort()).toEqual([0, 1]);
}, 20_000);

test("of several packages the adapter tells which failed, and the others are shipped", async () => {
  const orders = await Promise.all([givenOrderToShip(), givenOrderToShip(), givenOrderToShip()]);
  await control("PUT", "/_sim/faults", { calls: [{ ...shipping, fault: "partial", itemPercent: 1 }] });
  const ids = orders.map(({ packages }) => asId<"ChannelPackage">(packages[0]!.id));
  const results = await channel.arrangeShipments(shop, ids);
  expect(results.filter(({ ok }) => !ok)).toMatchObject([{ channelCode: "36009003" }]);
  expect(results.filter(({ ok }) => ok)).toHaveLength(2);
});

test("a slow answer is waited for", async () => {
  await control("PUT", "/_sim/faults", { calls: [{ fault: "slow", next: 1, betweenMs: [500, 600] }] });
  await expect(channel.listWarehouses(shop)).resolves.not.toEqual([]);
});

test("an order that cannot be read yet is missing from the answer, and is found later", async () => {
  await control("PUT", "/_sim/faults", { unreadable: { percent: 100, forMs: 3_600_000 } });
  const { orderId } = await givenOrderToShip();
  const fetch = () => channel.fetchOrders(shop, [asId<"ChannelOrder">(orderId)], 2);
  expect(await fetch()).toEqual([]);
  await control("PUT", "/_sim/faults", {});
  expect(await fetch()).toHaveLength(1);
});
