import fc from "fast-check";
import { expect, test } from "vitest";
import * as shapes from "./shapes.ts";
import {
  brokenStockRules,
  control,
  controlled,
  finishedBurst,
  givenClient,
  givenSimulator,
  ledger,
  move,
  placeOrder,
  skusOf,
  startBurst,
  untilTold,
} from "./support.ts";

async function givenSku(units: number) {
  const { url } = await givenSimulator();
  const client = await givenClient(url);
  const skus = await skusOf(url);
  const sku = skus[0]!;
  await controlled(url, "POST", "/_sim/stock", { skuId: sku.id, available: units });
  /** Available and committed. */
  const read = async () => {
    const path = "/product/202309/inventory/search";
    const found = await client.ask(shapes.inventory, "POST", path, { body: { sku_ids: [sku.id] } });
    const entry = found.inventory[0]!.skus[0]!;
    return [entry.total_available_quantity, entry.total_committed_quantity];
  };
  const pathOf = (productId: string) => `/product/202309/products/${productId}/inventory/update`;
  const update = async (...numbers: readonly object[]) => {
    const options = { body: { skus: numbers } };
    return (await client.ask(shapes.updateErrors, "POST", pathOf(sku.productId), options)).errors;
  };
  return { url, ...client, sku, skus, read, update, pathOf };
}

test("an order commits units, a cancellation gives them back, a collection takes them away", async () => {
  const { url, sku, read, call } = await givenSku(10);
  const kept = await placeOrder(url, { lines: [{ skuId: sku.id, quantity: 3 }] });
  const dropped = await placeOrder(url, { lines: [{ skuId: sku.id, quantity: 2 }] });
  expect(await read()).toEqual([5, 5]);
  await move(url, dropped.orderId, "cancel");
  expect(await read()).toEqual([7, 3]);
  await move(url, kept.orderId, "pay");
  const { packages } = await move(url, kept.orderId, "release");
  await call("POST", `/fulfillment/202309/packages/${packages[0]!.id}/ship`);
  expect(await read()).toEqual([7, 3]);
  await move(url, kept.orderId, "collect");
  expect(await read()).toEqual([7, 0]);
  await move(url, kept.orderId, "cancel");
  expect(await read()).toEqual([7, 0]);
  expect(brokenStockRules(await ledger(url, "stock"))).toEqual([]);
});

test("a burst that oversells commits beyond what there is, and cancelling an oversold unit invents no stock", async () => {
  const { url, sku, read } = await givenSku(3);
  const burst = await finishedBurst(
    url,
    await startBurst(url, { orders: 8, skuIds: [sku.id], oversell: true }),
  );
  expect(burst).toMatchObject({ created: 8, soldOut: 0 });
  expect(await read()).toEqual([0, 8]);
  const orders = await ledger(url, "orders");
  expect(orders.filter(({ lines }) => lines[0]?.oversold)).toHaveLength(5);
  for (const orderId of burst.orderIds) await move(url, orderId, "cancel");
  expect(await read()).toEqual([3, 0]);
  expect(brokenStockRules(await ledger(url, "stock"))).toEqual([]);
});

test("a burst that may not oversell stops at what there is", async () => {
  const { url, sku, read } = await givenSku(3);
  const burstId = await startBurst(url, { orders: 8, skuIds: [sku.id], overMs: 50 });
  expect(await finishedBurst(url, burstId)).toMatchObject({ created: 3, soldOut: 5 });
  expect(await read()).toEqual([0, 3]);
  const order = { lines: [{ skuId: sku.id, quantity: 1 }] };
  expect((await control(url, "POST", "/_sim/orders", order)).status).toBe(409);
});

test("an update sets what is available and leaves what is committed", async () => {
  const { url, sku, read, update } = await givenSku(10);
  await placeOrder(url, { lines: [{ skuId: sku.id, quantity: 4 }] });
  expect(await update({ id: sku.id, inventory: [{ quantity: 50 }] })).toEqual([]);
  expect(await read()).toEqual([50, 4]);
  expect(brokenStockRules(await ledger(url, "stock"))).toEqual([]);
});

test("an update with mistakes in it changes the SKUs without, and names the others with TikTok's codes", async () => {
  const { update, read, sku, skus } = await givenSku(10);
  const sibling = skus.find(({ productId, id }) => productId === sku.productId && id !== sku.id)!;
  const stranger = skus.find(({ productId }) => productId !== sku.productId)!;
  const errors = await update(
    { id: sku.id, inventory: [{ quantity: 7 }] },
    { id: stranger.id, inventory: [{ quantity: 1 }] },
    { id: sibling.id, inventory: [{ warehouse_id: "1", quantity: 1 }] },
    { inventory: [{ quantity: 1 }] },
  );
  expect(errors.map(({ code, detail }) => [code, detail.sku_id])).toEqual([
    [12052048, stranger.id],
    [12052990, sibling.id],
    [12052036, ""],
  ]);
  expect(errors[1]?.detail.extra_errors).toEqual([{ warehouse_id: "1", code: 12052097 }]);
  expect(await read()).toEqual([7, 0]);
});

test.each([
  [-1, 12019024],
  [1.5, 12019024],
  [100_000, 12052055],
])("a quantity of %d is refused with %d and changes nothing", async (quantity, code) => {
  const { update, read, sku } = await givenSku(10);
  const [error] = await update({ id: sku.id, inventory: [{ quantity }] });
  expect(error?.detail.extra_errors[0]?.code).toBe(code);
  expect(await read()).toEqual([10, 0]);
});

test("an update of an unknown product is refused as a whole", async () => {
  const { call, sku, pathOf } = await givenSku(10);
  const body = { skus: [{ id: sku.id, inventory: [{ quantity: 1 }] }] };
  expect(await call("POST", pathOf("1"), { body })).toMatchObject({ code: 12019150 });
});

test("a SKU in two warehouses is updated only with both of them, and sells from the one that has it", async () => {
  const { url, update, read, sku, ask } = await givenSku(0);
  const added = await controlled(url, "POST", "/_sim/warehouses", { name: "Bristol" });
  const { id: warehouseId } = shapes.warehouse.parse(added);
  await controlled(url, "POST", "/_sim/stock", { skuId: sku.id, warehouseId, available: 2 });
  const { warehouses } = await ask(shapes.warehouses, "GET", "/logistics/202309/warehouses");
  const inventory = warehouses.map(({ id }) => ({ warehouse_id: id, quantity: 5 }));
  const [error] = await update({ id: sku.id, inventory: inventory.slice(0, 1) });
  expect(error?.code).toBe(12019028);
  expect(await read()).toEqual([2, 0]);
  const order = await placeOrder(url, { lines: [{ skuId: sku.id, quantity: 2 }] });
  expect(order.warehouseId).toBe(warehouseId);
  expect(await update({ id: sku.id, inventory })).toEqual([]);
  expect(await read()).toEqual([10, 2]);
});

test("products are found by page, SKU code and SKU id, all 200 SKUs of them", async () => {
  const { ask, call, sku } = await givenSku(1);
  const path = "/product/202502/products/search";
  const seen: { id: string; skus: unknown[] }[] = [];
  let token = "";
  do {
    const query = { page_size: "30", ...(token === "" ? {} : { page_token: token }) };
    const page = await ask(shapes.productPage, "POST", path, { query, body: { status: "ACTIVATE" } });
    seen.push(...page.products);
    token = page.next_page_token;
  } while (token !== "");
  expect(new Set(seen.map(({ id }) => id)).size).toBe(71);
  expect(seen.flatMap(({ skus }) => skus)).toHaveLength(200);
  const query = { page_size: "10" };
  for (const body of [{ seller_skus: [sku.sellerSku] }, { sku_ids: [sku.id] }]) {
    const { products } = await ask(shapes.productPage, "POST", path, { query, body });
    expect(products.map(({ id }) => id)).toEqual([sku.productId]);
  }
  const body = { seller_skus: Array.from({ length: 11 }, () => "x") };
  expect(await call("POST", path, { query, body })).toMatchObject({ code: 12019027 });
});

test("whatever buyers, sellers and carriers do, every number of the stock is explained by what happened", async () => {
  const { url } = await givenSimulator();
  const skus = (await skusOf(url)).slice(0, 3);
  const step = fc.oneof(
    fc.record({
      kind: fc.constant("order" as const),
      sku: fc.nat(2),
      quantity: fc.integer({ min: 1, max: 4 }),
      oversell: fc.boolean(),
    }),
    fc.record({ kind: fc.constant("stock" as const), sku: fc.nat(2), available: fc.nat(6) }),
    fc.record({
      kind: fc.constant("move" as const),
      name: fc.constantFrom("pay", "release", "request-cancel", "cancel", "collect", "deliver", "complete"),
      order: fc.nat(30),
    }),
  );
  const orderIds: string[] = [];
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 20, maxLength: 60 }), async (steps) => {
      for (const next of steps) {
        if (next.kind === "stock") {
          const skuId = skus[next.sku]!.id;
          await controlled(url, "POST", "/_sim/stock", { skuId, available: next.available });
        } else if (next.kind === "order") {
          const lines = [{ skuId: skus[next.sku]!.id, quantity: next.quantity }];
          const request = { lines, oversell: next.oversell, durations: untilTold };
          const { status, text } = await control(url, "POST", "/_sim/orders", request);
          if (status === 200) orderIds.unshift(shapes.bookedOrder.parse(JSON.parse(text)).orderId);
        } else if (orderIds.length > 0) {
          await control(url, "POST", `/_sim/orders/${orderIds[next.order % orderIds.length]}/${next.name}`);
        }
      }
      expect(brokenStockRules(await ledger(url, "stock"))).toEqual([]);
    }),
    { numRuns: 15 },
  );
});
