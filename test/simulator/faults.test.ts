import { createHmac } from "node:crypto";
import { expect, test } from "vitest";
import { z } from "zod";
import { until } from "../support/until.ts";
import * as shapes from "./shapes.ts";
import {
  control,
  controlled,
  givenClient,
  givenReceiver,
  givenSimulator,
  ledger,
  move,
  placeOrder,
  skusOf,
} from "./support.ts";

const faultsShape = z.object({
  plan: z.object({ seed: z.string() }),
  injected: z.record(z.string(), z.number()),
  forgeriesAccepted: z.number(),
});

async function setFaults(url: string, plan: object) {
  return faultsShape.parse(await controlled(url, "PUT", "/_sim/faults", plan));
}

async function injected(url: string) {
  return faultsShape.parse(await controlled(url, "GET", "/_sim/faults")).injected;
}

async function givenPaidOrder(url: string, quantity = 1) {
  const [sku] = await skusOf(url);
  const { orderId } = await placeOrder(url, { lines: [{ skuId: sku!.id, quantity }] });
  await move(url, orderId, "pay");
  const { packages } = await move(url, orderId, "release");
  return { sku: sku!, orderId, packageId: packages[0]!.id };
}

const statusOf = async (url: string, orderId: string) =>
  (await ledger(url, "orders")).find((order) => order.orderId === orderId)!.status;

const batchShip = "POST /fulfillment/202309/packages/ship";

/** One request as our own client would send it, with the raw bytes of what came back. */
async function rawCall(url: string, pathname: string, options: { body?: object; giveUpMs?: number } = {}) {
  const { appKey, appSecret, shopCipher, accessToken } = (await givenClient(url)).credentials;
  const text = options.body === undefined ? "" : JSON.stringify(options.body);
  const query = {
    app_key: appKey,
    shop_cipher: shopCipher,
    timestamp: String(Math.floor(Date.now() / 1000)),
  };
  const pairs = Object.entries(query).map(([name, value]) => name + value);
  const plain = `${appSecret}${pathname}${pairs.sort().join("")}${text}${appSecret}`;
  const sign = createHmac("sha256", appSecret).update(plain).digest("hex");
  const response = await fetch(`${url}${pathname}?${new URLSearchParams({ ...query, sign }).toString()}`, {
    method: options.body === undefined ? "GET" : "POST",
    headers: { "content-type": "application/json", "x-tts-access-token": accessToken },
    ...(options.body === undefined ? {} : { body: text }),
    ...(options.giveUpMs === undefined ? {} : { signal: AbortSignal.timeout(options.giveUpMs) }),
  });
  return { status: response.status, text: await response.text() };
}

const orderPath = "/order/202309/orders/search";

test("a webhook is repeated up to so many times with the same bytes, and the books call it one attempt", async () => {
  const { received, url: webhookUrl } = await givenReceiver();
  const { url } = await givenSimulator({ webhookUrl });
  await setFaults(url, { webhooks: { duplicate: { percent: 100, copiesMax: 4 } } });
  await givenPaidOrder(url);
  const webhooks = await until("all are delivered", async () => {
    const found = await ledger(url, "webhooks");
    return found.every(({ fate }) => fate === "delivered") ? found : null;
  });
  for (const { id, attempts, faults } of webhooks) {
    const texts = received.filter(({ body }) => body.tts_notification_id === id).map(({ text }) => text);
    expect(texts.length).toBeGreaterThanOrEqual(2);
    expect(texts.length).toBeLessThanOrEqual(5);
    expect(new Set(texts).size).toBe(1);
    expect([attempts.length, faults]).toEqual([1, ["duplicated"]]);
  }
  expect((await injected(url))["webhooks.duplicate"]).toBe(webhooks.length);
});

test("concurrent copies of a webhook come while the first is still unanswered", async () => {
  const { received, url: webhookUrl } = await givenReceiver(() => 0);
  const { url } = await givenSimulator({ webhookUrl });
  await setFaults(url, { webhooks: { duplicate: { next: 1, copiesMax: 4, concurrent: true } } });
  await givenPaidOrder(url);
  const ids = () => received.map(({ body }) => body.tts_notification_id);
  // An unanswered webhook is given up after 3 s; copies that come before then did not wait for it.
  await until("one has come twice", () => new Set(ids()).size < ids().length, { seconds: 2.5 });
});

test("a delayed webhook is due that much later and comes all the same", async () => {
  const { received, url: webhookUrl } = await givenReceiver();
  const { url } = await givenSimulator({ webhookUrl });
  await setFaults(url, { webhooks: { delay: { next: 1, betweenMs: [400, 500] } } });
  await givenPaidOrder(url);
  await until("all have come", async () => received.length === (await ledger(url, "webhooks")).length);
  const [late] = await until("the late one is recorded", async () => {
    const found = (await ledger(url, "webhooks")).filter(({ faults }) => faults.includes("delayed"));
    return found[0]?.fate === "delivered" ? found : null;
  });
  expect(late!.attempts[0]!.atMilliseconds - late!.createMilliseconds).toBeGreaterThanOrEqual(400);
});

test("a reordered webhook comes after as many later ones as the plan says, or when none come", async () => {
  const { received, url: webhookUrl } = await givenReceiver();
  const { url } = await givenSimulator({ webhookUrl });
  await setFaults(url, { webhooks: { reorder: { next: 1, behind: 2, waitMsMax: 60_000 } } });
  await givenPaidOrder(url);
  await until("all have come", async () => received.length === (await ledger(url, "webhooks")).length);
  const held = (await ledger(url, "webhooks")).find(({ faults }) => faults.includes("reordered"))!;
  const place = received.findIndex(({ body }) => body.tts_notification_id === held.id);
  const overtaking = received.slice(0, place).filter(({ body }) => body.tts_notification_id > held.id);
  expect(overtaking.length).toBeGreaterThanOrEqual(2);

  const before = received.length;
  await setFaults(url, { webhooks: { reorder: { percent: 100, behind: 1_000, waitMsMax: 50 } } });
  await givenPaidOrder(url);
  await until("they have come", () => received.length >= before + 4);
});

test("a lost webhook never comes, not even by a repetition, and the books name it", async () => {
  const { received, url: webhookUrl } = await givenReceiver(() => 500);
  const { url } = await givenSimulator({ webhookUrl, timeScale: 100_000 });
  await setFaults(url, { webhooks: { lose: { next: 2 } } });
  await givenPaidOrder(url);
  const webhooks = await until(
    "all others are given up",
    async () => {
      const found = await ledger(url, "webhooks");
      return found.every(({ fate }) => fate === "lost" || fate === "dropped") ? found : null;
    },
    { seconds: 20 },
  );
  const lost = webhooks.filter(({ fate }) => fate === "lost");
  expect(lost).toHaveLength(2);
  const ids = new Set(received.map(({ body }) => body.tts_notification_id));
  expect(lost.filter(({ id }) => ids.has(id))).toEqual([]);
  expect(received).toHaveLength((webhooks.length - 2) * 5);
});

test("a forged webhook carries no signature of its own bytes, and who believes it is counted", async () => {
  const { received, url: webhookUrl } = await givenReceiver();
  const { url } = await givenSimulator({ webhookUrl });
  const { credentials } = await givenClient(url);
  await setFaults(url, { webhooks: { forge: { percent: 100 } } });
  await givenPaidOrder(url);
  const webhooks = await until("all are delivered", async () => {
    const found = await ledger(url, "webhooks");
    return found.every(({ fate }) => fate === "delivered") ? found : null;
  });
  const isTrue = ({ text, authorization }: (typeof received)[number]) =>
    createHmac("sha256", credentials.appSecret)
      .update(credentials.appKey + text)
      .digest("hex") === authorization;
  expect(received.filter((webhook) => !isTrue(webhook))).toHaveLength(webhooks.length);
  expect(received.filter(isTrue)).toHaveLength(webhooks.length);
  const { forgeriesAccepted } = faultsShape.parse(await controlled(url, "GET", "/_sim/faults"));
  expect(forgeriesAccepted).toBe(webhooks.length);
});

test("429 comes with Retry-After when the plan says so and without it when not, for as many calls as it says", async () => {
  const { url } = await givenSimulator();
  const { call } = await givenClient(url);
  for (const retryAfterSeconds of [7, undefined]) {
    await setFaults(url, { calls: [{ fault: "too_many_requests", next: 2, retryAfterSeconds }] });
    for (let attempt = 1; attempt <= 2; attempt += 1) {
      const { status, code, retryAfter } = await call("POST", orderPath, { body: {} });
      expect([status, code, retryAfter]).toEqual([429, 36009002, retryAfterSeconds?.toString() ?? null]);
    }
    expect((await call("POST", orderPath, { body: {} })).code).toBe(0);
  }
});

test.each([
  ["before it is applied", false, "AWAITING_SHIPMENT"],
  ["after it is applied", true, "AWAITING_COLLECTION"],
])("a 5xx, a reset and a time-out %s leave the books so", async (_when, applied, status) => {
  const { url } = await givenSimulator();
  for (const fault of ["server_error", "reset", "timeout"]) {
    const { orderId, packageId } = await givenPaidOrder(url);
    await setFaults(url, { calls: [{ fault, applied, next: 1, endpoint: batchShip }] });
    const asked = rawCall(url, "/fulfillment/202309/packages/ship", {
      body: { packages: [{ id: packageId }] },
      giveUpMs: 700,
    });
    if (fault === "server_error") expect((await asked).status).toBe(503);
    else {
      const error = await asked.then(
        () => null,
        (reason: unknown) => reason,
      );
      expect((error as Error).name).toBe(fault === "timeout" ? "TimeoutError" : "TypeError");
    }
    expect(await statusOf(url, orderId)).toBe(status);
    expect(await injected(url)).toEqual({ [`calls.0.${fault}`]: 1 });
  }
});

test("a slow answer comes after the time drawn for it, with its effect in the books long before", async () => {
  const { url } = await givenSimulator();
  const { orderId, packageId } = await givenPaidOrder(url);
  await setFaults(url, { calls: [{ fault: "slow", next: 1, betweenMs: [600, 700], endpoint: batchShip }] });
  let answered = false;
  const asked = rawCall(url, "/fulfillment/202309/packages/ship", {
    body: { packages: [{ id: packageId }] },
  }).finally(() => (answered = true));
  await until("it is shipped", async () => (await statusOf(url, orderId)) === "AWAITING_COLLECTION");
  expect(answered).toBe(false);
  expect((await asked).status).toBe(200);
});

test("a late call takes effect behind those that came after it, also when nobody waits for its answer", async () => {
  const { url } = await givenSimulator();
  const [sku] = await skusOf(url);
  const tell = (quantity: number, giveUpMs?: number) =>
    rawCall(url, `/product/202309/products/${sku!.productId}/inventory/update`, {
      body: { skus: [{ id: sku!.id, inventory: [{ quantity }] }] },
      ...(giveUpMs === undefined ? {} : { giveUpMs }),
    });
  const available = async () => (await skusOf(url)).find(({ id }) => id === sku!.id)!.available;
  await setFaults(url, {
    calls: [{ fault: "late", next: 1, betweenMs: [600, 700], endpoint: "inventory/update" }],
  });
  await expect(tell(41, 200)).rejects.toThrow();
  expect((await tell(42)).status).toBe(200);
  expect(await available()).toBe(42);
  await until("the older number stands there", async () => (await available()) === 41);
});

test("an answer is broken off, is no JSON, or has numbers where lists are due", async () => {
  const { url } = await givenSimulator();
  const ask = () => rawCall(url, orderPath, { body: {} });
  await setFaults(url, { calls: [{ fault: "truncated", next: 1 }] });
  await expect(ask()).rejects.toThrow("terminated");
  await setFaults(url, { calls: [{ fault: "malformed", next: 1 }] });
  const { text } = await ask();
  expect(() => JSON.parse(text) as unknown).toThrow(SyntaxError);
  await setFaults(url, { calls: [{ fault: "wrong_types", next: 1 }] });
  expect(JSON.parse((await ask()).text)).toMatchObject({ code: 0, data: { orders: 7, total_count: 7 } });
  const whole = shapes.envelope.parse(JSON.parse((await ask()).text));
  expect(shapes.orderPage.parse(whole.data).orders).toEqual([]);
});

test("of several packages or SKUs some fail inside a successful answer, and only the others are done", async () => {
  const { url } = await givenSimulator();
  const { ask } = await givenClient(url);
  const orders: Awaited<ReturnType<typeof givenPaidOrder>>[] = [];
  for (let count = 0; count < 12; count += 1) orders.push(await givenPaidOrder(url));
  await setFaults(url, { calls: [{ fault: "partial", percent: 100, itemPercent: 40, code: 21011099 }] });
  const body = { packages: orders.map(({ packageId }) => ({ id: packageId })) };
  const { errors } = await ask(shapes.shipErrors, "POST", "/fulfillment/202309/packages/ship", { body });
  const failed = errors.map(({ detail }) => detail.package_id);
  expect(failed.length).toBeGreaterThan(0);
  expect(failed.length).toBeLessThan(12);
  expect(new Set(errors.map(({ code }) => code))).toEqual(new Set([21011099]));
  for (const { orderId, packageId } of orders) {
    const expected = failed.includes(packageId) ? "AWAITING_SHIPMENT" : "AWAITING_COLLECTION";
    expect(await statusOf(url, orderId)).toBe(expected);
  }

  const [first, second] = (await skusOf(url)).filter(
    ({ productId }) => productId === orders[0]!.sku.productId,
  );
  const updates = { skus: [first!, second!].map(({ id }) => ({ id, inventory: [{ quantity: 3 }] })) };
  const path = `/product/202309/products/${first!.productId}/inventory/update`;
  const refused = (await ask(shapes.updateErrors, "POST", path, { body: updates })).errors.map(
    ({ detail }) => detail.sku_id,
  );
  expect(refused.length).toBeGreaterThan(0);
  for (const sku of (await skusOf(url)).filter(({ id }) => id === first!.id || id === second!.id)) {
    expect(sku.available === 3).toBe(!refused.includes(sku.id));
  }
});

test("a young order is missing from the answer although its webhook has come, and is there when it is older", async () => {
  const { received, url: webhookUrl } = await givenReceiver();
  const { url } = await givenSimulator({ webhookUrl });
  const { ask } = await givenClient(url);
  await setFaults(url, { unreadable: { percent: 100, forMs: 1_500 } });
  const [sku] = await skusOf(url);
  const { orderId } = await placeOrder(url, { lines: [{ skuId: sku!.id, quantity: 1 }] });
  const fetched = async () =>
    (await ask(shapes.orders, "GET", "/order/202309/orders", { query: { ids: orderId } })).orders.length;
  await until("its webhook has come", () => received.some(({ body }) => body.data.order_id === orderId));
  expect(await fetched()).toBe(0);
  await until("it can be read", async () => (await fetched()) === 1);
});

test("the same seed gives the same faults over the same traffic, another seed gives others", async () => {
  const runs = [];
  for (const seed of ["storm", "storm", "calm"]) {
    const { received, url: webhookUrl } = await givenReceiver();
    const { url } = await givenSimulator({ webhookUrl });
    const { call } = await givenClient(url);
    await setFaults(url, {
      seed,
      webhooks: { lose: { percent: 30 }, duplicate: { percent: 40, copiesMax: 3 } },
      calls: [
        { fault: "server_error", percent: 20 },
        { fault: "too_many_requests", percent: 20 },
      ],
    });
    const statuses = [];
    for (let count = 0; count < 40; count += 1) {
      statuses.push((await call("POST", orderPath, { body: {} })).status);
    }
    for (let count = 0; count < 8; count += 1) await givenPaidOrder(url);
    const webhooks = await until("all are sent", async () => {
      const found = await ledger(url, "webhooks");
      return found.some(({ fate }) => fate === "pending") ? null : found;
    });
    const copies = webhooks.map(({ id, fate }) => [
      fate,
      received.filter(({ body }) => body.tts_notification_id === id).length,
    ]);
    runs.push(JSON.stringify({ statuses, copies }));
    expect(new Set(statuses)).toEqual(new Set([200, 429, 503]));
  }
  expect(runs[1]).toBe(runs[0]);
  expect(runs[2]).not.toBe(runs[0]);
});

test("a plan and what is left of it survive a restart; an empty plan ends it", async () => {
  const first = await givenSimulator();
  await setFaults(first.url, { calls: [{ fault: "too_many_requests", next: 3 }] });
  await (await givenClient(first.url)).call("POST", orderPath, { body: {} });
  await first.stop();
  const second = await givenSimulator({ home: first.home });
  const { call } = await givenClient(second.url);
  const statuses = [];
  for (let count = 0; count < 3; count += 1)
    statuses.push((await call("POST", orderPath, { body: {} })).status);
  expect(statuses).toEqual([429, 429, 200]);
  expect(await injected(second.url)).toEqual({ "calls.0.too_many_requests": 3 });

  await setFaults(second.url, { calls: [{ fault: "too_many_requests", percent: 100 }] });
  expect((await call("POST", orderPath, { body: {} })).status).toBe(429);
  await setFaults(second.url, {});
  expect((await call("POST", orderPath, { body: {} })).status).toBe(200);
  expect(await injected(second.url)).toEqual({});
});

test("the ledger tells of each package how often shipping it was accepted, and how often it was asked again", async () => {
  const { url } = await givenSimulator();
  const { call } = await givenClient(url);
  const { orderId, packageId } = await givenPaidOrder(url);
  for (let attempt = 1; attempt <= 3; attempt += 1) {
    await call("POST", "/fulfillment/202309/packages/ship", { body: { packages: [{ id: packageId }] } });
  }
  const order = (await ledger(url, "orders")).find((each) => each.orderId === orderId)!;
  expect(order.packages).toMatchObject([{ shipCallsAccepted: 1, shipCallsRepeated: 2 }]);
  expect(order.shipCallsAccepted).toBe(1);
});

test.each([
  [{ calls: [{ fault: "server_error" }] }, "percent or next"],
  [{ calls: [{ fault: "server_error", percent: 1, next: 1 }] }, "percent or next"],
  [{ calls: [{ fault: "fire", percent: 1 }] }, "fault"],
  [{ calls: [{ fault: "reset", percent: 1, endpoint: "/nowhere" }] }, "/nowhere"],
  [{ calls: [{ fault: "slow", percent: 1, betweenMs: [2, 1] }] }, "range"],
  [{ webhooks: { lose: { percent: 101 } } }, "percent"],
  [{ weather: "bad" }, "weather"],
])(
  "the plan %j is a 400 that names the mistake and leaves the plan before it in force",
  async (plan, mistake) => {
    const { url } = await givenSimulator();
    await setFaults(url, { seed: "before" });
    const answer = await control(url, "PUT", "/_sim/faults", plan);
    expect(answer.status).toBe(400);
    expect(answer.text).toContain(mistake);
    expect(await controlled(url, "GET", "/_sim/faults")).toMatchObject({ plan: { seed: "before" } });
  },
);
