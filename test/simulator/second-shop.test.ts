import { expect, test } from "vitest";
import { startSimulator } from "../../src/simulator/app.ts";
import { onTestFinished } from "vitest";
import { controlled, temporaryFolder } from "./support.ts";

async function givenTwoShops() {
  const simulator = await startSimulator({
    port: 0,
    home: await temporaryFolder(),
    timeScale: 1,
    webhookUrl: null,
    ordersPerMinute: 0,
    secondShop: true,
  });
  onTestFinished(() => simulator.stop());
  return simulator.url;
}

interface Stock {
  readonly items: readonly {
    readonly skuId: string;
    readonly sellerSku: string;
    readonly campaignLocked: number;
    readonly warehouses: readonly { readonly available: number; readonly committed: number }[];
  }[];
}
const stockOf = async (url: string, prefix: string) =>
  (await controlled(url, "GET", `${prefix}/_sim/ledger?section=stock&limit=1000`)) as Stock;

test("the second shop sells the same seller SKUs of one app and seller, under numbers of its own", async () => {
  const url = await givenTwoShops();
  const shops = (await controlled(url, "GET", "/_sim/shops")) as { shopId: string; controls: string }[];
  expect(shops.map(({ controls }) => controls)).toEqual(["", "/second"]);
  const [first, second] = await Promise.all(
    ["", "/second"].map(
      async (prefix) =>
        (await controlled(url, "GET", `${prefix}/_sim/credentials`)) as Record<string, string>,
    ),
  );
  for (const same of ["appKey", "appSecret", "sellerOpenId"]) expect(second![same]).toBe(first![same]);
  for (const own of ["shopId", "shopCipher", "accessToken"]) expect(second![own]).not.toBe(first![own]);
  const [one, other] = await Promise.all([stockOf(url, ""), stockOf(url, "/second")]);
  const codes = ({ items }: Stock) => items.map(({ sellerSku }) => sellerSku).sort();
  expect(codes(other)).toEqual(codes(one));
  const numbers = new Set([...one.items, ...other.items].map(({ skuId }) => skuId));
  expect(numbers.size).toBe(400);
});

test("an order in one shop leaves the other's books alone, and no two shops give out one number", async () => {
  const url = await givenTwoShops();
  const [one, other] = await Promise.all([stockOf(url, ""), stockOf(url, "/second")]);
  const place = async (prefix: string, { items }: Stock) =>
    (
      (await controlled(url, "POST", `${prefix}/_sim/orders`, {
        lines: [{ skuId: items[0]!.skuId, quantity: 1 }],
      })) as { orderId: string }
    ).orderId;
  const ids = [await place("", one), await place("/second", other)];
  expect(new Set(ids).size).toBe(2);
  const { items } = await stockOf(url, "/second");
  expect(items.reduce((sum, sku) => sum + sku.warehouses[0]!.committed, 0)).toBe(1);
});

test("units that are locked cannot be bought in the shop, and are part of what is available", async () => {
  const url = await givenTwoShops();
  const { items } = await stockOf(url, "");
  const sku = items[0]!;
  const all = sku.warehouses[0]!.available;
  await controlled(url, "POST", "/_sim/pools", { skuId: sku.skuId, campaign: all - 1, creator: 0 });
  const buy = (quantity: number) =>
    fetch(`${url}/_sim/orders`, {
      method: "POST",
      body: JSON.stringify({ lines: [{ skuId: sku.skuId, quantity }] }),
    });
  expect((await buy(2)).status).toBe(409);
  expect((await buy(1)).status).toBe(200);
  const after = (await stockOf(url, "")).items.find(({ skuId }) => skuId === sku.skuId);
  expect(after).toMatchObject({ campaignLocked: all - 1, warehouses: [{ available: all - 1 }] });
  const tooMany = await fetch(`${url}/_sim/pools`, {
    method: "POST",
    body: JSON.stringify({ skuId: sku.skuId, campaign: all, creator: 0 }),
  });
  expect(tooMany.status).toBe(409);
});
