import { randomUUID } from "node:crypto";
import type { InjectOptions } from "fastify";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type ApiDatabases, openApiDatabases } from "../../src/api/databases.ts";
import { problemSchema } from "../../src/api/contract/problem.ts";
import { createApiMetrics } from "../../src/metrics.ts";
import { readSystemFacts } from "../../src/db/read-models/metrics.ts";
import { type FaultProxy, startFaultProxy } from "../chaos/fault-proxy.ts";
import { until } from "../support/until.ts";
import { type ApiBed, password, type Seller, signedWebhook, startApiBed } from "./api-bed.ts";

/** The API with the pools of production, and a line to its database that can be cut. */
const answerMilliseconds = 2_000;

let link: FaultProxy;
let pools: ApiDatabases;
let bed: ApiBed;
let seller: Seller;
let skuId: string;
let headers: { authorization: string };

beforeAll(async () => {
  bed = await startApiBed(async ({ url }) => {
    const address = new URL(url);
    link = await startFaultProxy("database", Number(address.port));
    address.port = String(link.port);
    pools = openApiDatabases(address.href, 4);
    const metrics = createApiMetrics(() => readSystemFacts(pools.reportDb));
    return { db: pools.db, ingestDb: pools.ingestDb, measuring: { metrics, mayRead: () => true } };
  });
  seller = await bed.addSeller();
  skuId = await bed.addSku(seller);
  headers = await bed.signIn(seller);
});

afterAll(async () => {
  await bed.close();
  await Promise.all([pools.db, pools.ingestDb, pools.reportDb].map((db) => db.destroy()));
  await link.close();
});

interface Request {
  readonly method: "GET" | "POST" | "PUT";
  readonly url: string;
  readonly payload?: object | Buffer;
  readonly headers?: Readonly<Record<string, string>>;
}

/** One good request a route; what needs no row of ours is left out here and told below. */
function requests(): Readonly<Record<string, Request>> {
  const get = (url: string): Request => ({ method: "GET", url, headers });
  const post = (url: string, payload?: object): Request => ({
    method: "POST",
    url,
    headers: { ...headers, "idempotency-key": randomUUID() },
    ...(payload === undefined ? {} : { payload }),
  });
  const put = (url: string, payload: object): Request => ({ ...post(url, payload), method: "PUT" });
  const product = `/api/inventory/products/${skuId}`;
  const other = randomUUID();
  const inAnHour = new Date(Date.now() + 3_600_000).toISOString();
  const refresh = { refresh_token: "x".repeat(64) };
  return {
    "POST /webhooks/tiktok-shop": webhook(),
    "POST /webhooks/tiktok-shop/{topic}": { ...webhook(), url: "/webhooks/tiktok-shop/orders" },
    "POST /api/auth/login": post("/api/auth/login", { email: seller.users.admin.email, password }),
    "POST /api/auth/refresh": post("/api/auth/refresh", refresh),
    "GET /api/me": get("/api/me"),
    "GET /api/inventory/products": get("/api/inventory/products"),
    "GET /api/inventory/products/{id}": get(`/api/inventory/products/${skuId}`),
    "GET /api/inventory/products/{id}/transactions": get(`/api/inventory/products/${skuId}/transactions`),
    "POST /api/inventory/products/{id}/adjust": post(`/api/inventory/products/${skuId}/adjust`, {
      quantity: 1,
      reason: "counted",
    }),
    "POST /api/orders/{id}/shortage": post("/api/orders/1/shortage", { course: "wait" }),
    "GET /api/settings/shortage-policy": get("/api/settings/shortage-policy"),
    "PUT /api/settings/shortage-policy": put("/api/settings/shortage-policy", { policy: "wait" }),
    "POST /api/inventory/products/{id}/repair": post(`${product}/repair`, { on_hand: 1, reason: "counted" }),
    "GET /api/inventory/products/{id}/explain": get(`${product}/explain`),
    "GET /api/inventory/products/{id}/count-proposal": get(`${product}/count-proposal?on_hand=1`),
    "POST /api/inventory/products/{id}/movements": post(`${product}/movements`, {
      kind: "receive",
      quantity: 1,
      reason: "delivered",
    }),
    "POST /api/inventory/products/{id}/transfers": post(`${product}/transfers`, {
      from_location_id: other,
      to_location_id: randomUUID(),
      quantity: 1,
      reason: "sold there",
    }),
    "POST /api/inventory/transfers/{id}/take": post(`/api/inventory/transfers/${other}/take`, {
      received: 1,
      reason: "arrived",
    }),
    "GET /api/inventory/transfers": get("/api/inventory/transfers"),
    "POST /api/inventory/products/{id}/holds": post(`${product}/holds`, {
      quantity: 1,
      expires_at: inAnHour,
      reason: "live show",
    }),
    "POST /api/inventory/holds/{id}/release": post(`/api/inventory/holds/${other}/release`),
    "PUT /api/inventory/products/{id}/backorder": put(`${product}/backorder`, { floor: 0, reason: "none" }),
    "POST /api/inventory/products/{id}/sync": post(`${product}/sync`),
    "POST /api/inventory/products/{id}/pause": post(`${product}/pause`),
    "POST /api/inventory/products/{id}/resume": post(`${product}/resume`),
    "PUT /api/inventory/products/{id}/offer": put(`${product}/offer`, { buffer: 0 }),
    "GET /api/inventory/drifts": get("/api/inventory/drifts"),
    "POST /api/inventory/drifts/{id}/repair": post(`/api/inventory/drifts/${other}/repair`, {
      how: "push_ours",
      reason: "looked at it",
    }),
    "GET /api/inventory/push-delay": get("/api/inventory/push-delay"),
    "GET /api/inventory/products/{id}/replenishment": get(`${product}/replenishment`),
    "PUT /api/inventory/products/{id}/replenishment": put(`${product}/replenishment`, {
      threshold_mode: "automatic",
      lead_time_days: null,
    }),
    "GET /api/alerts": get("/api/alerts"),
    "GET /api/alerts/{id}": get(`/api/alerts/${other}`),
    "POST /api/alerts/{id}/acknowledge": post(`/api/alerts/${other}/acknowledge`, {}),
    "POST /api/alerts/{id}/snooze": post(`/api/alerts/${other}/snooze`, { until: inAnHour }),
    "POST /api/alerts/{id}/resolve": post(`/api/alerts/${other}/resolve`, {}),
    "GET /api/notification-preferences": get("/api/notification-preferences"),
    "PUT /api/notification-preferences": put("/api/notification-preferences", { preferences: [] }),
    "PUT /api/inventory/products/{id}/levels/{locationId}": {
      ...put(`${product}/levels/${other}`, { on_hand: 1, reason: "counted" }),
      headers: { ...headers, "idempotency-key": randomUUID(), "if-match": '"0"' },
    },
    "PUT /api/inventory/products/{id}/threshold": put(`${product}/threshold`, { threshold: 5 }),
    "PUT /api/inventory/products/{id}/barcode": put(`${product}/barcode`, { barcode: null }),
    "GET /api/inventory/barcodes/{barcode}": get("/api/inventory/barcodes/4006381333931"),
    "GET /api/inventory/export": get("/api/inventory/export"),
    "POST /api/inventory/batch": post("/api/inventory/batch", {
      items: [{ product_id: skuId, quantity: 1, reason: "counted" }],
    }),
    "POST /api/inventory/import": {
      ...post("/api/inventory/import?dry_run=true", Buffer.from("sku,quantity,reason\n")),
      headers: { ...headers, "idempotency-key": randomUUID(), "content-type": "text/csv" },
    },
    "GET /api/bulk/{id}": get(`/api/bulk/${other}`),
    "GET /api/bulk/{id}/items": get(`/api/bulk/${other}/items`),
    "GET /api/bulk/{id}/refused": get(`/api/bulk/${other}/refused`),
    "GET /api/approvals": get("/api/approvals"),
    "GET /api/approvals/{id}": get(`/api/approvals/${other}`),
    "POST /api/approvals/{id}/approve": post(`/api/approvals/${other}/approve`, {}),
    "POST /api/approvals/{id}/reject": post(`/api/approvals/${other}/reject`, {}),
    "GET /api/orders": get("/api/orders"),
    "GET /api/orders/{id}": get("/api/orders/1"),
    "GET /api/orders/{id}/timeline": get("/api/orders/1/timeline"),
    "POST /api/orders/{id}/cancel": post("/api/orders/1/cancel", { reason: "asked by phone" }),
    "GET /api/shops": get("/api/shops"),
    "GET /api/deliveries": get("/api/deliveries"),
    "POST /api/deliveries/{id}/replay": post(`/api/deliveries/${randomUUID()}/replay`),
    "POST /api/deliveries/replay": post("/api/deliveries/replay", { state: "parked" }),
    "GET /api/health/inventory": get("/api/health/inventory"),
    "GET /readyz": get("/readyz"),
  };
}

/** Those that ask a SKU's entity, or a look at the channel; all others do what they do in Postgres. */
const needsTemporal: ReadonlySet<string> = new Set([
  "POST /api/inventory/products/{id}/adjust",
  "POST /api/inventory/products/{id}/repair",
  "PUT /api/inventory/products/{id}/levels/{locationId}",
  "POST /api/inventory/products/{id}/movements",
  "POST /api/inventory/products/{id}/transfers",
  "POST /api/inventory/products/{id}/holds",
  "PUT /api/inventory/products/{id}/backorder",
  "POST /api/inventory/products/{id}/sync",
]);

function webhook(): Request {
  const data = { order_id: String(Date.now()) };
  const body = { type: 1, tts_notification_id: randomUUID(), shop_id: seller.channelShopId, data };
  return signedWebhook(JSON.stringify(body));
}

async function ask(request: Request) {
  const began = performance.now();
  const answer = await bed.app.inject(request as InjectOptions);
  return { answer, milliseconds: performance.now() - began };
}

test("the requests are one for each route that needs the database", async () => {
  const { paths } = (await bed.app.inject("/docs/json")).json<{ paths: Record<string, object> }>();
  const routes = Object.entries(paths).flatMap(([path, methods]) =>
    Object.keys(methods).map((method) => `${method.toUpperCase()} ${path}`),
  );
  const needNone = ["GET /livez", "POST /api/auth/logout"];
  expect([...Object.keys(requests()), ...needNone].sort()).toEqual(routes.sort());
});

test("while the database is cut off every route answers 503 in time and says so, and all is well when it is back", async () => {
  link.suffer({ kind: "cut" });
  try {
    for (const [route, request] of Object.entries(requests())) {
      const { answer, milliseconds } = await ask(request);
      // Who one is may still be known for ten seconds; nothing else is told from memory.
      expect(answer.statusCode, `${route}: ${answer.body}`).toBe(503);
      expect(milliseconds, route).toBeLessThan(answerMilliseconds);
      if (route === "GET /readyz") continue;
      const problem = problemSchema.parse(answer.json());
      expect([route, problem.type, problem.detail]).toEqual([
        route,
        "urn:creatorflow:problem:unavailable",
        expect.stringContaining("try again"),
      ]);
      expect(Number(answer.headers["retry-after"]), route).toBeGreaterThan(0);
    }
    expect((await bed.app.inject("/livez")).statusCode).toBe(200);
    expect((await bed.app.inject("/metrics")).body).toMatch(/creatorflow_facts_available\{.*\} 0/);
  } finally {
    link.suffer({ kind: "pass" });
  }
  for (const [route, request] of Object.entries(requests())) {
    if (needsTemporal.has(route)) continue;
    expect((await ask(request)).answer.statusCode, route).toBeLessThan(500);
  }
});

test("a database that is not heard of any more keeps no webhook waiting longer than the channel does, and no connection is kept that is dead", async () => {
  await Promise.all(Array.from({ length: 4 }, () => ask(webhook())));
  link.suffer({ kind: "half_open" });
  try {
    const answers = await Promise.all(Array.from({ length: 8 }, () => ask(webhook())));
    for (const { answer, milliseconds } of answers) {
      expect(answer.statusCode).toBe(503);
      expect(milliseconds).toBeLessThan(3_000);
    }
    // A connection that was dead would keep its next user waiting for 2 s again.
    expect((await ask(webhook())).milliseconds).toBeLessThan(2_000);
  } finally {
    // The bytes that were held back are lost, as those to a vanished machine are.
    link.reset();
    link.suffer({ kind: "pass" });
  }
  await until("webhooks are taken in again", async () => (await ask(webhook())).answer.statusCode === 200);
});

test("while Temporal is away what needs Postgres alone goes on, and a change that needs it is answered 503 within its bound", async () => {
  await Promise.all(
    Object.entries(requests()).map(async ([route, request]) => {
      const { answer } = await ask(request);
      expect(answer.statusCode === 503, `${route}: ${answer.body}`).toBe(needsTemporal.has(route));
    }),
  );
  const { rows } = await bed.superuser.query(
    "select 1 from idempotency_keys where state = 'running' and leased_until > now()",
  );
  expect(rows, "the key is given back").toEqual([]);
});
