import { createHmac } from "node:crypto";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { readWebhook, verifyWebhook } from "../../src/integrations/tiktok-shop/webhooks.ts";

const receivedAt = new Date("2026-11-21T11:00:00Z");
const read = (body: string | Buffer) => readWebhook(Buffer.from(body as string), receivedAt);

describe("reading a webhook", () => {
  it("finds the order of a status change", () => {
    const body =
      '{"type":1,"tts_notification_id":"7380066284010030890","shop_id":"7495540735365777507","timestamp":1718305585,"data":{"is_on_hold_order":true,"order_id":"576653688135258178","order_status":"UNPAID","update_time":1718305585}}';
    expect(read(body)).toEqual({
      kind: "readable",
      topic: 1,
      dedupeKey: "notification:7380066284010030890",
      channelShopId: "7495540735365777507",
      sellerOpenId: null,
      orderId: "576653688135258178",
      skuId: null,
      changedByOthers: false,
      occurredAt: "2024-06-13T19:06:25.000Z",
      notificationId: "7380066284010030890",
    });
  });

  it.each([3, 11, 12])("finds the order of topic %d", (type) => {
    expect(read(JSON.stringify({ type, shop_id: "1", data: { order_id: "5" } }))).toMatchObject({
      topic: type,
      orderId: "5",
    });
  });

  it("takes no order from topics that are not about one", () => {
    expect(
      read('{"type":5,"shop_id":"1","data":{"order_id":"5","product_id":99999999999999999999}}'),
    ).toMatchObject({
      orderId: null,
    });
  });

  it("keeps every digit of ids that are numbers beyond 2^53", () => {
    const body =
      '{"type":68,"seller_open_id":"seller-1","timestamp":1718305585,"data":{"event_id":"e-1","occurred_at":"2026-04-02T03:04:05.123456789Z","seller_id":7494545630022929999,"sku_id":1729592969712207013,"product_id":1729592969712207009}}';
    expect(read(body)).toMatchObject({
      topic: 68,
      dedupeKey: "event:e-1",
      channelShopId: null,
      sellerOpenId: "seller-1",
      skuId: "1729592969712207013",
      occurredAt: "2026-04-02T03:04:05.123Z",
    });
  });

  it("reads a stock change that comes without an envelope", () => {
    expect(
      read('{"event_id":"e-2","occurred_at":"2026-04-02T03:04:05Z","seller_id":1,"sku_id":"7"}'),
    ).toMatchObject({
      topic: 68,
      dedupeKey: "event:e-2",
      skuId: "7",
    });
  });

  it("knows the same bytes again within the hour and not after it", () => {
    const body = Buffer.from('{"type":1,"shop_id":"1","data":{"order_id":"5"}}');
    const key = (time: string): string => readWebhook(body, new Date(time)).dedupeKey;
    expect(key("2026-11-21T11:59:59Z")).toBe(key("2026-11-21T11:00:00Z"));
    expect(key("2026-11-21T12:00:00Z")).not.toBe(key("2026-11-21T11:00:00Z"));
    expect(readWebhook(Buffer.concat([body, Buffer.from(" ")]), receivedAt).dedupeKey).not.toBe(
      key("2026-11-21T11:00:00Z"),
    );
  });

  it.each([
    ["nothing", ""],
    ["no JSON", "hello"],
    ["a cut body", '{"type":1,"data":{'],
    ["a depth bomb of arrays", "[".repeat(200_000)],
    ["a depth bomb of objects", '{"a":'.repeat(100_000)],
    ["a list", "[1]"],
    ["null", "null"],
    ["no topic", '{"shop_id":"1"}'],
    ["a topic that is no number", '{"type":"order","data":{}}'],
    ["invalid UTF-8", Buffer.from([0x7b, 0xff, 0xfe, 0x7d])],
  ])("calls a body unreadable that is %s", (_what, body) => {
    const reading = read(body);
    expect(reading.kind).toBe("unreadable");
    expect(reading.dedupeKey).toMatch(/^body:2026-11-21T11:[0-9a-f]{64}$/);
  });

  it("takes ids that PostgreSQL could not store for no ids", () => {
    const strange = ["a\u0000b", "\ud800", "", " ", "x".repeat(129), "ü"];
    for (const id of strange) {
      const body = JSON.stringify({ type: 1, tts_notification_id: id, shop_id: id, data: { order_id: id } });
      expect(read(body), JSON.stringify(id)).toMatchObject({
        kind: "readable",
        channelShopId: null,
        orderId: null,
        notificationId: null,
      });
    }
  });

  it("takes a time that is none for none", () => {
    for (const timestamp of [-1e20, 1e20, "soon", null, {}, 9_999_999_999_999]) {
      expect(read(JSON.stringify({ type: 1, timestamp, data: 3 }))).toMatchObject({ occurredAt: null });
    }
  });

  it("never throws, whatever the bytes, and gives a key that fits its column", () => {
    const anything = fc.oneof(
      fc.uint8Array({ maxLength: 200 }).map((bytes) => Buffer.from(bytes)),
      fc.json().map((text) => Buffer.from(text)),
      fc
        .record(
          {
            type: fc.oneof(fc.integer(), fc.string(), fc.double(), fc.constant(68)),
            tts_notification_id: fc.anything(),
            shop_id: fc.anything(),
            timestamp: fc.oneof(fc.double(), fc.anything()),
            data: fc.oneof(fc.anything(), fc.record({ event_id: fc.anything(), occurred_at: fc.anything() })),
          },
          { requiredKeys: [] },
        )
        .map((value) => Buffer.from(inJson(value))),
    );
    fc.assert(
      fc.property(anything, (body) => {
        const reading = readWebhook(body, receivedAt);
        expect(reading.dedupeKey).toMatch(/^[\x21-\x7e]{1,200}$/);
        if (reading.kind === "readable") expect(reading.topic).toBeGreaterThanOrEqual(0);
      }),
      { numRuns: 1_000 },
    );
  });
});

/** What JSON cannot say (bigint, symbols, cycles) is left out. */
function inJson(value: unknown): string {
  try {
    return JSON.stringify(value, (_key, item: unknown) =>
      typeof item === "bigint" ? item.toString() : item,
    );
  } catch {
    return "{}";
  }
}

describe("verifying a webhook", () => {
  it("signs the app's key and the raw bytes", () => {
    const body = Buffer.from('{"type":1}');
    const signature = createHmac("sha256", "secret").update("key").update(body).digest("hex");
    expect(verifyWebhook(body, signature, { key: "key", secret: "secret" })).toBe(true);
    expect(verifyWebhook(body, signature, { key: "other", secret: "secret" })).toBe(false);
  });
});
