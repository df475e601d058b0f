import { createHmac } from "node:crypto";
import { expect, test } from "vitest";
import { until } from "../support/until.ts";
import {
  controlled,
  givenClient,
  givenReceiver,
  givenSimulator,
  ledger,
  placeOrder,
  type ReceivedWebhook,
  skusOf,
} from "./support.ts";

const ofType = (received: readonly ReceivedWebhook[], type: number) =>
  received.filter(({ body }) => body.type === type);

async function givenOrder(url: string, units = 1) {
  const [sku] = await skusOf(url);
  return { sku, ...(await placeOrder(url, { lines: [{ skuId: sku.id, quantity: units }] })) };
}

test("every change of an order is told, signed over the raw body, under a number of its own", async () => {
  const { received, url: webhookUrl } = await givenReceiver();
  const { url } = await givenSimulator({ webhookUrl });
  const { credentials } = await givenClient(url);
  const { orderId } = await givenOrder(url);
  for (const move of ["pay", "cancel"]) await controlled(url, "POST", `/_sim/orders/${orderId}/${move}`);
  await until("all six have come", () => received.length === 6);

  const statuses = ofType(received, 1).map(({ body }) => body.data);
  expect(new Set(statuses.map(({ order_status: status }) => status))).toEqual(
    new Set(["UNPAID", "ON_HOLD", "CANCEL"]),
  );
  expect(statuses.every(({ order_id: id }) => id === orderId)).toBe(true);
  expect(ofType(received, 11)[0]!.body.data).toMatchObject({
    order_id: orderId,
    cancellations_role: "BUYER",
  });
  for (const { authorization, text } of received) {
    const expected = createHmac("sha256", credentials.appSecret)
      .update(credentials.appKey + text)
      .digest("hex");
    expect(authorization).toBe(expected);
  }
  expect(new Set(received.map(({ body }) => body.tts_notification_id)).size).toBe(6);
});

test("a stock change is told with ids as JSON numbers that lose no digit, and with its cause and size", async () => {
  const { received, url: webhookUrl } = await givenReceiver();
  const { url } = await givenSimulator({ webhookUrl });
  const { call, credentials } = await givenClient(url);
  const { sku, orderId } = await givenOrder(url, 2);
  await until("the sale is told", () => ofType(received, 68).length === 1);
  const [sale] = ofType(received, 68);
  expect(sale!.text).toMatch(new RegExp(`"sku_id":${sku.id}[,}]`));
  expect(sale!.text).toMatch(new RegExp(`"product_id":${sku.productId}[,}]`));
  expect(sale!.text).toMatch(/"seller_id":\d{16,}[,}]/);
  expect(sale!.body).not.toHaveProperty("shop_id");
  expect(sale!.body.seller_open_id).toBe(credentials.sellerOpenId);
  const { quantity_snapshot_after_change: after, change_detail: detail } = sale!.body.data;
  expect(after).toMatchObject({ total_quantity: sku.available, total_committed_quantity: 2 });
  expect(detail).toEqual([
    expect.objectContaining({
      trigger_source: "order_created",
      available_quantity_delta: -2,
      committed_quantity_delta: 2,
    }),
  ]);
  expect(detail[0]).not.toHaveProperty("total_quantity_delta");

  await call("POST", `/product/202309/products/${sku.productId}/inventory/update`, {
    body: { skus: [{ id: sku.id, inventory: [{ quantity: 7 }] }] },
  });
  await controlled(url, "POST", "/_sim/stock", { skuId: sku.id, available: 8 });
  await controlled(url, "POST", `/_sim/orders/${orderId}/pay`);
  const { packages } = await controlled(url, "POST", `/_sim/orders/${orderId}/release`);
  await call("POST", `/fulfillment/202309/packages/${packages[0].id}/ship`, { body: {} });
  await controlled(url, "POST", `/_sim/orders/${orderId}/collect`);
  const other = await givenOrder(url);
  await controlled(url, "POST", `/_sim/orders/${other.orderId}/cancel`);
  await until("all six are told", () => ofType(received, 68).length === 6);
  const causes = ofType(received, 68)
    .map(({ body }) => body.data)
    .sort((a, b) => (a.occurred_at < b.occurred_at ? -1 : 1))
    .map(({ change_detail: [change] }) => change.trigger_source);
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
    body.type === 1 && refusals-- > 0 ? 500 : 200,
  );
  const { url } = await givenSimulator({ webhookUrl, timeScale: 100_000 });
  await givenOrder(url);
  await until("the third attempt came", () => ofType(received, 1).length === 3);
  expect(new Set(ofType(received, 1).map(({ text }) => text)).size).toBe(1);
  const webhook = await until("it is recorded as delivered", async () =>
    (await ledger(url, "webhooks")).find(({ type, fate }) => type === 1 && fate === "delivered"),
  );
  expect(webhook.attempts.map(({ status }: { status: number }) => status)).toEqual([500, 500, 200]);
});

test("after its first attempt and four repetitions a webhook is dropped, and the books say so", async () => {
  const { received, url: webhookUrl } = await givenReceiver(() => 401);
  const { url } = await givenSimulator({ webhookUrl, timeScale: 100_000 });
  await givenOrder(url);
  const dropped = await until("both are dropped", async () => {
    const webhooks = await ledger(url, "webhooks");
    return webhooks.length === 2 && webhooks.every(({ fate }) => fate === "dropped") ? webhooks : null;
  });
  expect(dropped.map(({ attempts }) => attempts.length)).toEqual([5, 5]);
  const times = dropped[0].attempts.map(({ atMilliseconds }: { atMilliseconds: number }) => atMilliseconds);
  expect(times[4] - times[3]).toBeGreaterThanOrEqual(432);
  expect(received).toHaveLength(10);
});

test("an app that does not answer within 3 seconds is tried again, and holds up neither the API nor other webhooks", async () => {
  let stuck = true;
  const { received, url: webhookUrl } = await givenReceiver(({ body }) => {
    if (body.type !== 1 || !stuck) return 200;
    stuck = false;
    return 0;
  });
  const { url } = await givenSimulator({ webhookUrl, timeScale: 100_000 });
  await givenOrder(url);
  await until("the stock is told", () => ofType(received, 68).length === 1, { seconds: 2 });
  const webhook = await until("the silent attempt is repeated", async () =>
    (await ledger(url, "webhooks")).find(({ type, fate }) => type === 1 && fate === "delivered"),
  );
  expect(webhook.attempts[0]).toMatchObject({ status: null, error: expect.stringContaining("timeout") });
  expect(webhook.attempts[1].atMilliseconds - webhook.attempts[0].atMilliseconds).toBeGreaterThanOrEqual(
    3_000,
  );
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
  for (const { attempts } of delivered) {
    expect(attempts.map(({ status }: { status: number }) => status)).toEqual([503, 200]);
  }
  const fates = (await ledger(second.url, "webhooks")).map(({ fate }) => fate);
  expect(fates.filter((fate) => fate === "unaddressed")).toHaveLength(2);
});
