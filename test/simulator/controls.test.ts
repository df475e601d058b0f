import { expect, test } from "vitest";
import { until } from "../support/until.ts";
import { control, controlled, credentialsOf, givenSimulator, ledger, placeOrder, skusOf } from "./support.ts";

test("the demo shop is the same each time: 200 SKUs with 20 to 400 units, the last 40 kept for bursts", async () => {
  const [first, second] = [await givenSimulator(), await givenSimulator()];
  const skus = await skusOf(first.url);
  expect(skus).toEqual(await skusOf(second.url));
  expect(skus).toHaveLength(200);
  expect(new Set(skus.map(({ sellerSku }) => sellerSku)).size).toBe(200);
  for (const { available } of skus) {
    expect(available).toBeGreaterThanOrEqual(20);
    expect(available).toBeLessThanOrEqual(400);
  }
  expect(skus.findIndex(({ reservedForBursts }) => reservedForBursts)).toBe(160);
  expect(skus.filter(({ reservedForBursts }) => reservedForBursts)).toHaveLength(40);
  const secrets = [await credentialsOf(first.url), await credentialsOf(second.url)];
  expect(secrets[0]?.shopId).toBe(secrets[1]?.shopId);
  expect(secrets[0]?.appSecret).not.toBe(secrets[1]?.appSecret);
});

test("the steady stream sells one to three units an order, nothing kept for bursts and nothing that is not there", async () => {
  const { url } = await givenSimulator();
  const skus = await skusOf(url);
  const reserved = new Set(skus.filter((sku) => sku.reservedForBursts).map(({ id }) => id));
  await controlled(url, "PUT", "/_sim/settings", { ordersPerMinute: 6000, timeScale: 1000 });
  const orders = await until("60 orders are there", async () => {
    const found = await ledger(url, "orders");
    return found.length >= 60 ? found : null;
  });
  await controlled(url, "PUT", "/_sim/settings", { ordersPerMinute: 0 });
  const lines = orders.flatMap((order) => order.lines);
  expect(lines.filter(({ skuId, oversold }) => reserved.has(skuId) || oversold)).toEqual([]);
  expect(new Set(orders.map((order) => order.lines.length))).toEqual(new Set([1, 2, 3]));
  const isCancelledByBuyer = async () =>
    (await ledger(url, "orders")).some(({ statusChanges }) =>
      statusChanges.some(({ status, by }) => status === "CANCELLED" && by === "BUYER"),
    );
  await until("some buyer changed their mind", isCancelledByBuyer);
});

test("the page for people shows the shop and its orders, and escapes what it was told", async () => {
  const { url } = await givenSimulator({ webhookUrl: "http://127.0.0.1:9/?a=<script>&b='\"" });
  const [sku] = await skusOf(url);
  const { orderId } = await placeOrder(url, { lines: [{ skuId: sku!.id, quantity: 1 }] });
  const page = await (await fetch(url)).text();
  expect(page).toContain(orderId);
  expect(page).toContain("<td>UNPAID</td><td>1</td>");
  expect(page).not.toContain("<script>");
  expect(page).toContain("&#60;script&#62;");
});

test.each([
  ["PUT", "/_sim/settings", { webhookUrl: "ftp://host" }, "webhookUrl"],
  ["PUT", "/_sim/settings", { speed: 2 }, "speed"],
  ["PUT", "/_sim/quota", { requestsPerSecond: 0, burst: 1 }, "requestsPerSecond"],
  ["POST", "/_sim/stock", { skuId: "1", available: -1 }, "available"],
  ["POST", "/_sim/burst", { orders: 1, skuIds: [] }, "skuIds"],
  ["GET", "/_sim/ledger?section=secrets", undefined, "section"],
] as const)("%s %s with %j is a 400 that names the mistake", async (method, path, body, mistake) => {
  const { url } = await givenSimulator();
  const answer = await control(url, method, path, body);
  expect(answer.status).toBe(400);
  expect(answer.text).toContain(mistake);
});

test("a second simulator on the same books is refused, and the first goes on", async () => {
  const first = await givenSimulator();
  await expect(givenSimulator({ home: first.home })).rejects.toThrow("another simulator");
  expect((await control(first.url, "GET", "/_sim/health")).status).toBe(200);
});
