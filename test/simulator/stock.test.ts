import fc from "fast-check";
import { expect, test } from "vitest";
import { until } from "../support/until.ts";
import {
  brokenStockRules,
  control,
  controlled,
  givenClient,
  givenSimulator,
  ledger,
  placeOrder,
  skusOf,
  untilTold,
} from "./support.ts";

async function givenSku(units: number) {
  const { url } = await givenSimulator();
  const client = await givenClient(url);
  const [sku] = await skusOf(url);
  await controlled(url, "POST", "/_sim/stock", { skuId: sku.id, available: units });
  const read = async () => {
    const { body } = await client.call("POST", "/product/202309/inventory/search", {
      body: { sku_ids: [sku.id] },
    });
    const [entry] = body.data.inventory[0].skus;
    return [entry.total_available_quantity, entry.total_committed_quantity];
  };
  const update = (skus: unknown, productId = sku.productId) =>
    client.call("POST", `/product/202309/products/${productId}/inventory/update`, { body: { skus } });
  return { url, ...client, sku, read, update };
}

test("an order commits units, a cancellation gives them back, a collection takes them away", async () => {
  const { url, sku, read, call } = await givenSku(10);
  const kept = await placeOrder(url, { lines: [{ skuId: sku.id, quantity: 3 }] });
  const dropped = await placeOrder(url, { lines: [{ skuId: sku.id, quantity: 2 }] });
  expect(await read()).toEqual([5, 5]);
  await controlled(url, "POST", `/_sim/orders/${dropped.orderId}/cancel`);
  expect(await read()).toEqual([7, 3]);
  await controlled(url, "POST", `/_sim/orders/${kept.orderId}/pay`);
  const { packages } = await controlled(url, "POST", `/_sim/orders/${kept.orderId}/release`);
  await call("POST", `/fulfillment/202309/packages/${packages[0].id}/ship`, { body: {} });
  expect(await read()).toEqual([7, 3]);
  await controlled(url, "POST", `/_sim/orders/${kept.orderId}/collect`);
  expect(await read()).toEqual([7, 0]);
  await controlled(url, "POST", `/_sim/orders/${kept.orderId}/cancel`);
  expect(await read()).toEqual([7, 0]);
  expect(brokenStockRules(await ledger(url, "stock"))).toEqual([]);
});

test("a burst that oversells commits beyond what there is, and cancelling an oversold unit invents no stock", async () => {
  const { url, sku, read } = await givenSku(3);
  const { burstId } = await controlled(url, "POST", "/_sim/burst", {
    orders: 8,
    skuIds: [sku.id],
    oversell: true,
    durations: untilTold,
  });
  const burst = await until("the burst is done", async () => {
    const progress = await controlled(url, "GET", `/_sim/bursts/${burstId}`);
    return progress.done ? progress : null;
  });
  expect(burst).toMatchObject({ created: 8, soldOut: 0 });
  expect(await read()).toEqual([0, 8]);
  for (const orderId of burst.orderIds) await controlled(url, "POST", `/_sim/orders/${orderId}/cancel`);
  expect(await read()).toEqual([3, 0]);
  const orders = await ledger(url, "orders");
  expect(orders.filter(({ lines }) => lines[0].oversold)).toHaveLength(5);
});

test("a burst that may not oversell stops at what there is", async () => {
  const { url, sku, read } = await givenSku(3);
  const request = { orders: 8, skuIds: [sku.id], durations: untilTold, overMs: 50 };
  const { burstId } = await controlled(url, "POST", "/_sim/burst", request);
  await until(
    "the burst is done",
    async () => (await controlled(url, "GET", `/_sim/bursts/${burstId}`)).done,
  );
  expect(await controlled(url, "GET", `/_sim/bursts/${burstId}`)).toMatchObject({ created: 3, soldOut: 5 });
  expect(await read()).toEqual([0, 3]);
  const order = { lines: [{ skuId: sku.id, quantity: 1 }] };
  expect((await control(url, "POST", "/_sim/orders", order)).status).toBe(409);
});

test("an update sets what is available and leaves what is committed", async () => {
  const { url, sku, read, update } = await givenSku(10);
  await placeOrder(url, { lines: [{ skuId: sku.id, quantity: 4 }] });
  expect((await update([{ id: sku.id, inventory: [{ quantity: 50 }] }])).body.data.errors).toEqual([]);
  expect(await read()).toEqual([50, 4]);
  expect(brokenStockRules(await ledger(url, "stock"))).toEqual([]);
});

test("an update with mistakes in it changes the SKUs without, and names the others with TikTok's codes", async () => {
  const { url, update, read, sku } = await givenSku(10);
  const skus = await skusOf(url);
  const sibling = skus.find(({ productId, id }) => productId === sku.productId && id !== sku.id);
  const stranger = skus.find(({ productId }) => productId !== sku.productId);
  const { body } = await update([
    { id: sku.id, inventory: [{ quantity: 7 }] },
    { id: stranger.id, inventory: [{ quantity: 1 }] },
    { id: sibling.id, inventory: [{ warehouse_id: "1", quantity: 1 }] },
    { inventory: [{ quantity: 1 }] },
  ]);
  expect(body.code).toBe(0);
  expect(body.data.errors.map(({ code, detail }: any) => [code, detail.sku_id])).toEqual([
    [12052048, stranger.id],
    [12052990, sibling.id],
    [12052036, ""],
  ]);
  expect(body.data.errors[1].detail.extra_errors).toEqual([expect.objectContaining({ code: 12052097 })]);
  expect(await read()).toEqual([7, 0]);
  for (const [quantity, code] of [
    [-1, 12019024],
    [1.5, 12019024],
    [100_000, 12052055],
  ]) {
    const refused = await update([{ id: sku.id, inventory: [{ quantity }] }]);
    expect(refused.body.data.errors[0].detail.extra_errors[0].code).toBe(code);
  }
  expect((await update([{ id: sku.id, inventory: [{ quantity: 1 }] }], "1")).body.code).toBe(12019150);
  expect(await read()).toEqual([7, 0]);
});

test("a SKU in two warehouses is updated only with both of them, and sells from the one that has it", async () => {
  const { url, update, read, sku, call } = await givenSku(0);
  const second = await controlled(url, "POST", "/_sim/warehouses", { name: "Bristol" });
  await controlled(url, "POST", "/_sim/stock", { skuId: sku.id, warehouseId: second.id, available: 2 });
  const { warehouses } = (await call("GET", "/logistics/202309/warehouses")).body.data;
  const both = warehouses.map(({ id }: { id: string }) => ({ warehouse_id: id, quantity: 5 }));
  const [error] = (await update([{ id: sku.id, inventory: [both[0]] }])).body.data.errors;
  expect(error.code).toBe(12019028);
  expect(await read()).toEqual([2, 0]);
  const order = await placeOrder(url, { lines: [{ skuId: sku.id, quantity: 2 }] });
  expect(order.warehouseId).toBe(second.id);
  expect((await update([{ id: sku.id, inventory: both }])).body.data.errors).toEqual([]);
  expect(await read()).toEqual([10, 2]);
});

test("products are found by page, SKU code and SKU id, all 200 SKUs of them", async () => {
  const { call, sku } = await givenSku(1);
  const search = async (query: Record<string, string>, body: object) =>
    (await call("POST", "/product/202502/products/search", { query, body })).body;
  const seen: any[] = [];
  let token = "";
  do {
    const query = { page_size: "30", ...(token === "" ? {} : { page_token: token }) };
    const { data } = await search(query, { status: "ACTIVATE" });
    seen.push(...data.products);
    token = data.next_page_token;
  } while (token !== "");
  expect(new Set(seen.map(({ id }) => id)).size).toBe(71);
  expect(seen.flatMap(({ skus }) => skus)).toHaveLength(200);
  for (const filter of [{ seller_skus: [sku.sellerSku] }, { sku_ids: [sku.id] }]) {
    const { data } = await search({ page_size: "10" }, filter);
    expect(data.products.map(({ id }: { id: string }) => id)).toEqual([sku.productId]);
  }
  expect((await search({ page_size: "10" }, { seller_skus: Array(11).fill("x") })).code).toBe(12019027);
});

test("whatever buyers, sellers and carriers do, every number of the stock is explained by what happened", async () => {
  const { url } = await givenSimulator();
  const skus = (await skusOf(url)).slice(0, 3);
  const step = fc.oneof(
    fc.record({
      kind: fc.constant("order"),
      sku: fc.nat(2),
      units: fc.integer({ min: 1, max: 4 }),
      oversell: fc.boolean(),
    }),
    fc.record({ kind: fc.constant("stock"), sku: fc.nat(2), units: fc.nat(6), oversell: fc.constant(false) }),
    fc.record({
      kind: fc.constantFrom("pay", "release", "request-cancel", "cancel", "collect", "deliver", "complete"),
      sku: fc.nat(30),
      units: fc.constant(0),
      oversell: fc.constant(false),
    }),
  );
  const orderIds: string[] = [];
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 20, maxLength: 60 }), async (steps) => {
      for (const { kind, sku, units, oversell } of steps) {
        const skuId = skus[sku % skus.length].id;
        if (kind === "stock") await controlled(url, "POST", "/_sim/stock", { skuId, available: units });
        else if (kind === "order") {
          const lines = [{ skuId, quantity: units }];
          const { body } = await control(url, "POST", "/_sim/orders", {
            lines,
            oversell,
            durations: untilTold,
          });
          if (body.orderId !== undefined) orderIds.unshift(body.orderId);
        } else if (orderIds.length > 0) {
          await control(url, "POST", `/_sim/orders/${orderIds[sku % orderIds.length]}/${kind}`);
        }
      }
      expect(brokenStockRules(await ledger(url, "stock"))).toEqual([]);
    }),
    { numRuns: 15 },
  );
});
