import { describe, expect, it } from "vitest";
import { asId } from "../../src/domain/ids.ts";
import { channelStatuses } from "../../src/domain/order/channel-order.ts";
import { ChannelFailure } from "../../src/integrations/ports/failure.ts";
import type { TiktokShop } from "../../src/integrations/tiktok-shop/adapter.ts";
import { app, envelope, failureOf, firstTokens, reply, setUpWire, shop } from "./support.ts";

const bed = setUpWire();

const wireOrder = {
  id: "576461413038785752",
  status: "AWAITING_SHIPMENT",
  create_time: 1_763_463_999,
  update_time: 1_763_464_000,
  cancel_reason: "Lovelace changed her mind",
  payment: { currency: "GBP", total_amount: "12.99" },
  recipient_address: { name: "Ada Lovelace", full_address: "12 St James's Square", postal_code: "SW1Y 4LE" },
  line_items: [
    {
      id: "577087614418520388",
      sku_id: "1729592969712207012",
      product_id: "1729592969712203232",
      seller_sku: "MUG",
      product_name: "Mug",
      display_status: "AWAITING_SHIPMENT",
      package_id: "1152321127278713123",
      sale_price: "12.99",
    },
  ],
};
const wireProduct = {
  id: "1729592969712203232",
  title: "Mug",
  status: "ACTIVATE",
  skus: [
    {
      id: "1729592969712207012",
      seller_sku: "MUG",
      sales_attributes: [{ value_name: "Blue" }],
      price: { currency: "GBP", sale_price: "12.99" },
      inventory: [{ warehouse_id: "7068517275539719942" }],
    },
  ],
};
const window = { updatedFrom: "2026-11-18T00:00:00Z", updatedBefore: null };
const skuId = asId<"ChannelSku">("1729592969712207012");
const packageId = asId<"ChannelPackage">("1152321127278713123");
const orderId = asId<"ChannelOrder">(wireOrder.id);
const level = {
  channelSkuId: skuId,
  warehouseId: asId<"ChannelWarehouse">("7068517275539719942"),
  available: 3,
};
const issued = {
  access_token: "GCP_second-access",
  access_token_expire_in: 4_102_444_800,
  refresh_token: "GCP_second-refresh",
  refresh_token_expire_in: 4_102_444_800,
  open_id: "open-7",
  seller_name: "Lovelace Mugs",
  granted_scopes: ["seller.order.info"],
};

/** Every call that the adapter makes, with the data of a good answer. */
const calls: readonly (readonly [string, object, (channel: TiktokShop) => Promise<unknown>])[] = [
  ["fetch orders", { orders: [wireOrder] }, (channel) => channel.fetchOrders(shop, [orderId], 1)],
  [
    "search orders",
    { orders: [wireOrder], next_page_token: "aDU+MDg/PT0=" },
    (channel) => channel.searchOrders(shop, window, null),
  ],
  [
    "cancel an order",
    { cancel_id: "4035318504086604952", cancel_status: "CANCELLATION_REQUEST_SUCCESS" },
    (channel) => channel.cancelOrder(shop, orderId, "Damaged"),
  ],
  [
    "arrange shipments",
    { errors: [{ code: 21011001, message: "too heavy", detail: { package_id: packageId } }] },
    (channel) => channel.arrangeShipments(shop, [packageId]),
  ],
  [
    "mark as shipped",
    { package_id: packageId },
    (channel) =>
      channel.markShipped(shop, orderId, { lineIds: ["1"], trackingNumber: "T1", shippingProviderId: "7" }),
  ],
  [
    "shipping document",
    { doc_url: "https://documents.example/label.pdf?token=7", tracking_number: "RM123456789GB" },
    (channel) => channel.shippingDocument(shop, packageId),
  ],
  [
    "tracking",
    { tracking: [{ description: "Left with Lovelace", update_time_millis: 1_763_464_000_000 }] },
    (channel) => channel.tracking(shop, orderId),
  ],
  [
    "list warehouses",
    { warehouses: [{ id: "7068517275539719942", name: "Main", type: "SALES_WAREHOUSE", is_default: true }] },
    (channel) => channel.listWarehouses(shop),
  ],
  ["list products", { products: [wireProduct] }, (channel) => channel.listProducts(shop, null)],
  ["find products", { products: [wireProduct] }, (channel) => channel.findProductsBySku(shop, [skuId])],
  [
    "read stock",
    {
      inventory: [
        {
          product_id: "1729592969712203232",
          skus: [
            {
              id: skuId,
              warehouse_inventory: [
                { warehouse_id: level.warehouseId, available_quantity: 3, committed_quantity: 1 },
              ],
            },
          ],
        },
      ],
    },
    (channel) => channel.readStock(shop, [skuId], 3),
  ],
  [
    "push stock",
    {
      errors: [
        {
          code: 12052990,
          message: "not updated",
          detail: {
            sku_id: skuId,
            extra_errors: [{ warehouse_id: level.warehouseId, code: 12052097, message: "none" }],
          },
        },
      ],
    },
    (channel) => channel.setAvailable(shop, asId("1729592969712203232"), [level], 3),
  ],
  [
    "authorised shops",
    { shops: [{ id: "7495540735365777507", cipher: "GCP_cipher", name: "Lovelace Mugs", region: "GB" }] },
    (channel) => channel.authorisedShops(shop),
  ],
  [
    "shops a token opens",
    { shops: [{ id: "7495540735365777507", cipher: "GCP_cipher", name: "Lovelace Mugs", region: "GB" }] },
    (channel) => channel.shopsOpenedBy("first-access"),
  ],
  ["exchange a code", issued, (channel) => channel.exchangeAuthCode("the-code")],
  [
    "refresh tokens",
    issued,
    async (channel) => {
      bed.credentials.credentials = {
        ...firstTokens,
        accessTokenExpiresAt: "2020-01-01T00:00:00.000Z",
        cipher: "cipher/+=",
        refreshRefusal: null,
      };
      await channel.refreshIfDue(shop);
      return bed.credentials.credentials;
    },
  ],
];

type Data = Readonly<Record<string, unknown>>;

/** The same data with every leaf changed. */
function withLeaves(data: unknown, change: (leaf: unknown) => unknown): unknown {
  if (Array.isArray(data)) return data.map((item) => withLeaves(item, change));
  if (typeof data !== "object" || data === null) return change(data);
  return Object.fromEntries(Object.entries(data).map(([name, value]) => [name, withLeaves(value, change)]));
}

const ifText = (change: (text: string) => unknown) => (leaf: unknown) =>
  typeof leaf === "string" ? change(leaf) : leaf;

/** JSON.stringify in which a member stays that names nothing: ids vanish as TikTok's would. */
function withoutIds(data: unknown): unknown {
  return JSON.parse(
    JSON.stringify(data, (name, value: unknown) => (/(^|_)id$/.test(name) ? undefined : value)),
  );
}

function withListsDoubled(data: unknown): unknown {
  return JSON.parse(
    JSON.stringify(data, (_name, value: unknown) => (Array.isArray(value) ? [...value, ...value] : value)),
  );
}

const unreadable: readonly (readonly [string, (data: Data) => string])[] = [
  ["an empty body", () => ""],
  ["HTML", () => "<!doctype html><title>Lovelace</title>"],
  ["truncated JSON", (data) => envelope(0, data).slice(0, -12)],
  ["data that is a list", (data) => envelope(0, [data])],
  ["data that is a text", () => envelope(0, "Lovelace")],
  ["more than 16 MB", (data) => envelope(0, data) + " ".repeat(16 * 1024 * 1024)],
  ["10,000 levels", () => `{"code":0,"data":${'{"orders":'.repeat(10_000)}1${"}".repeat(10_000)}}`],
  ["10,000 lists", () => `{"code":0,"data":{"orders":${"[".repeat(10_000)}${"]".repeat(10_000)}}}`],
  ["a code that is none", (data) => JSON.stringify({ code: "constructor", data })],
];

const strange: readonly (readonly [string, (data: Data) => string])[] = [
  ["data null", () => envelope(0, null)],
  ["no data", () => '{"code":0}'],
  ["a missing list", () => envelope(0, {})],
  [
    "lists that are null",
    (data) => envelope(0, Object.fromEntries(Object.keys(data).map((name) => [name, null]))),
  ],
  [
    "lists of null",
    (data) => envelope(0, Object.fromEntries(Object.keys(data).map((name) => [name, [null, 7, []]]))),
  ],
  [
    "objects for every value",
    (data) =>
      envelope(
        0,
        withLeaves(data, () => ({ Lovelace: 1 })),
      ),
  ],
  [
    "numbers for every text",
    (data) =>
      envelope(
        0,
        withLeaves(
          data,
          ifText(() => -1.5),
        ),
      ),
  ],
  [
    "texts for every value",
    (data) =>
      envelope(
        0,
        withLeaves(data, () => "some words"),
      ),
  ],
  [
    "names of built-in members",
    (data) =>
      envelope(
        0,
        withLeaves(
          data,
          ifText(() => "constructor"),
        ),
      ),
  ],
  [
    "__proto__",
    (data) =>
      envelope(
        0,
        withLeaves(
          data,
          ifText(() => "__proto__"),
        ),
      ),
  ],
  [
    "huge numbers",
    (data) =>
      envelope(
        0,
        withLeaves(data, () => 1),
      ).replaceAll(":1", ":1e308"),
  ],
  ["missing ids", (data) => envelope(0, withoutIds(data))],
  [
    "NUL characters",
    (data) =>
      envelope(
        0,
        withLeaves(
          data,
          ifText((text) => `${text}\u0000`),
        ),
      ),
  ],
  [
    "lone surrogates",
    (data) =>
      envelope(
        0,
        withLeaves(
          data,
          ifText((text) => `${text}\ud800`),
        ),
      ),
  ],
  [
    "texts of 100 kB",
    (data) =>
      envelope(
        0,
        withLeaves(
          data,
          ifText((text) => text + "x".repeat(1e5)),
        ),
      ),
  ],
  ["everything twice", (data) => envelope(0, withListsDoubled(data))],
];

const secrets = [
  "first-access",
  "first-refresh",
  "second-access",
  "second-refresh",
  app.secret,
  "cipher/+=",
  "the-code",
];

function expectDiscreet(text: string): void {
  expect(text.length).toBeLessThan(2_000);
  expect(text).not.toMatch(/Lovelace|SW1Y|St James/);
  for (const secret of secrets) expect(text).not.toContain(secret);
}

/** What PostgreSQL and Temporal take: no NUL, whole characters, numbers that are exact. */
function expectStorable(value: unknown): void {
  if (typeof value === "string") expect(value).not.toMatch(/\u0000|\p{Surrogate}/u);
  else if (typeof value === "number") expect(value).toSatisfy(Number.isSafeInteger);
  else if (typeof value === "object" && value !== null)
    for (const part of Object.values(value)) expectStorable(part);
  else expect(["boolean", "undefined", "object"]).toContain(typeof value);
}

const table = <Row>(rows: readonly Row[]) =>
  calls.flatMap(([name, data, run]) => rows.map((row) => ({ name, data: data as Data, run, row })));

describe("a bad answer", () => {
  it.each(calls)("is told from a good one: %s", async (_name, data, run) => {
    bed.answering = reply(200, envelope(0, data));
    const good = await run(bed.channel);
    expect(JSON.stringify(good).length).toBeGreaterThan(2);
    expectStorable(good);
    // Ids above 2^53 come as numbers too, and lose no digit.
    bed.answering = reply(200, envelope(0, data).replaceAll(/"(\d{16,})"/g, "$1"));
    const numbered = await run(bed.connect());
    expect(JSON.stringify(numbered)).toBe(JSON.stringify(good));
  });

  it.each(table(unreadable).map((each) => ({ ...each, what: each.row[0] })))(
    "$what to '$name' is malformed, and says nothing of what it held",
    async ({ data, run, row: [, body] }) => {
      bed.answering = reply(200, body(data));
      const failure = await failureOf(run(bed.channel));
      expect(failure).toMatchObject({ kind: "malformed", effectUnknown: true });
      expectDiscreet(failure.message);
    },
  );

  it.each(table(strange).map((each) => ({ ...each, what: each.row[0] })))(
    "$what to '$name' is a failure of a known kind or a value that can be stored",
    async ({ data, run, row: [, body] }) => {
      bed.answering = reply(200, body(data));
      const outcome = await run(bed.channel).catch((error: unknown) => error);
      expectDiscreet(JSON.stringify(bed.warnings).slice(0, 1_999));
      if (outcome instanceof ChannelFailure) {
        expect(outcome.kind).toBe("malformed");
        expectDiscreet(outcome.message);
      } else {
        expect(outcome).not.toBeInstanceOf(Error);
        expectStorable(outcome);
      }
    },
  );

  it.each(calls)("that refuses '%s' in strange words can be told and stored", async (_name, _data, run) => {
    bed.answering = reply(
      400,
      JSON.stringify({
        code: 12019150,
        message: `no\u0000 \ud800 ${"x".repeat(277)}\u{1f600} ${"y".repeat(100_000)}`,
        request_id: `${app.secret}${"z".repeat(100_000)}`,
      }),
    );
    const failure = await failureOf(run(bed.channel));
    expect(["refused", "unauthorised"]).toContain(failure.kind);
    expectDiscreet(failure.message);
    expectStorable([failure.message, failure.channelCode, failure.requestId]);
  });
});

describe("an order in a state", () => {
  it.each(["constructor", "__proto__", "toString", "hasOwnProperty"])(
    "that is the name of a built-in member, %s, is in none that we know",
    async (status) => {
      bed.answering = reply(200, envelope(0, { orders: [{ ...wireOrder, status }] }));
      expect((await failureOf(bed.channel.fetchOrders(shop, [orderId], 1))).kind).toBe("malformed");
      const line = { ...wireOrder.line_items[0], display_status: status };
      bed.answering = reply(200, envelope(0, { orders: [{ ...wireOrder, line_items: [line] }] }));
      const [fetched] = await bed.channel.fetchOrders(shop, [orderId], 1);
      expect(channelStatuses).toContain(fetched?.order.lines[0]?.status);
    },
  );
});

describe("a label's address", () => {
  it.each(["javascript:alert(1)", "file:///etc/passwd", "data:text/html,x"])(
    "that no carrier would give, %s, is malformed",
    async (address) => {
      bed.answering = reply(200, envelope(0, { doc_url: address }));
      expect((await failureOf(bed.channel.shippingDocument(shop, packageId))).kind).toBe("malformed");
    },
  );
});
