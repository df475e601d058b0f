import { createHmac } from "node:crypto";
import { expect, test } from "vitest";
import { until } from "../support/until.ts";
import {
  controlled,
  givenClient,
  givenReceiver,
  givenSimulator,
  ledger,
  move,
  placeOrder,
  type ReceivedWebhook,
  skusOf,
} from "./support.ts";

const topics = { orderStatus: 1, cancellation: 11, stock: 68 };

const ofType = (received: readonly ReceivedWebhook[], type: number) =>
  received.filter(({ body }) => body.type === type);

async function givenOrder(url: string, quantity = 1) {
  const sku = (await skusOf(url))[0]!;
  const { orderId } = await placeOrder(url, { lines: [{ skuId: sku.id, quantity }] });
  return { sku, orderId };
}

/** The books' line about the news of an order's status, once it was delivered. */
async function deliveredStatus(url: string) {
  return await until("the order's status was delivered", async () => {
    const webhooks = await ledger(url, "webhooks");
    return webhooks.find(({ type, fate }) => type === topics.orderStatus && fate === "delivered");
  });
}

test("every change of an order is told, signed over the raw body, under a number of its own", async () => {
  const { received, url: webhookUrl } = await givenReceiver();
  const { url } = await givenSimulator({ webhookUrl });
  const { credentials } = await givenClient(url);
  const { orderId } = await givenOrder(url);
  for (const name of ["pay", "cancel"]) await move(url, orderId, name);
  await until("all six have come", () => received.length === 6);

  const told = ofType(received, topics.orderStatus).map(({ body }) => body);
  expect(told.map(({ data }) => data.order_status).sort()).toEqual(["CANCEL", "ON_HOLD", "UNPAID"]);
  for (const { data, shop_id: shopId } of told) {
    expect([data.order_id, shopId]).toEqual([orderId, credentials.shopId]);
  }
  const [cancellation] = ofType(received, topics.cancellation);
  expect(cancellation?.body.data).toMatchObject({ order_id: orderId, cancellations_role: "BUYER" });
  for (const { authorization, text } of received) {
    const message = credentials.appKey + text;
    expect(authorization).toBe(createHmac("sha256", credentials.appSecret).update(message).digest("hex"));
  }
  expect(new Set(received.map(({ body }) => body.tts_notification_id)).size).toBe(6);
});

test("a stock change is told with ids as JSON numbers that lose no digit, and with its size", async () => {
  const { received, url: webhookUrl } = await givenReceiver();
  const { url } = await givenSimulator({ webhookUrl });
  const { credentials } = await givenClient(url);
  const { sku } = await givenOrder(url, 2);
  const sale = await until("the sale is told", () => ofType(received, topics.stock)[0]);
  expect(sale.text).toMatch(new RegExp(`"sku_id":${sku.id}[,}]`));
  expect(sale.text).toMatch(new RegExp(`"product_id":${sku.productId}[,}]`));
  expect(sale.text).toMatch(/"seller_id":\d{17,}[,}]/);
  expect([sale.body.shop_id, sale.body.seller_open_id]).toEqual([undefined, credentials.sellerOpenId]);
  expect(sale.body.data.quantity_snapshot_after_change).toEqual({
    total_quantity: sku.available,
    total_available_quantity: sku.available - 2,
    total_committed_quantity: 2,
    in_shop_quantity: sku.available - 2,
  });
  const [change] = sale.body.data.change_detail!;
  expect(change).toMatchObject({ available_quantity_delta: -2, committed_quantity_delta: 2 });
  expect(change).not.toHaveProperty("total_quantity_delta");
});

test("each stock change names its cause, and their times tell their order", async () => {
  const { received, url: webhookUrl } = await givenReceiver();
  const { url } = await givenSimulator({ webhookUrl });
  const { call } = await givenClient(url);
  const { sku, orderId } = await givenOrder(url);
  const body = { skus: [{ id: sku.id, inventory: [{ quantity: 7 }] }] };
  await call("POST", `/product/202309/products/${sku.productId}/inventory/update`, { body });
  await controlled(url, "POST", "/_sim/stock", { skuId: sku.id, available: 8 });
  await move(url, orderId, "pay");
  const { packages } = await move(url, orderId, "release");
  await call("POST", `/fulfillment/202309/packages/${packages[0]!.id}/ship`);
  await move(url, orderId, "collect");
  await move(url, (await givenOrder(url)).orderId, "cancel");
  await until("all six are told", () => ofType(received, topics.stock).length === 6);
  const causes = ofType(received, topics.stock)
    .map(({ body: { data } }) => `${data.occurred_at} ${data.change_detail?.[0]?.trigger_source}`)
    .sort()
    .map((text) => text.split(" ")[1]);
  expect(causes).toEqual([
    "order_created",
    "api_sync",
    "manual_adjustment",
    "order_shipped",
    "order_created",
    "order_canceled",
  ]);
});

test("a webhook that is not accepted comes again under the same number and with the same bytes", async () => {
  let refusals = 2;
  const { received, url: webhookUrl } = await givenReceiver(({ body }) =>
    body.type === topics.orderStatus && refusals-- > 0 ? 500 : 200,
  );
  const { url } = await givenSimulator({ webhookUrl, timeScale: 100_000 });
  const { orderId } = await givenOrder(url);
  const { attempts } = await deliveredStatus(url);
  expect(attempts.map(({ status }) => status)).toEqual([500, 500, 200]);
  const texts = ofType(received, topics.orderStatus).map(({ text }) => text);
  expect(texts).toHaveLength(3);
  expect(new Set(texts).size).toBe(1);
  expect(texts[0]).toContain(orderId);
});

test("after its first attempt and four repetitions a webhook is dropped, and the books say so", async () => {
  const { received, url: webhookUrl } = await givenReceiver(() => 401);
  const { url } = await givenSimulator({ webhookUrl, timeScale: 100_000 });
  await givenOrder(url);
  const dropped = await until("both are dropped", async () => {
    const webhooks = await ledger(url, "webhooks");
    return webhooks.length === 2 && webhooks.every(({ fate }) => fate === "dropped") ? webhooks : null;
  });
  for (const { attempts } of dropped) {
    expect(attempts).toHaveLength(5);
    // 12 hours at this scale.
    expect(attempts[4]!.atMilliseconds - attempts[3]!.atMilliseconds).toBeGreaterThanOrEqual(430);
  }
  expect(received).toHaveLength(10);
});

test("an app that does not answer within 3 seconds is tried again, and holds up no other webhook", async () => {
  let stuck = true;
  const { received, url: webhookUrl } = await givenReceiver(({ body }) => {
    if (body.type !== topics.orderStatus || !stuck) return 200;
    stuck = false;
    return 0;
  });
  const { url } = await givenSimulator({ webhookUrl, timeScale: 100_000 });
  await givenOrder(url);
  await until("the stock is told", () => ofType(received, topics.stock).length === 1, { seconds: 2 });
  const [silent, answered] = (await deliveredStatus(url)).attempts;
  expect(silent).toMatchObject({ status: null, error: expect.stringContaining("timeout") as string });
  expect(answered!.atMilliseconds - silent!.atMilliseconds).toBeGreaterThanOrEqual(2_990);
});

test("what was not delivered before a restart is delivered after it; what had no address never is", async () => {
  let open = false;
  const { received, url: webhookUrl } = await givenReceiver(() => (open ? 200 : 503));
  // At this scale the repetition is due 2 seconds after the attempt, when another process is there to make it.
  const first = await givenSimulator({ timeScale: 60 });
  await givenOrder(first.url);
  await controlled(first.url, "PUT", "/_sim/settings", { webhookUrl });
  await givenOrder(first.url);
  await until("both are recorded as refused", async () => {
    const webhooks = await ledger(first.url, "webhooks");
    return webhooks.filter(({ attempts }) => attempts.length === 1).length === 2;
  });
  await first.stop();
  expect(received).toHaveLength(2);

  open = true;
  const second = await givenSimulator({ home: first.home, timeScale: 60 });
  const delivered = await until("both are delivered", async () => {
    const webhooks = (await ledger(second.url, "webhooks")).filter(({ fate }) => fate === "delivered");
    return webhooks.length === 2 ? webhooks : null;
  });
  for (const { attempts } of delivered) expect(attempts.map(({ status }) => status)).toEqual([503, 200]);
  const fates = (await ledger(second.url, "webhooks")).map(({ fate }) => fate);
  expect(fates.filter((fate) => fate === "unaddressed")).toHaveLength(2);
});
