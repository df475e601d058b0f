import { randomUUID } from "node:crypto";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { z } from "zod";
import { buildApp } from "../../src/api/app.ts";
import {
  type adjustAnswer,
  productDetail,
  productsPage,
  transactionsPage,
} from "../../src/api/contract/inventory.ts";
import { problemSchema } from "../../src/api/contract/problem.ts";
import { applyStockBatch } from "../../src/db/stock.ts";
import type { SkuId } from "../../src/domain/ids.ts";
import type { RunningWorkers } from "../../src/workers.ts";
import { type TestTemporal, testTemporal } from "../support/temporal.ts";
import { noChannel, startTestWorkers } from "../support/workers.ts";
import { type ApiBed, type Seller, startApiBed } from "./api-bed.ts";

let temporal: TestTemporal;
let workers: RunningWorkers;
let bed: ApiBed;
let seller: Seller;
let headers: { authorization: string };

beforeAll(async () => {
  temporal = await testTemporal();
  bed = await startApiBed({ temporal: temporal.client, queuePrefix: temporal.taskQueuePrefix });
  workers = await startTestWorkers(temporal, bed.db, noChannel);
  seller = await bed.addSeller();
  headers = await bed.signIn(seller);
});

afterAll(async () => {
  await workers.stop();
  await bed.close();
  await temporal.close();
});

async function get<Schema extends z.ZodType>(
  schema: Schema,
  url: string,
  as = headers,
): Promise<z.output<Schema>> {
  const response = await bed.app.inject({ url, headers: as });
  expect(response.statusCode, response.body).toBe(200);
  return schema.parse(response.json());
}

function adjust(skuId: SkuId, body: object, key: string | null = randomUUID(), as = headers, app = bed.app) {
  return app.inject({
    method: "POST",
    url: `/api/inventory/products/${skuId}/adjust`,
    headers: { ...as, ...(key === null ? {} : { "idempotency-key": key }) },
    payload: body,
  });
}

async function stockOf(skuId: SkuId) {
  const { rows } = await bed.superuser.query<{ on_hand: number; movements: number }>(
    `select (select sum(current_stock)::integer from stock_levels where sku_id = $1) as on_hand,
       (select count(*)::integer from inventory_transactions where sku_id = $1 and kind = 'adjust') as movements`,
    [skuId],
  );
  return rows[0]!;
}

describe("the list of products", () => {
  let own: Seller;
  let as: { authorization: string };

  beforeAll(async () => {
    own = await bed.addSeller();
    as = await bed.signIn(own, "support");
    for (let index = 0; index < 25; index += 1) {
      const quantity = index < 3 ? 0 : index < 8 ? 5 : 50;
      await bed.addSku(own, {
        code: `CODE_${String(index).padStart(2, "0")}`,
        name: `${index % 2 === 0 ? "Even" : "odd"} product ${index}`,
        quantity,
      });
    }
  });

  test("is paged, counts all, and a walk by cursor meets each product once, in the order of names", async () => {
    const first = await get(productsPage, "/api/inventory/products", as);
    expect(first.products).toHaveLength(20);
    expect(first.pagination).toMatchObject({ page: 1, limit: 20, total: 25 });
    const second = await get(productsPage, "/api/inventory/products?page=2", as);
    expect(second.products).toHaveLength(5);
    expect(second.pagination.next_cursor).toBeNull();

    const names: string[] = [];
    let cursor: string | null = "";
    while (cursor !== null) {
      const page: z.output<typeof productsPage> = await get(
        productsPage,
        `/api/inventory/products?limit=7${cursor === "" ? "" : `&cursor=${cursor}`}`,
        as,
      );
      names.push(...page.products.map((product) => product.name));
      cursor = page.pagination.next_cursor;
    }
    expect(new Set(names).size).toBe(25);
    expect(names).toEqual([...first.products, ...second.products].map((product) => product.name));
  });

  test.each([
    ["out_of_stock", 3],
    ["low_stock", 5],
    ["in_stock", 17],
  ])("with the status %s holds exactly those", async (status, count) => {
    const page = await get(productsPage, `/api/inventory/products?status=${status}`, as);
    expect(page.pagination.total).toBe(count);
    expect(page.products.every((product) => product.status === status)).toBe(true);
  });

  test.each([
    ["CODE_07", 1],
    ["code_0", 10],
    ["even", 13],
    ["%", 0],
    ["_", 25],
    ["'; drop table skus; --", 0],
    ["nothing like it", 0],
  ])("searched for %j finds %i, by name or code, as text and not as a pattern", async (search, count) => {
    const page = await get(productsPage, `/api/inventory/products?search=${encodeURIComponent(search)}`, as);
    expect(page.pagination.total).toBe(count);
  });

  test.each([
    "limit=201",
    "limit=0",
    "page=x",
    "status=gone",
    "cursor=AAAA",
    "cursor=!",
    "colour=red",
    "search=%00",
  ])("asked with %s answers 400 with a problem", async (query) => {
    const response = await bed.app.inject({ url: `/api/inventory/products?${query}`, headers: as });
    expect(response.statusCode).toBe(400);
    expect(problemSchema.parse(response.json()).errors?.[0]?.pointer).toMatch(/^\/query/);
  });
});

describe("a change of stock by hand", () => {
  test("moves the numbers and the ledger, with who and why", async () => {
    const skuId = await bed.addSku(seller, { quantity: 10 });
    const response = await adjust(skuId, { quantity: 5, reason: "counted\u0000 twice\n" });
    expect(response.statusCode, response.body).toBe(200);
    expect(response.json<z.output<typeof adjustAnswer>>()).toEqual({
      success: true,
      new_stock_level: 15,
      available_stock: 15,
    });
    const detail = await get(productDetail, `/api/inventory/products/${skuId}`);
    expect(detail).toMatchObject({ current_stock: 15, available_stock: 15, shortage: 0 });
    expect(detail.levels).toMatchObject([{ location_name: "Main warehouse", current_stock: 15 }]);
    expect(detail.listings).toHaveLength(1);
    expect(detail.history).toMatchObject([
      {
        type: "ADJUSTMENT",
        kind: "adjust",
        quantity: 5,
        previous_stock: 10,
        new_stock: 15,
        reason: "counted  twice",
        actor_id: seller.users.admin.id,
        actor_name: "admin",
      },
      { type: "ADJUSTMENT", kind: "opening", quantity: 10, previous_stock: 0, new_stock: 10 },
    ]);
    const first = await get(transactionsPage, `/api/inventory/products/${skuId}/transactions?limit=1`);
    const second = await get(
      transactionsPage,
      `/api/inventory/products/${skuId}/transactions?limit=1&cursor=${first.next_cursor ?? ""}`,
    );
    expect([...first.transactions, ...second.transactions]).toEqual(detail.history);
    expect(second.next_cursor).toBeNull();
  });

  test("sent fifty times at once with one key has one effect, and the same answer ever after", async () => {
    const skuId = await bed.addSku(seller, { quantity: 10 });
    const key = randomUUID();
    const body = { quantity: 3, reason: "found behind the shelf" };
    const responses = await Promise.all(Array.from({ length: 50 }, () => adjust(skuId, body, key)));
    expect(responses.every((response) => [200, 409].includes(response.statusCode))).toBe(true);
    expect(responses.some((response) => response.statusCode === 200)).toBe(true);
    expect(await stockOf(skuId)).toEqual({ on_hand: 13, movements: 1 });
    const again = await adjust(skuId, body, key);
    expect(again.statusCode).toBe(200);
    expect(again.headers["idempotency-replayed"]).toBe("true");
    expect(again.json()).toEqual({ success: true, new_stock_level: 13, available_stock: 13 });
    expect(await stockOf(skuId)).toEqual({ on_hand: 13, movements: 1 });
  });

  test("needs a key, and a key belongs to one request of one user", async () => {
    const skuId = await bed.addSku(seller, { quantity: 10 });
    const body = { quantity: 1, reason: "counted" };
    const missing = await adjust(skuId, body, null);
    expect(missing.statusCode).toBe(400);
    expect(problemSchema.parse(missing.json()).type).toContain("idempotency-key-missing");
    const key = randomUUID();
    expect((await adjust(skuId, body, key)).statusCode).toBe(200);
    expect((await adjust(skuId, { ...body, quantity: 2 }, key)).statusCode).toBe(422);
    const asCreator = await bed.signIn(seller, "creator");
    expect((await adjust(skuId, body, key, asCreator)).statusCode).toBe(422);
    const other = await bed.addSeller();
    const theirSku = await bed.addSku(other, { quantity: 10 });
    expect((await adjust(theirSku, body, key, await bed.signIn(other))).statusCode).toBe(200);
    expect(await stockOf(skuId)).toEqual({ on_hand: 11, movements: 1 });
  });

  test("below what is promised, below nothing or at an unknown place is refused in words, and stays refused", async () => {
    const skuId = await bed.addSku(seller, { quantity: 10 });
    await applyStockBatch(bed.db, seller.tenantId, skuId, [
      {
        kind: "reserve",
        claim: { orderRef: `${seller.shopId}/1`, lineId: "1", generation: 1 },
        quantity: 4,
        rank: { paidAt: null, orderedAt: "2026-01-01T00:00:00.000Z" },
        locationId: null,
      },
    ]);
    const key = randomUUID();
    const tooMany = await adjust(skuId, { quantity: -7, reason: "broken" }, key);
    expect(tooMany.statusCode).toBe(409);
    expect(problemSchema.parse(tooMany.json()).detail).toContain("promised to orders");
    const again = await adjust(skuId, { quantity: -7, reason: "broken" }, key);
    expect([again.statusCode, again.headers["idempotency-replayed"]]).toEqual([409, "true"]);
    expect((await adjust(skuId, { quantity: -11, reason: "broken" })).statusCode).toBe(409);
    const nowhere = await adjust(skuId, { quantity: 1, reason: "found", location_id: randomUUID() });
    expect(problemSchema.parse(nowhere.json()).detail).toContain("location");
    expect(await stockOf(skuId)).toEqual({ on_hand: 10, movements: 0 });
    const detail = await get(productDetail, `/api/inventory/products/${skuId}`);
    expect(detail).toMatchObject({ current_stock: 10, reserved_stock: 4, available_stock: 6 });
  });

  test("of more than 100 units waits for an approval when a creator makes it, and is done for an admin", async () => {
    const skuId = await bed.addSku(seller, { quantity: 10 });
    const asCreator = await bed.signIn(seller, "creator");
    const waits = await adjust(skuId, { quantity: 101, reason: "delivery" }, randomUUID(), asCreator);
    expect(waits.statusCode).toBe(202);
    expect(waits.json<{ detail: string }>().detail).toContain("admin");
    expect(
      (await adjust(skuId, { quantity: 100, reason: "delivery" }, randomUUID(), asCreator)).statusCode,
    ).toBe(200);
    expect((await adjust(skuId, { quantity: 101, reason: "delivery" })).statusCode).toBe(200);
    expect(await stockOf(skuId)).toEqual({ on_hand: 211, movements: 2 });
  });

  test.each([
    [{ quantity: 0, reason: "x" }, "/body/quantity"],
    [{ quantity: 1.5, reason: "x" }, "/body/quantity"],
    [{ quantity: 10_001, reason: "x" }, "/body/quantity"],
    [{ quantity: -10_001, reason: "x" }, "/body/quantity"],
    [{ quantity: "5", reason: "x" }, "/body/quantity"],
    [{ quantity: 1 }, "/body/reason"],
    [{ quantity: 1, reason: " \u0000 " }, "/body/reason"],
    [{ quantity: 1, reason: "x".repeat(501) }, "/body/reason"],
    [{ quantity: 1, reason: "half \ud800 a character" }, "/body/reason"],
    [{ quantity: 1, reason: "x", location_id: "here" }, "/body/location_id"],
    [{ quantity: 1, reason: "x", tenant_id: "mine" }, "/body"],
    [[], "/body"],
    ["text", "/body"],
  ])("with the body %j is refused with 400, naming what is wrong", async (body, pointer) => {
    const skuId = await bed.addSku(seller);
    const response = await bed.app.inject({
      method: "POST",
      url: `/api/inventory/products/${skuId}/adjust`,
      headers: { ...headers, "idempotency-key": randomUUID(), "content-type": "application/json" },
      payload: JSON.stringify(body),
    });
    expect(response.statusCode).toBe(400);
    expect(problemSchema.parse(response.json()).errors?.map((error) => error.pointer)).toContain(pointer);
  });

  test("while Temporal is away is answered 503, and the same request later has one effect", async () => {
    const skuId = await bed.addSku(seller, { quantity: 10 });
    const { temporal: _reachable, ...dependencies } = bed.dependencies;
    const away = await startAppWithoutTemporal(dependencies);
    const key = randomUUID();
    const body = { quantity: 2, reason: "counted" };
    try {
      const refused = await adjust(skuId, body, key, headers, away.app);
      expect(refused.statusCode, refused.body).toBe(503);
      expect(Number(refused.headers["retry-after"])).toBeGreaterThan(0);
    } finally {
      await away.close();
    }
    const later = await adjust(skuId, body, key);
    expect(later.statusCode, later.body).toBe(200);
    expect(await stockOf(skuId)).toEqual({ on_hand: 12, movements: 1 });
  });

  test("whose process died half way is driven on by the same request, once its lease is over", async () => {
    const skuId = await bed.addSku(seller, { quantity: 10 });
    const key = randomUUID();
    const body = { quantity: 2, reason: "counted" };
    expect((await adjust(skuId, body, key)).statusCode).toBe(200);
    // As it was before the answer was stored: the effect is there, the answer is not. The database itself allows no such step.
    await bed.superuser.query(
      `begin; set local session_replication_role = replica;
       update idempotency_keys set state = 'running', status = null, body = null where key = '${key}'; commit`,
    );
    expect((await adjust(skuId, body, key)).statusCode).toBe(409);
    await bed.superuser.query(
      "update idempotency_keys set leased_until = now() - interval '1 s' where key = $1",
      [key],
    );
    const later = await adjust(skuId, body, key);
    expect([later.statusCode, later.json()]).toEqual([
      200,
      { success: true, new_stock_level: 12, available_stock: 12 },
    ]);
    expect(await stockOf(skuId)).toEqual({ on_hand: 12, movements: 1 });
  });
});

async function startAppWithoutTemporal(dependencies: Omit<ApiBed["dependencies"], "temporal">) {
  const { Client, Connection } = await import("@temporalio/client");
  const connection = Connection.lazy({ address: "127.0.0.1:1" });
  const app = await buildApp({ ...dependencies, temporal: new Client({ connection }) });
  return {
    app,
    close: async () => {
      await app.close();
      await connection.close();
    },
  };
}
