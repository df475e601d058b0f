import { randomUUID } from "node:crypto";
import type { FastifyInstance } from "fastify";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { z } from "zod";
import { buildApp } from "../../src/api/app.ts";
import { productsPage } from "../../src/api/contract/inventory.ts";
import { cancelAnswer, orderDetail, ordersPage, timelinePage } from "../../src/api/contract/orders.ts";
import { problemSchema } from "../../src/api/contract/problem.ts";
import { shopsList } from "../../src/api/contract/shops.ts";
import type { Database } from "../../src/db/connection.ts";
import { upsertUser } from "../../src/db/users.ts";
import { hashPassword } from "../../src/api/auth/passwords.ts";
import { withTenant } from "../../src/db/tenant.ts";
import type { ChannelOrderId } from "../../src/domain/ids.ts";
import { fetchAndTake } from "../support/dispatch.ts";
import type { RunningWorkers } from "../../src/workers.ts";
import { type DemoShop, secretKey, startDemoShop } from "../support/demo-shop.ts";
import { openTestDatabase } from "../support/seed.ts";
import { until } from "../support/until.ts";
import { silent, startTestWorkers } from "../support/workers.ts";
import { password } from "./api-bed.ts";

/** The API over orders that came from a shop and were worked on by the product's own workflows. */
let demo: DemoShop;
let workers: RunningWorkers;
let ingestDb: Database;
let app: FastifyInstance;
const headersOf: Record<string, { authorization: string }> = {};
let unpaid: ChannelOrderId;
let paid: ChannelOrderId;
let short: ChannelOrderId;
/** What happens once the API has read an order, or a list of them, and before it reads what belongs to it. */
let meanwhile: (() => Promise<void>) | null = null;

beforeAll(async () => {
  demo = await startDemoShop();
  workers = await startTestWorkers(demo.temporal, demo.db, demo.channel);
  ingestDb = openTestDatabase(demo.database.url, "cf_ingest");
  app = await buildApp({
    db: demo.db.withPlugin({
      transformQuery: ({ node }) => node,
      transformResult: async ({ result }) => {
        const happens = meanwhile;
        if (happens !== null && result.rows.some((row) => "order_number" in row)) {
          meanwhile = null;
          await happens();
        }
        return result;
      },
    }),
    ingestDb,
    temporal: demo.temporal.client,
    queuePrefix: demo.temporal.taskQueuePrefix,
    tiktokApp: { ...demo.app, previousSecret: null },
    secretKey,
    logger: silent,
    publicUrl: "https://creatorflow.test",
    temporalUiUrl: null,
    findPendingMigrations: () => Promise.resolve([]),
  });
  await app.ready();
  await signInEverybody();
  const [first, second, third] = demo.skus;
  unpaid = await order(first!.id, 1);
  paid = await order(second!.id, 2);
  await demo.control("POST", `/_sim/orders/${paid}/pay`, {});
  await takeIn(paid);
  // One unit less than the order takes; the shop still offers more than that.
  await takeAway(third!.sellerSku, third!.available - 1);
  short = await order(third!.id, 2);
}, 120_000);

afterAll(async () => {
  await app.close();
  await workers.stop();
  await ingestDb.destroy();
  await demo.close();
});

async function signInEverybody(): Promise<void> {
  const passwordHash = await hashPassword(password);
  for (const role of ["creator", "admin", "support"] as const) {
    const email = `${role}@orders.test`;
    await withTenant(demo.db, demo.shop.tenantId, (transaction) =>
      upsertUser(transaction, demo.shop.tenantId, { email, name: role, role, passwordHash }),
    );
    const response = await app.inject({
      method: "POST",
      url: "/api/auth/login",
      payload: { email, password },
    });
    headersOf[role] = { authorization: `Bearer ${response.json<{ access_token: string }>().access_token}` };
  }
}

async function takeAway(code: string, units: number): Promise<void> {
  const { products } = await get(productsPage, `/api/inventory/products?search=${encodeURIComponent(code)}`);
  const response = await app.inject({
    method: "POST",
    url: `/api/inventory/products/${products[0]!.id}/adjust`,
    headers: { ...headersOf["admin"], "idempotency-key": randomUUID() },
    payload: { quantity: -units, reason: "broken" },
  });
  expect(response.statusCode, response.body).toBe(200);
}

async function takeIn(orderId: ChannelOrderId): Promise<void> {
  await fetchAndTake(demo.intake, demo.shop, [orderId]);
}

async function order(skuId: string, quantity: number, options = {}): Promise<ChannelOrderId> {
  const orderId = await demo.placeOrder([{ skuId, quantity }], options);
  await takeIn(orderId);
  return orderId;
}

async function get<Schema extends z.ZodType>(
  schema: Schema,
  url: string,
  role = "admin",
): Promise<z.output<Schema>> {
  const response = await app.inject({ url, headers: headersOf[role] ?? {} });
  expect(response.statusCode, response.body).toBe(200);
  return schema.parse(response.json());
}

function cancel(orderId: string, key: string, reason = "out of stock", role = "admin") {
  return app.inject({
    method: "POST",
    url: `/api/orders/${orderId}/cancel`,
    headers: { ...headersOf[role], "idempotency-key": key },
    payload: { reason },
  });
}

async function untilHandled(orderId: ChannelOrderId, isSo: (order: z.output<typeof orderDetail>) => boolean) {
  return await until(`order ${orderId} is worked on`, async () => {
    const detail = await get(orderDetail, `/api/orders/${orderId}`);
    return isSo(detail) ? detail : null;
  });
}

describe("an order", () => {
  test("is shown with its lines, stages and next step, by its id and by the channel's number alike", async () => {
    const byNumber = await untilHandled(unpaid, ({ lines }) => lines.every((line) => line.stage === "held"));
    expect(byNumber).toMatchObject({
      order_number: unpaid,
      status: "pending",
      channel_status: "unpaid",
      hold: null,
      units: 1,
      lines: [{ ordered: 1, reserved: 1, sku: demo.skus[0]!.sellerSku }],
    });
    expect(byNumber.next_step).not.toBe("");
    // The order may take in news between two looks: those of the same state are compared.
    const [one, other] = await until("two looks at the same state", async () => {
      const looks = [
        await get(orderDetail, `/api/orders/${unpaid}`),
        await get(orderDetail, `/api/orders/${byNumber.id}`),
      ] as const;
      return looks[0].updated_at === looks[1].updated_at ? looks : null;
    });
    expect(other).toEqual(one);
  });

  test("shows its recipient in clear to a creator, masked to support, and each look in clear is on record", async () => {
    const clear = (await get(orderDetail, `/api/orders/${unpaid}`, "creator")).recipient!;
    const masked = (await get(orderDetail, `/api/orders/${unpaid}`, "support")).recipient!;
    expect(clear.masked).toBe(false);
    expect(clear.full_address).toBeTruthy();
    expect(masked).toMatchObject({ masked: true, full_address: null, region_code: clear.region_code });
    const response = await app.inject({ url: `/api/orders/${unpaid}`, headers: headersOf["support"] ?? {} });
    for (const personal of [clear.name, clear.phone, clear.full_address, clear.postal_code]) {
      if (personal !== null) expect(response.body).not.toContain(personal);
    }
    const looks = await withTenant(demo.db, demo.shop.tenantId, (transaction) =>
      transaction
        .selectFrom("inventory_audit_log")
        .where("event_type", "=", "recipient_read")
        .where("order_ref", "like", `%/${unpaid}`)
        .select("user_id")
        .execute(),
    );
    expect(looks.length).toBeGreaterThan(0);
  });

  test("tells its story oldest first, with causes, and page by page the same", async () => {
    await untilHandled(unpaid, ({ lines }) => lines.every((line) => line.stage === "held"));
    const whole = await get(timelinePage, `/api/orders/${unpaid}/timeline?limit=200`);
    const kinds = whole.entries.map((entry) => entry.kind);
    expect(kinds[0]).toBe("snapshot_stored");
    expect(kinds).toEqual(expect.arrayContaining(["order_received", "reserve", "lines_reserved"]));
    expect(whole.entries.every((entry) => entry.cause !== "")).toBe(true);
    const times = whole.entries.map((entry) => entry.at);
    expect(times).toEqual(times.toSorted());
    const walked: unknown[] = [];
    let cursor: string | null = "";
    while (cursor !== null) {
      const page: z.output<typeof timelinePage> = await get(
        timelinePage,
        `/api/orders/${unpaid}/timeline?limit=2${cursor === "" ? "" : `&cursor=${cursor}`}`,
      );
      walked.push(...page.entries);
      cursor = page.next_cursor;
    }
    expect(walked).toEqual(whole.entries);
  });

  test("that does not exist, or is another seller's, is answered 404", async () => {
    for (const id of [randomUUID(), "1", "999999999999999999"]) {
      const response = await app.inject({ url: `/api/orders/${id}`, headers: headersOf["admin"] ?? {} });
      expect(response.statusCode).toBe(404);
    }
    for (const id of ["..%2f..", "a%00b", "x".repeat(101), "' or 1=1"]) {
      const response = await app.inject({
        url: `/api/orders/${encodeURI(id)}`,
        headers: headersOf["admin"] ?? {},
      });
      expect([400, 404]).toContain(response.statusCode);
    }
  });
});

describe("the list of orders", () => {
  test("is newest first, counts all, and narrows by status, hold, attention, shop, time and search", async () => {
    await untilHandled(short, ({ hold }) => hold === "shortage");
    const all = await get(ordersPage, "/api/orders");
    expect(all.pagination.total).toBe(3);
    expect(all.orders.map((each) => each.ordered_at)).toEqual(
      all.orders
        .map((each) => each.ordered_at)
        .toSorted()
        .toReversed(),
    );
    const numbers = async (query: string) =>
      (await get(ordersPage, `/api/orders?${query}`)).orders.map((each) => each.order_number);
    expect(await numbers("hold=shortage")).toEqual([short]);
    expect(await numbers("needs_attention=true")).toEqual([short]);
    expect(await numbers("needs_attention=false")).toHaveLength(2);
    expect(await numbers(`search=${paid}`)).toEqual([paid]);
    expect(await numbers(`search=${paid.slice(1)}`)).toEqual([]);
    expect(await numbers(`search=${encodeURIComponent(demo.skus[0]!.sellerSku)}`)).toContain(unpaid);
    expect(await numbers("search=%25")).toEqual([]);
    expect(await numbers(`shop_id=${demo.shop.shopId}`)).toHaveLength(3);
    expect(await numbers(`shop_id=${randomUUID()}`)).toEqual([]);
    expect(await numbers("status=cancelled")).toEqual([]);
    expect(await numbers("ordered_from=2100-01-01T00:00:00Z")).toEqual([]);
    expect(await numbers("ordered_to=2100-01-01T00:00:00Z")).toHaveLength(3);
    const first = await get(ordersPage, "/api/orders?limit=2");
    const rest = await get(ordersPage, `/api/orders?limit=2&cursor=${first.pagination.next_cursor ?? ""}`);
    expect([...first.orders, ...rest.orders]).toEqual(all.orders);
    expect(rest.pagination.next_cursor).toBeNull();
  });
});

describe("cancelling an order", () => {
  test("that is not paid is refused with an explanation, and stays refused under its key", async () => {
    const key = randomUUID();
    const response = await cancel(unpaid, key);
    expect(response.statusCode).toBe(409);
    const problem = problemSchema.parse(response.json());
    expect(problem.detail).toContain("before it is paid");
    const again = await cancel(unpaid, key);
    expect([again.statusCode, again.headers["idempotency-replayed"]]).toEqual([409, "true"]);
    expect(problemSchema.parse(again.json()).detail).toBe(problem.detail);
  });

  test("that is paid reaches the channel once, however often it is asked, and the reason is on record", async () => {
    const key = randomUUID();
    const response = await cancel(paid, key, "the buyer called", "creator");
    expect(response.statusCode, response.body).toBe(202);
    expect(cancelAnswer.parse(response.json()).success).toBe(true);
    const again = await cancel(paid, key, "the buyer called", "creator");
    expect([again.statusCode, again.json()]).toEqual([202, response.json()]);
    const detail = await get(orderDetail, `/api/orders/${paid}`);
    expect(detail).toMatchObject({ touched: true, cancellation: { reason: "the buyer called" } });
    const books = await demo.control<{ items: readonly { orderId: string; cancelCount: number }[] }>(
      "GET",
      "/_sim/ledger?section=orders&limit=1000",
    );
    expect(books.items.find((each) => each.orderId === paid)?.cancelCount).toBe(1);
    await takeIn(paid);
    await untilHandled(paid, ({ status }) => status === "cancelled");
  });

  test("needs a key and a reason", async () => {
    const headers = headersOf["admin"] ?? {};
    const url = `/api/orders/${unpaid}/cancel`;
    const withoutKey = await app.inject({ method: "POST", url, headers, payload: { reason: "x" } });
    expect(withoutKey.statusCode).toBe(400);
    const withoutReason = await app.inject({
      method: "POST",
      url,
      headers: { ...headers, "idempotency-key": randomUUID() },
      payload: {},
    });
    expect(withoutReason.statusCode).toBe(400);
  });
});

test("the shops are listed with the state of their connection and nothing secret", async () => {
  const { shops } = await get(shopsList, "/api/shops");
  expect(shops).toMatchObject([{ id: demo.shop.shopId, channel: "tiktok-shop" }]);
});

describe("what is written while an answer about orders is read", () => {
  test("is in no part of one order, or in all of them", async () => {
    const before = await get(orderDetail, `/api/orders/${short}`);
    meanwhile = () =>
      withTenant(demo.db, demo.shop.tenantId, async (transaction) => {
        const { lines, id } = before;
        await transaction.updateTable("orders").set({ next_step: "Renamed" }).where("id", "=", id).execute();
        await transaction
          .updateTable("order_lines")
          .set({ product_name: "Renamed" })
          .where("order_id", "=", id)
          .where("line_id", "=", lines[0]!.line_id)
          .execute();
      });
    const during = await get(orderDetail, `/api/orders/${short}`);
    expect(meanwhile).toBeNull();
    expect([during.next_step, during.lines]).toEqual([before.next_step, before.lines]);
    const after = await get(orderDetail, `/api/orders/${short}`);
    expect([after.next_step, after.lines[0]!.product_name]).toEqual(["Renamed", "Renamed"]);
  });

  test("is counted with a list only when the list shows it", async () => {
    meanwhile = async () => {
      await order(demo.skus[0]!.id, 1);
    };
    const during = await get(ordersPage, "/api/orders?limit=200");
    expect(meanwhile).toBeNull();
    expect(during.pagination.total).toBe(during.orders.length);
    const after = await get(ordersPage, "/api/orders?limit=200");
    expect(after.pagination.total).toBe(during.pagination.total + 1);
  });
});
