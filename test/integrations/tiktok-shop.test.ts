import fs from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { z } from "zod";
import { asId } from "../../src/domain/ids.ts";
import { createTiktokShop, type TiktokShop } from "../../src/integrations/tiktok-shop/adapter.ts";
import { type Simulator, startSimulator } from "../../src/simulator/app.ts";
import { type ChannelUnderTest, describeSalesChannel } from "./sales-channel.contract.ts";
import { BudgetInMemory, CredentialsInMemory, shop } from "./support.ts";

const untilTold = {
  ...{ unpaidMs: null, onHoldMs: null, shipmentMs: null },
  ...{ collectionMs: null, transitMs: null, completedMs: null },
};
const credentialsSchema = z.object({
  appKey: z.string(),
  appSecret: z.string(),
  shopId: z.string(),
  shopCipher: z.string(),
  sellerOpenId: z.string(),
  accessToken: z.string(),
  accessTokenExpireIn: z.number(),
  refreshToken: z.string(),
  refreshTokenExpireIn: z.number(),
  authCode: z.string(),
});
const catalogueSchema = z.object({
  products: z.array(z.object({ skus: z.array(z.object({ id: z.string() })) })),
});

let home: string;
let simulator: Simulator;
let given: z.output<typeof credentialsSchema>;
let credentials: CredentialsInMemory;
let budget: BudgetInMemory;
let channel: TiktokShop;
let skuIds: string[];

async function control<Schema extends z.ZodType>(
  method: "GET" | "POST" | "PUT",
  pathname: string,
  schema: Schema,
  body?: object,
): Promise<z.output<Schema>> {
  const response = await fetch(simulator.url + pathname, {
    method,
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  const answer: unknown = await response.json();
  if (!response.ok) throw new Error(`${pathname} answered ${response.status}: ${JSON.stringify(answer)}`);
  return schema.parse(answer);
}

const move = (orderId: string, name: string) =>
  control("POST", `/_sim/orders/${orderId}/${name}`, z.unknown());

beforeAll(async () => {
  home = await fs.mkdtemp(path.join(os.tmpdir(), "channel-test-"));
  simulator = await startSimulator({ port: 0, home, timeScale: 1, webhookUrl: null, ordersPerMinute: 0 });
  await control("PUT", "/_sim/quota", z.unknown(), { requestsPerSecond: 10_000, burst: 10_000 });
  const { products } = await control("GET", "/_sim/catalog", catalogueSchema);
  skuIds = products.slice(0, 5).map((product) => product.skus[0]!.id);
  for (const skuId of skuIds) await control("POST", "/_sim/stock", z.unknown(), { skuId, available: 50 });
});
afterAll(async () => {
  await simulator.stop();
  await fs.rm(home, { recursive: true, force: true });
});

beforeEach(async () => {
  given = await control("GET", "/_sim/credentials", credentialsSchema);
  const iso = (seconds: number): string => new Date(seconds * 1_000).toISOString();
  credentials = new CredentialsInMemory(
    {
      accessToken: given.accessToken,
      accessTokenExpiresAt: iso(given.accessTokenExpireIn),
      refreshToken: given.refreshToken,
      refreshTokenExpiresAt: iso(given.refreshTokenExpireIn),
    },
    given.shopCipher,
  );
  budget = new BudgetInMemory();
  channel = createTiktokShop({
    apiUrl: simulator.url,
    authUrl: simulator.url,
    app: { key: given.appKey, secret: given.appSecret },
    credentials,
    budget,
  });
});

describeSalesChannel(
  "TikTok Shop",
  (): ChannelUnderTest => ({
    channel,
    shop,
    channelShopId: given.shopId,
    skuIds: skuIds.map((id) => asId<"ChannelSku">(id)),
    shippingProviderId: "7117858858072016686",
    placeOrder: async (ids, shipping = "channel") => {
      const order = await control("POST", "/_sim/orders", z.object({ orderId: z.string() }), {
        lines: ids.map((skuId) => ({ skuId, quantity: 1 })),
        shippingType: shipping === "seller" ? "SELLER" : "TIKTOK",
        durations: untilTold,
      });
      return asId<"ChannelOrder">(order.orderId);
    },
    makeShippable: async (orderId) => {
      await move(orderId, "pay");
      await move(orderId, "release");
    },
    collect: async (orderId) => {
      await move(orderId, "collect");
    },
  }),
);

describe("TikTok Shop beyond a sales channel", () => {
  it("goes on after its tokens were ended, with one refresh for all calls under way", async () => {
    await control("POST", "/_sim/tokens/expire", z.unknown());
    const answers = await Promise.all(Array.from({ length: 20 }, () => channel.listWarehouses(shop)));
    expect(answers.every((warehouses) => warehouses.length > 0)).toBe(true);
    expect(credentials.credentials?.accessToken).not.toBe(given.accessToken);
    const calls = z.object({
      items: z.array(z.object({ endpoint: z.string(), codes: z.record(z.string(), z.number()) })),
    });
    const { items } = await control("GET", "/_sim/ledger?section=calls", calls);
    const refreshes = items.find((item) => item.endpoint.includes("/api/v2/token/refresh"));
    expect(refreshes?.codes).toEqual({ "0": 1 });
  });

  it("connects a shop: a code buys tokens once, the tokens name the shop", async () => {
    const consent = await channel.exchangeAuthCode(given.authCode);
    expect(consent.sellerOpenId).toBe(given.sellerOpenId);
    expect(Date.parse(consent.tokens.accessTokenExpiresAt)).toBeGreaterThan(Date.now() + 6 * 86_400_000);
    expect(await channel.shopsOpenedBy(consent.tokens.accessToken)).toMatchObject([
      { channelShopId: given.shopId, cipher: given.shopCipher },
    ]);
    await expect(channel.exchangeAuthCode(given.authCode)).rejects.toMatchObject({
      kind: "unauthorised",
      channelCode: "36004004",
    });
  });

  it("meets the channel's limit as a failure with a time, and comes through after it", async () => {
    await control("PUT", "/_sim/quota", z.unknown(), { requestsPerSecond: 2, burst: 2 });
    try {
      const outcomes = await Promise.allSettled(
        Array.from({ length: 10 }, () => channel.listWarehouses(shop)),
      );
      const failures = outcomes.flatMap((outcome): unknown[] =>
        outcome.status === "rejected" ? [outcome.reason] : [],
      );
      expect(failures.length).toBeGreaterThanOrEqual(7);
      for (const failure of failures) expect(failure).toMatchObject({ kind: "rate_limited" });
      expect(budget.limitedUntil.length).toBe(failures.length);
      expect(Math.max(...budget.limitedUntil)).toBeGreaterThan(Date.now());
    } finally {
      await control("PUT", "/_sim/quota", z.unknown(), { requestsPerSecond: 10_000, burst: 10_000 });
    }
    expect((await channel.listWarehouses(shop)).length).toBeGreaterThan(0);
  });

  it("says that a wrong cipher or secret opens nothing", async () => {
    credentials.credentials = { ...credentials.credentials!, cipher: "another-shop" };
    await expect(channel.listWarehouses(shop)).rejects.toMatchObject({
      kind: "unauthorised",
      channelCode: "101000",
    });
    const stranger = createTiktokShop({
      apiUrl: simulator.url,
      authUrl: simulator.url,
      app: { key: given.appKey, secret: "wrong" },
      credentials,
      budget,
    });
    await expect(stranger.listWarehouses(shop)).rejects.toMatchObject({
      kind: "refused",
      channelCode: "106001",
    });
  });
});
