import { randomBytes, randomUUID } from "node:crypto";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { claimDeliveries, failDeliveries } from "../../src/db/webhook-deliveries.ts";
import { until } from "../support/until.ts";
import { type ApiBed, type Seller, signedWebhook, startApiBed, tiktokApp } from "./api-bed.ts";

let bed: ApiBed;
let seller: Seller;

beforeAll(async () => {
  bed = await startApiBed();
  seller = await bed.addSeller();
});

afterAll(async () => {
  await bed.close();
});

function orderNews(overrides: Record<string, unknown> = {}): string {
  return JSON.stringify({
    type: 1,
    tts_notification_id: randomUUID(),
    shop_id: seller.channelShopId,
    timestamp: 1_718_305_585,
    data: { order_id: "576653688135258178", order_status: "UNPAID", update_time: 1_718_305_585 },
    ...overrides,
  });
}

async function storedByBody(body: string | Buffer) {
  const { rows } = await bed.superuser.query<{
    id: string;
    tenant_id: string | null;
    shop_id: string | null;
    state: string;
    reason: string | null;
    topic: number | null;
    channel_order_id: string | null;
    duplicates: number;
    attempts: number;
    headers: Record<string, string>;
  }>("select * from webhook_deliveries where body = $1", [Buffer.from(body)]);
  return rows;
}

describe("a genuine webhook", () => {
  test("is stored byte for byte with its shop and waits to be worked off, and 200 is answered without a body", async () => {
    const body = orderNews();
    const response = await bed.app.inject(signedWebhook(body));
    expect([response.statusCode, response.body]).toEqual([200, ""]);
    const [row, ...more] = await storedByBody(body);
    expect(more).toEqual([]);
    expect(row).toMatchObject({
      tenant_id: seller.tenantId,
      shop_id: seller.shopId,
      state: "waiting",
      topic: 1,
      channel_order_id: "576653688135258178",
      headers: { "content-type": "application/json", "user-agent": "test" },
    });
  });

  test("is accepted on a topic's own path and with the previous secret", async () => {
    const body = orderNews();
    const request = { ...signedWebhook(body, tiktokApp.previousSecret), url: "/webhooks/tiktok-shop/orders" };
    expect((await bed.app.inject(request)).statusCode).toBe(200);
    expect(await storedByBody(body)).toHaveLength(1);
  });

  test("that comes fifty times at once is stored once and answered 200 each time", async () => {
    const body = orderNews();
    const responses = await Promise.all(
      Array.from({ length: 50 }, () => bed.app.inject(signedWebhook(body))),
    );
    expect(new Set(responses.map((response) => response.statusCode))).toEqual(new Set([200]));
    expect(await storedByBody(body)).toMatchObject([{ duplicates: 49, state: "waiting" }]);
  });

  test.each([
    [3, "waiting"],
    [11, "waiting"],
    [12, "waiting"],
    [5, "kept"],
    [999, "kept"],
  ])("of topic %i becomes %s", async (type, state) => {
    const body = orderNews({ type });
    expect((await bed.app.inject(signedWebhook(body))).statusCode).toBe(200);
    expect(await storedByBody(body)).toMatchObject([{ state, topic: type }]);
  });

  test.each([
    ["an order's", ["order_created"], "stock news: of an order's change or our own"],
    ["our own", ["api_sync", "order_shipped"], "stock news: of an order's change or our own"],
    ["somebody's", ["manual_adjustment"], "stock news: the listing is looked at"],
    ["an order's and somebody's", ["order_created", "campaign_lock"], "stock news: the listing is looked at"],
    ["one with a new name", ["moon_phase"], "stock news: the listing is looked at"],
    ["one that names nobody", [], "stock news: the listing is looked at"],
  ])("about stock finds its shop by the seller's open id: %s change", async (_whose, triggers, reason) => {
    const body = JSON.stringify({
      type: 68,
      seller_open_id: seller.sellerOpenId,
      data: {
        event_id: randomUUID(),
        sku_id: "17",
        occurred_at: "2026-11-01T00:00:00.123456789Z",
        ...(triggers.length === 0
          ? {}
          : { change_detail: triggers.map((trigger_source) => ({ trigger_source })) }),
      },
    });
    expect((await bed.app.inject(signedWebhook(body))).statusCode).toBe(200);
    expect(await storedByBody(body)).toMatchObject([{ state: "processed", reason, shop_id: seller.shopId }]);
  });

  test("of a shop that nobody knows is kept, without a tenant, and answered 200", async () => {
    const body = orderNews({ shop_id: "1" });
    expect((await bed.app.inject(signedWebhook(body))).statusCode).toBe(200);
    expect(await storedByBody(body)).toMatchObject([{ state: "kept", tenant_id: null, shop_id: null }]);
  });

  test("that parked is put back to work when the channel sends it again", async () => {
    const body = orderNews();
    await bed.app.inject(signedWebhook(body));
    const [stored] = await storedByBody(body);
    await until("it has failed often enough to be parked", async () => {
      await claimDeliveries(bed.dispatcherDb, { inAll: 1_000, ofOneShop: 1_000 }, 0);
      await failDeliveries(bed.dispatcherDb, [stored!.id], "no such order", 1e6);
      return (await storedByBody(body))[0]?.state === "parked";
    });
    expect(await storedByBody(body)).toMatchObject([{ attempts: 6, reason: "no such order" }]);
    expect((await bed.app.inject(signedWebhook(body))).statusCode).toBe(200);
    expect(await storedByBody(body)).toMatchObject([
      { state: "waiting", attempts: 0, duplicates: 1, reason: null },
    ]);
  });
});

describe("a body that cannot be read", () => {
  test.each([
    ["no JSON", Buffer.from("not json at all")],
    ["no bytes at all", Buffer.alloc(0)],
    ["bytes that are no UTF-8", Buffer.from([0xff, 0xfe, 0x00, 0x80])],
    ["NUL in a string", Buffer.from('{"type":1,"shop_id":"\\u0000","data":{"order_id":"a\\u0000b"}}')],
    ["half a character", Buffer.from('{"type":1,"shop_id":"\\ud800","data":{"order_id":"\\ud800"}}')],
    ["a prototype key", Buffer.from('{"type":1,"__proto__":{"shop_id":"1"},"constructor":{"prototype":1}}')],
    ["a number beyond all numbers", Buffer.from('{"type":1e400,"shop_id":-0,"timestamp":1e400}')],
    ["an array 100,000 deep", Buffer.from("[".repeat(100_000) + "]".repeat(100_000))],
  ])("is kept with a reason and answered 200: %s", async (_what, body) => {
    const response = await bed.app.inject(signedWebhook(body));
    expect(response.statusCode).toBe(200);
    const [row] = await storedByBody(body);
    expect(row).toMatchObject({ state: "kept" });
    expect(row!.reason).toBeTruthy();
  });

  test("of random bytes never gives a 5xx", async () => {
    for (let round = 0; round < 50; round += 1) {
      const body = randomBytes(1 + (round % 40));
      const response = await bed.app.inject(signedWebhook(body));
      expect(response.statusCode, body.toString("hex")).toBe(200);
    }
  });

  test("larger than 256 KB is refused with 413 before it is stored", async () => {
    const body = Buffer.alloc(256 * 1_024 + 1, "a");
    expect((await bed.app.inject(signedWebhook(body))).statusCode).toBe(413);
    expect(await storedByBody(body)).toEqual([]);
  });
});

describe("a forged webhook", () => {
  test("is refused with 401, stored nowhere, and counted by the minute", async () => {
    const body = orderNews();
    const genuine = signedWebhook(body);
    const flipped = Buffer.from(body);
    flipped[20] = (flipped[20] ?? 0) ^ 1;
    const forgeries = [
      { ...genuine, headers: { ...genuine.headers, authorization: "0".repeat(64) } },
      { ...genuine, headers: { "content-type": "application/json" } },
      { ...genuine, payload: flipped },
      {
        ...genuine,
        headers: { ...genuine.headers, authorization: genuine.headers.authorization.slice(0, 63) },
      },
      signedWebhook(body, "another secret"),
    ];
    for (const forgery of forgeries) {
      const response = await bed.app.inject(forgery);
      expect(response.statusCode).toBe(401);
      expect(response.headers["content-type"]).toContain("application/problem+json");
    }
    expect(await storedByBody(body)).toEqual([]);
    await until("the refusals were counted", async () => {
      const { rows } = await bed.superuser.query(
        "select sum(count)::integer as count from webhook_rejections",
      );
      return rows[0].count === forgeries.length;
    });
    const { rows } = await bed.superuser.query("select count(*)::integer as rows from webhook_rejections");
    expect(rows[0].rows).toBeLessThanOrEqual(2);
  });
});
