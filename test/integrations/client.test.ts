import { createServer, type AddressInfo } from "node:net";
import { describe, expect, it } from "vitest";
import { asId } from "../../src/domain/ids.ts";
import type { Breaker } from "../../src/integrations/tiktok-shop/breaker.ts";
import { signRequest } from "../../src/integrations/tiktok-shop/signature.ts";
import { app, envelope, failureOf, reply, setUpWire, shop, wireSample } from "./support.ts";

const bed = setUpWire();

const quietBreaker: Breaker = {
  permit: () => Promise.resolve({ granted: true }),
  giveBack: () => Promise.resolve(),
  answered: () => Promise.resolve(),
  unanswered: () => Promise.resolve(),
};

describe("a call", () => {
  it("is signed over exactly the bytes that are sent, and carries token, cipher and no empty parameter", async () => {
    bed.answering = reply(200, envelope(0, { orders: [] }));
    await bed.channel.searchOrders(shop, { updatedFrom: "2026-11-21T11:00:00Z", updatedBefore: null }, null);
    const [request] = bed.requests;
    if (request === undefined) throw new Error("nothing was sent");
    const query = Object.fromEntries(request.url.searchParams);
    expect(query["sign"]).toBe(
      signRequest(app.secret, { path: request.url.pathname, query, body: request.body }),
    );
    expect(request.headers["x-tts-access-token"]).toBe("first-access");
    expect(query["shop_cipher"]).toBe("cipher/+=");
    expect(Object.values(query)).not.toContain("");
    expect(query).not.toHaveProperty("page_token");
    expect(query).not.toHaveProperty("access_token");
    expect(JSON.parse(request.body.toString())).toEqual({ update_time_ge: 1_795_258_800 });
    expect(bed.budget.taken).toEqual([3]);
    expect(bed.budget.acceptedCalls).toBe(1);
  });

  it("names no shop where TikTok Shop takes none", async () => {
    bed.answering = reply(200, envelope(0, { shops: [{ id: 7, cipher: "c", name: "n", region: "GB" }] }));
    expect(await bed.channel.authorisedShops(shop)).toEqual([
      { channelShopId: "7", cipher: "c", name: "n", region: "GB" },
    ]);
    expect(bed.requests[0]?.url.searchParams.has("shop_cipher")).toBe(false);
  });

  it("is not made when the budget is out, and says when to come back", async () => {
    bed.budget.take = () => Promise.resolve({ granted: false, retryAt: 42 });
    const failure = await failureOf(bed.channel.listWarehouses(shop));
    expect(failure).toMatchObject({ kind: "rate_limited", retryAt: 42, effectUnknown: false });
    expect(bed.requests).toHaveLength(0);
  });

  it("is not made while the circuit breaker is open, charges no budget, and says when to come back", async () => {
    const spared = {
      ...quietBreaker,
      permit: () => Promise.resolve({ granted: false, retryAt: 42 } as const),
    };
    const failure = await failureOf(bed.connect({ breaker: spared }).listWarehouses(shop));
    expect(failure).toMatchObject({ kind: "unavailable", retryAt: 42, effectUnknown: false });
    expect(bed.requests).toHaveLength(0);
    expect(bed.budget.taken).toEqual([]);
  });

  it.each([
    ["the call that may try the breaker", { granted: true, trialUntil: 77 } as const, [77]],
    ["another one", { granted: true } as const, []],
  ])("that the budget does not let through gives the trial back: %s", async (_which, passage, expected) => {
    const givenBack: number[] = [];
    const breaker: Breaker = {
      ...quietBreaker,
      permit: () => Promise.resolve(passage),
      giveBack: (_shop, trialUntil) => Promise.resolve(void givenBack.push(trialUntil)),
    };
    bed.budget.take = () => Promise.resolve({ granted: false, retryAt: 42 });
    const failure = await failureOf(bed.connect({ breaker }).listWarehouses(shop));
    expect(failure).toMatchObject({ kind: "rate_limited", retryAt: 42 });
    expect(givenBack).toEqual(expected);
    expect(bed.requests).toHaveLength(0);
  });

  it.each([
    ["an answer", 200, envelope(0, { warehouses: [] }), ["answered"]],
    ["a refusal", 400, envelope(36009004), ["answered"]],
    ["a limit", 429, "", ["answered"]],
    ["a 503", 503, "", ["unanswered"]],
    ["a text that is no envelope", 200, "<html>", []],
  ])("tells the circuit breaker of %s", async (_what, status, body, expected) => {
    const told: string[] = [];
    const breaker: Breaker = {
      ...quietBreaker,
      answered: () => Promise.resolve(void told.push("answered")),
      unanswered: () => Promise.resolve(void told.push("unanswered")),
    };
    bed.answering = reply(status, body);
    await bed
      .connect({ breaker })
      .listWarehouses(shop)
      .catch(() => undefined);
    expect(told).toEqual(expected);
  });

  it("is answered although the circuit breaker cannot be told", async () => {
    const deaf = { ...quietBreaker, answered: () => Promise.reject(new Error("no database")) };
    bed.answering = reply(200, envelope(0, { warehouses: [] }));
    expect(await bed.connect({ breaker: deaf }).listWarehouses(shop)).toEqual([]);
  });

  it("is not made for a shop without credentials", async () => {
    bed.credentials.credentials = null;
    expect((await failureOf(bed.channel.listWarehouses(shop))).kind).toBe("unauthorised");
    expect(bed.requests).toHaveLength(0);
  });

  it("follows no redirect, which would carry the token to another host", async () => {
    bed.answering = reply(302, "", { location: `${bed.url}/elsewhere` });
    expect((await failureOf(bed.channel.listWarehouses(shop))).kind).toBe("malformed");
    expect(bed.requests).toHaveLength(1);
  });
});

describe("a failed call", () => {
  it.each([
    ["429 without a body", 429, "", "rate_limited"],
    ["429 with an envelope", 429, envelope(36009002), "rate_limited"],
    ["the rate limit's code in a 200", 200, envelope(36009002), "rate_limited"],
    ["500 without JSON", 500, "<html>oops</html>", "unavailable"],
    ["503 with code 0", 503, envelope(0), "unavailable"],
    ["internal error in a 200", 200, envelope(36009003), "unavailable"],
    ["gateway time-out", 200, envelope(36009007), "unavailable"],
    ["order service failing", 200, envelope(10002014), "unavailable"],
    ["scope missing", 200, envelope(105005), "unauthorised"],
    ["token of another shop", 403, envelope(101000), "unauthorised"],
    ["caller not in the allow list", 200, envelope(36009033), "unauthorised"],
    ["401 without a code", 401, "", "unauthorised"],
    ["bad signature", 401, envelope(106001), "refused"],
    ["missing parameter", 400, envelope(36009004, {}, "page_size is missing"), "refused"],
    ["unknown path", 404, envelope(36009009), "refused"],
    ["business error in a 200", 200, envelope(12019150), "refused"],
    ["a code as text", 200, '{"code":"12019150","message":"no"}', "refused"],
    ["truncated JSON", 200, '{"code":0,"data":{"wareho', "malformed"],
    ["no JSON", 200, "OK", "malformed"],
    ["no envelope", 200, "[]", "malformed"],
    ["wrong shape", 200, envelope(0, { warehouses: "none" }), "malformed"],
    ["data missing", 200, '{"code":0}', "malformed"],
    ["JSON as deep as a stack", 200, "[".repeat(100_000), "malformed"],
  ] as const)("%s is told by its kind", async (_what, status, body, kind) => {
    bed.answering = reply(status, body);
    expect((await failureOf(bed.channel.listWarehouses(shop))).kind).toBe(kind);
  });

  it.each([
    ["in seconds", "7", 7_000],
    ["as a date", new Date(1_800_000_010_000).toUTCString(), 10_000],
    ["not given", null, 1_000],
    ["unreadable", "soon", 1_000],
    ["in the past", new Date(1_700_000_000_000).toUTCString(), 0],
    ["absurdly far away", "99999999", 15 * 60_000],
  ])("a limited one comes back when told: Retry-After %s", async (_what, retryAfter, wait) => {
    const now = 1_800_000_000_000;
    bed.answering = reply(429, envelope(36009002), retryAfter === null ? {} : { "retry-after": retryAfter });
    const failure = await failureOf(bed.connect({ now: () => now }).listWarehouses(shop));
    expect(failure).toMatchObject({ kind: "rate_limited", retryAt: now + wait });
    expect(bed.budget.limitedUntil).toEqual([now + wait]);
  });

  it.each([
    ["refused", 200, envelope(12019150)],
    ["unavailable", 500, ""],
    ["limited", 429, ""],
  ])("that was %s does not raise the rate", async (_what, status, body) => {
    bed.answering = reply(status, body);
    await failureOf(bed.channel.listWarehouses(shop));
    expect(bed.budget.acceptedCalls).toBe(0);
  });

  it("that broke off midway is malformed: it may have taken effect", async () => {
    bed.answering = (_request, response) => {
      response.writeHead(200, { "content-length": "1000" });
      response.write('{"code":0,', () => response.destroy());
    };
    expect(await failureOf(bed.channel.listWarehouses(shop))).toMatchObject({
      kind: "malformed",
      effectUnknown: true,
    });
  });

  it("that answers without end is cut at 16 MB", async () => {
    bed.answering = (_request, response) => {
      const chunk = Buffer.alloc(1024 * 1024, " ");
      const more = (): void => {
        while (!response.destroyed && response.write(chunk));
        response.once("drain", more);
      };
      response.writeHead(200);
      more();
    };
    expect(await failureOf(bed.channel.listWarehouses(shop))).toMatchObject({ kind: "malformed" });
  });

  it("that gets no answer is given up after 10 seconds", { timeout: 20_000 }, async () => {
    bed.answering = () => undefined;
    const began = performance.now();
    const failure = await failureOf(bed.channel.listWarehouses(shop));
    expect(failure).toMatchObject({ kind: "unavailable", effectUnknown: true });
    expect(performance.now() - began).toBeGreaterThan(9_000);
    expect(performance.now() - began).toBeLessThan(14_000);
  });

  it("that sets a number is given up after 3 seconds, since it is read back in any case", {
    timeout: 10_000,
  }, async () => {
    bed.answering = () => undefined;
    const began = performance.now();
    const failure = await failureOf(
      bed.channel.setAvailable(
        shop,
        asId<"ChannelProduct">("1"),
        [
          {
            channelSkuId: asId<"ChannelSku">("2"),
            warehouseId: asId<"ChannelWarehouse">("3"),
            available: 4,
          },
        ],
        2,
      ),
    );
    expect(failure).toMatchObject({ kind: "unavailable", effectUnknown: true });
    expect(performance.now() - began).toBeGreaterThan(2_500);
    expect(performance.now() - began).toBeLessThan(8_000);
  });

  it("that found nobody is unavailable", async () => {
    const closed = createServer().listen(0, "127.0.0.1");
    await new Promise((resolve) => closed.once("listening", resolve));
    const { port } = closed.address() as AddressInfo;
    await new Promise((resolve) => closed.close(resolve));
    const failure = await failureOf(bed.connect({ apiUrl: `http://127.0.0.1:${port}` }).listWarehouses(shop));
    expect(failure).toMatchObject({ kind: "unavailable" });
    expect(failure.message).toContain("ECONNREFUSED");
  });

  it("says what was attempted, the code and the request, and no secret even if TikTok Shop repeats one", async () => {
    bed.answering = (request, response) =>
      reply(400, envelope(36009004, {}, `bad: ${request.url.search} first-access ${app.secret}`))(
        request,
        response,
      );
    const failure = await failureOf(bed.channel.listWarehouses(shop));
    expect(failure.message).toContain(`GET /logistics/202309/warehouses for shop ${shop.shopId}`);
    expect(failure).toMatchObject({ channelCode: "36009004", requestId: "request-7" });
    expect(failure.message).toContain("request-7");
    const sign = bed.requests[0]?.url.searchParams.get("sign") ?? "";
    for (const secret of ["first-access", app.secret, sign]) expect(failure.message).not.toContain(secret);
  });
});

describe("recorded answers", () => {
  it("are read order by order: a strange one is left out and told, the others count", async () => {
    bed.answering = reply(200, await wireSample("orders-page"));
    const page = await bed.channel.searchOrders(
      shop,
      { updatedFrom: "2026-11-18T00:00:00Z", updatedBefore: "2026-11-21T00:00:00Z" },
      "a+/=",
    );
    expect(bed.requests[0]?.url.searchParams.get("page_token")).toBe("a+/=");
    expect(page.nextPageToken).toBe("aDU+MDg/PT0=");
    expect(page.orders.map(({ order }) => order.orderId)).toEqual([
      "576461413038785752",
      "576461413038785755",
    ]);
    expect(bed.warnings).toMatchObject([
      { channelId: "576461413038785753", reason: "Order status TELEPORTED is unknown" },
      { channelId: "576461413038785754" },
    ]);
    expect(page.unreadable).toMatchObject([
      { orderId: "576461413038785753", reason: "Order status TELEPORTED is unknown" },
      { orderId: "576461413038785754" },
    ]);
    expect(Date.parse(page.unreadable[0]?.updatedAt ?? "")).not.toBeNaN();
    expect(page.orders[0]).toMatchObject({
      order: {
        status: "awaiting_shipment",
        onHold: false,
        createdAt: "2026-11-18T11:06:40.000Z",
        paidAt: "2026-11-18T11:07:40.000Z",
        fulfilledBy: "seller",
        shipping: "channel",
        totalMinor: 2_897,
        currency: "GBP",
        lines: [
          {
            channelSkuId: "1729592969712207012",
            packageId: "1152321127278713123",
            status: "awaiting_shipment",
            salePriceMinor: 1_299,
            quantity: 1,
          },
          { sellerSku: null, status: "cancelled", salePriceMinor: 1_299 },
        ],
      },
      recipient: { name: "Ada \u{fffd}Lovelace", postalCode: "SW1Y 4LE" },
    });
    expect(page.orders[1]).toMatchObject({
      order: { status: "unpaid", paidAt: null, shipping: "seller", currency: "IDR", totalMinor: 150_000 },
      recipient: null,
    });
  });

  it("hold nothing personal in what is told of a strange order", async () => {
    const sample = (await wireSample("orders-page")).replace('"AWAITING_SHIPMENT"', '"BEAMED"');
    bed.answering = reply(200, sample);
    await bed.channel.searchOrders(shop, { updatedFrom: "2026-11-18T00:00:00Z", updatedBefore: null }, null);
    expect(bed.warnings.length).toBeGreaterThan(2);
    expect(JSON.stringify(bed.warnings)).not.toMatch(/Lovelace|London|SW1Y/);
  });

  it("are not empty when everything in them is unreadable: missing and unreadable differ", async () => {
    bed.answering = reply(200, envelope(0, { orders: [{ id: "5", status: "UNPAID" }] }));
    const failure = await failureOf(bed.channel.fetchOrders(shop, [asId("5")], 1));
    expect(failure.kind).toBe("malformed");
    bed.answering = reply(200, envelope(0, { orders: [] }));
    expect(await bed.channel.fetchOrders(shop, [asId("5")], 1)).toEqual([]);
  });

  it("of a stock update give each SKU its own result", async () => {
    bed.answering = reply(200, await wireSample("inventory-update-partial"));
    const level = (sku: string) => ({
      channelSkuId: asId<"ChannelSku">(sku),
      warehouseId: asId<"ChannelWarehouse">("7068517275539719942"),
      available: 3,
    });
    const levels = [level("1729592969712207012"), level("1729592969712207013")];
    const results = await bed.channel.setAvailable(shop, asId("9"), levels, 3);
    expect(results).toEqual([
      { key: "1729592969712207012", ok: true },
      {
        key: "1729592969712207013",
        ok: false,
        channelCode: "12052990",
        message:
          "some warehouses could not be updated; warehouse 7068517275539719942: 12052097 the warehouse does not exist",
      },
    ]);
  });

  it("of a batch with an error that names nobody make everybody fail", async () => {
    bed.answering = reply(200, envelope(0, { errors: [{ code: 1, message: "something" }] }));
    const results = await bed.channel.arrangeShipments(shop, [asId("1"), asId("2")]);
    expect(results.map((result) => result.ok)).toEqual([false, false]);
  });
});
