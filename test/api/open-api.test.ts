import { randomUUID } from "node:crypto";
import { Validator } from "@seriousme/openapi-schema-validator";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Role, roles } from "../../src/api/contract/permissions.ts";
import { applyStockBatch } from "../../src/db/stock.ts";
import { asId } from "../../src/domain/ids.ts";
import { problemSchema } from "../../src/api/contract/problem.ts";
import { type ApiBed, type Seller, startApiBed } from "./api-bed.ts";

interface Operation {
  readonly operationId?: string;
  readonly summary?: string;
  readonly description?: string;
  readonly tags?: readonly string[];
  readonly security?: readonly object[];
  readonly responses: Readonly<Record<string, { readonly content?: object }>>;
}
interface Document {
  readonly openapi: string;
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>;
}

const sellers: readonly Role[] = ["creator", "admin", "support"];
const writers: readonly Role[] = ["creator", "admin"];

/** Who may call what, as the product documents and the design say: written down here a second time on purpose. */
const allowed: Readonly<Record<string, readonly Role[] | "everybody" | "channel">> = {
  "POST /webhooks/tiktok-shop": "channel",
  "POST /webhooks/tiktok-shop/{topic}": "channel",
  "POST /api/auth/login": "everybody",
  "POST /api/auth/refresh": "everybody",
  "POST /api/auth/logout": "everybody",
  "GET /api/me": roles,
  "GET /api/inventory/products": sellers,
  "GET /api/inventory/products/{id}": sellers,
  "GET /api/inventory/products/{id}/transactions": sellers,
  "POST /api/inventory/products/{id}/adjust": writers,
  "POST /api/inventory/products/{id}/repair": ["admin"],
  "POST /api/orders/{id}/shortage": writers,
  "GET /api/settings/shortage-policy": sellers,
  "PUT /api/settings/shortage-policy": ["admin"],
  "GET /api/inventory/products/{id}/explain": sellers,
  "GET /api/inventory/products/{id}/count-proposal": sellers,
  "POST /api/inventory/products/{id}/movements": writers,
  "POST /api/inventory/products/{id}/transfers": writers,
  "POST /api/inventory/transfers/{id}/take": writers,
  "GET /api/inventory/transfers": sellers,
  "POST /api/inventory/products/{id}/holds": writers,
  "POST /api/inventory/holds/{id}/release": writers,
  "PUT /api/inventory/products/{id}/backorder": writers,
  "POST /api/inventory/products/{id}/sync": writers,
  "POST /api/inventory/products/{id}/pause": writers,
  "POST /api/inventory/products/{id}/resume": writers,
  "PUT /api/inventory/products/{id}/offer": writers,
  "GET /api/inventory/drifts": sellers,
  "POST /api/inventory/drifts/{id}/repair": writers,
  "GET /api/inventory/push-delay": sellers,
  "GET /api/inventory/products/{id}/replenishment": sellers,
  "PUT /api/inventory/products/{id}/replenishment": writers,
  "GET /api/alerts": sellers,
  "GET /api/alerts/{id}": sellers,
  "POST /api/alerts/{id}/acknowledge": writers,
  "POST /api/alerts/{id}/snooze": writers,
  "POST /api/alerts/{id}/resolve": writers,
  "GET /api/notification-preferences": writers,
  "PUT /api/notification-preferences": writers,
  "PUT /api/inventory/products/{id}/levels/{locationId}": writers,
  "PUT /api/inventory/products/{id}/threshold": writers,
  "PUT /api/inventory/products/{id}/barcode": writers,
  "GET /api/inventory/barcodes/{barcode}": sellers,
  "GET /api/inventory/export": sellers,
  "POST /api/inventory/batch": ["admin"],
  "POST /api/inventory/import": ["admin"],
  "GET /api/bulk/{id}": sellers,
  "GET /api/bulk/{id}/items": sellers,
  "GET /api/bulk/{id}/refused": sellers,
  "GET /api/approvals": sellers,
  "GET /api/approvals/{id}": sellers,
  "POST /api/approvals/{id}/approve": ["admin"],
  "POST /api/approvals/{id}/reject": ["admin"],
  "GET /api/orders": sellers,
  "GET /api/orders/{id}": sellers,
  "GET /api/orders/{id}/timeline": sellers,
  "POST /api/orders/{id}/cancel": writers,
  "GET /api/shops": sellers,
  "GET /api/deliveries": [...sellers, "operator"],
  "POST /api/deliveries/{id}/replay": ["admin"],
  "POST /api/deliveries/replay": ["admin"],
  "GET /livez": "everybody",
  "GET /readyz": "everybody",
  "GET /api/health/inventory": sellers,
};

const bodies: Readonly<Record<string, object>> = {
  "POST /api/inventory/products/{id}/adjust": { quantity: 1, reason: "counted" },
  "POST /api/inventory/products/{id}/repair": { on_hand: 1, reason: "counted" },
  "POST /api/orders/{id}/shortage": { course: "wait" },
  "PUT /api/settings/shortage-policy": { policy: "wait" },
  "POST /api/inventory/products/{id}/movements": { kind: "receive", quantity: 1, reason: "delivered" },
  "POST /api/inventory/products/{id}/transfers": {
    from_location_id: randomUUID(),
    to_location_id: randomUUID(),
    quantity: 1,
    reason: "more is sold there",
  },
  "POST /api/inventory/transfers/{id}/take": { received: 1, reason: "arrived" },
  "POST /api/inventory/products/{id}/holds": {
    quantity: 1,
    expires_at: new Date(Date.now() + 3_600_000).toISOString(),
    reason: "live show",
  },
  "PUT /api/inventory/products/{id}/backorder": { floor: 0, reason: "none are made any more" },
  "POST /api/inventory/drifts/{id}/repair": { how: "push_ours", reason: "looked at it" },
  "PUT /api/inventory/products/{id}/offer": { buffer: 0 },
  "PUT /api/inventory/products/{id}/replenishment": { threshold_mode: "automatic", lead_time_days: null },
  "POST /api/alerts/{id}/acknowledge": {},
  "POST /api/alerts/{id}/snooze": { until: new Date(Date.now() + 3_600_000).toISOString() },
  "POST /api/alerts/{id}/resolve": {},
  "PUT /api/notification-preferences": { preferences: [] },
  "PUT /api/inventory/products/{id}/levels/{locationId}": { on_hand: 1, reason: "counted" },
  "PUT /api/inventory/products/{id}/threshold": { threshold: 5 },
  "PUT /api/inventory/products/{id}/barcode": { barcode: "4006381333931" },
  "POST /api/inventory/batch": { items: [{ sku: "none", quantity: 1, reason: "counted" }] },
  "POST /api/approvals/{id}/approve": {},
  "POST /api/approvals/{id}/reject": {},
  "POST /api/orders/{id}/cancel": { reason: "asked by phone" },
  "POST /api/deliveries/replay": { state: "parked" },
};

const queries: Readonly<Record<string, string>> = {
  "GET /api/inventory/products/{id}/count-proposal": "?on_hand=1",
};

let bed: ApiBed;
let seller: Seller;
/** By how much the API's clock is wrong, in milliseconds. */
let clockShift = 0;
let document: Document;
let operations: readonly (readonly [string, Operation])[];
const headersOf = new Map<Role, { authorization: string }>();

beforeAll(async () => {
  bed = await startApiBed({ now: () => new Date(Date.now() + clockShift) });
  seller = await bed.addSeller();
  for (const role of roles) headersOf.set(role, await bed.signIn(seller, role));
  document = (await bed.app.inject("/docs/json")).json<Document>();
  operations = Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(
      ([method, operation]) => [`${method.toUpperCase()} ${path}`, operation] as const,
    ),
  );
});

afterAll(async () => {
  await bed.close();
});

async function call(route: string, headers: Record<string, string> = {}, id: string = randomUUID()) {
  const [method, path] = route.split(" ") as ["GET" | "POST" | "PUT", string];
  return await bed.app.inject({
    method,
    url:
      path
        .replace("{id}", id)
        .replace("{topic}", "orders")
        .replace("{locationId}", seller.locationId)
        .replace("{barcode}", "4006381333931") + (queries[route] ?? ""),
    headers: { "idempotency-key": randomUUID(), "if-match": '"0"', ...headers },
    ...(bodies[route] === undefined ? {} : { payload: bodies[route] }),
  });
}

/** A row of the seller's for each kind of address. */
async function addRows(): Promise<Readonly<Record<string, string>>> {
  const orderId = String(Date.now());
  const deliveryId = randomUUID();
  await bed.superuser.query(
    `insert into orders (tenant_id, shop_id, channel_order_id, status, channel_status, next_step, snapshot_version, shipping,
       currency, total_minor, ordered_at)
     values ($1, $2, $3, 'pending', 'unpaid', 'Waits for payment.', 1, 'channel', 'GBP', 100, now())`,
    [seller.tenantId, seller.shopId, orderId],
  );
  await bed.superuser.query(
    `insert into webhook_deliveries (id, tenant_id, shop_id, channel, sender, dedupe_key, topic, channel_order_id, body, headers, state)
     values ($1, $2, $3, 'tiktok-shop', 'x', 'x', 1, $4, '', '{}', 'parked')`,
    [deliveryId, seller.tenantId, seller.shopId, orderId],
  );
  const skuId = await bed.addSku(seller);
  const { rows } = await bed.superuser.query<{ id: string; from_id: string }>(
    `insert into locations (tenant_id, name) values ($1, 'North')
     returning id, (select location_id from stock_levels where sku_id = $2) as from_id`,
    [seller.tenantId, skuId],
  );
  const [north] = rows;
  const [holdId, transferId] = [randomUUID(), randomUUID()];
  await applyStockBatch(bed.db, seller.tenantId, skuId, [
    {
      kind: "send_transfer",
      transferId,
      fromLocationId: asId(north!.from_id),
      toLocationId: asId(north!.id),
      quantity: 1,
      reason: "seed",
      actorId: null,
    },
    {
      kind: "hold",
      holdId,
      quantity: 1,
      expiresAt: new Date(Date.now() + 3_600_000).toISOString(),
      reason: "seed",
      actorId: null,
      locationId: null,
    },
  ]);
  const driftId = randomUUID();
  await bed.superuser.query(
    `insert into stock_drifts (id, tenant_id, listing_id, sku_id, warehouse_id, cause, units, our_total, state)
     select $1, tenant_id, id, sku_id, 'warehouse-1', 'changed_in_seller_center', 1, 10, 'open' from listings where sku_id = $2`,
    [driftId, skuId],
  );
  const alertId = randomUUID();
  await bed.superuser.query(
    "insert into alerts (id, tenant_id, kind, severity, sku_id, subject_id) values ($1, $2, 'drift', 'warning', $3, 'x')",
    [alertId, seller.tenantId, skuId],
  );
  const [approvalId, bulkId] = [randomUUID(), randomUUID()];
  await bed.superuser.query(
    `insert into approvals (id, tenant_id, effect_id, sku_id, quantity, reason, on_hand_when_asked, available_when_asked,
       requested_by, expires_at) values ($1, $2, 'x', $3, 101, 'x', 1, 1, $4, now() + interval '1 hour')`,
    [approvalId, seller.tenantId, skuId, seller.users.creator.id],
  );
  await bed.superuser.query(
    `insert into bulk_operations (id, tenant_id, kind, dry_run, requested_by, state, effect_id, content_hash, row_count)
     values ($1, $2, 'import', false, $3, 'waiting', 'x', sha256('x'), 0)`,
    [bulkId, seller.tenantId, seller.users.admin.id],
  );
  return {
    "/products/{id}": skuId,
    "/transfers/{id}": transferId,
    "/holds/{id}": holdId,
    "/drifts/{id}": driftId,
    "/alerts/{id}": alertId,
    "/approvals/{id}": approvalId,
    "/bulk/{id}": bulkId,
    "/orders/{id}": orderId,
    "/deliveries/{id}": deliveryId,
  };
}

describe("the OpenAPI document", () => {
  test("is valid OpenAPI 3.1", async () => {
    expect(document.openapi).toBe("3.1.0");
    const result = await new Validator().validate(
      JSON.parse(JSON.stringify(document)) as Record<string, unknown>,
    );
    expect(result.errors ?? []).toEqual([]);
    expect(result.valid).toBe(true);
  });

  test("holds every route of the permission table and no other", () => {
    expect(operations.map(([route]) => route).sort()).toEqual(Object.keys(allowed).sort());
  });

  test("describes every route: name, summary, description, tag, answers, problems and who may call it", () => {
    const names = operations.map(([, operation]) => operation.operationId);
    expect(new Set(names).size).toBe(operations.length);
    for (const [route, operation] of operations) {
      expect(operation.operationId, route).toBeTruthy();
      expect(operation.summary, route).toBeTruthy();
      expect(operation.description, route).toBeTruthy();
      expect(operation.tags, route).toHaveLength(1);
      expect(Object.keys(operation.responses), route).toContain("default");
      expect(
        Object.keys(operation.responses).some((status) => status.startsWith("2")),
        route,
      ).toBe(true);
      if (Array.isArray(allowed[route])) expect(operation.security, route).toEqual([{ accessToken: [] }]);
    }
  });

  test("is shown by a page that runs under a policy without inline scripts", async () => {
    const page = await bed.app.inject("/docs/");
    expect(page.statusCode).toBe(200);
    expect(page.headers["content-security-policy"]).toContain("script-src 'self';");
    expect(page.body).not.toMatch(/<script(?![^>]*\bsrc=)[^>]*>\s*\S/);
    const [, script] = /<script src="\.\/([^"]+)"/.exec(page.body) ?? [];
    expect((await bed.app.inject(`/docs/${script ?? ""}`)).statusCode).toBe(200);
  });
});

describe("who may call what", () => {
  test("whoever may not is answered 401, 403 or 404 as the contract says, and nothing is changed", async () => {
    const rows = await addRows();
    const stranger = await bed.signIn(await bed.addSeller());
    clockShift = -86_400_000;
    const expired = await bed.signIn(seller);
    clockShift = 0;
    const before = await bed.fingerprint();
    let asked = 0;
    for (const [route] of operations) {
      const rule = allowed[route];
      if (rule === "everybody") continue;
      const id = Object.entries(rows).find(([path]) => route.includes(path))?.[1];
      const isOfRow = route.includes("{id}");
      expect(id !== undefined, `${route} has a row of ours`).toBe(isOfRow);
      const callers: readonly (readonly [string, Record<string, string>, number])[] = [
        ["nobody", {}, 401],
        ["a token of nonsense", { authorization: "Bearer a.b.c" }, 401],
        ["an expired token", expired, 401],
        ...(rule === "channel" ? [["an admin", headersOf.get("admin") ?? {}, 401] as const] : []),
        ...roles
          .filter((role) => Array.isArray(rule) && !rule.includes(role))
          .map((role) => [role, headersOf.get(role) ?? {}, 403] as const),
        ...(isOfRow ? [["another seller's admin", stranger, 404] as const] : []),
      ];
      for (const [who, headers, status] of callers) {
        const response = await call(route, headers, id);
        expect(response.statusCode, `${who}: ${route}: ${response.body}`).toBe(status);
        expect(problemSchema.parse(response.json()).requestId).toBe(response.headers["x-request-id"]);
        asked += 1;
      }
      // The same request of one who may finds the row: only the caller was wrong.
      if (!isOfRow || !route.startsWith("GET")) continue;
      expect((await call(route, headersOf.get("admin"), id)).statusCode, route).toBe(200);
    }
    expect(asked).toBeGreaterThan(operations.length * 3);
    expect(await bed.fingerprint()).toEqual(before);
  });

  test.each(roles)("%s may call exactly the routes that the table allows", async (role) => {
    for (const [route] of operations) {
      const rule = allowed[route];
      if (!Array.isArray(rule)) continue;
      const response = await call(route, headersOf.get(role));
      const isRefused = response.statusCode === 401 || response.statusCode === 403;
      expect(isRefused, `${role} ${route}: ${response.statusCode} ${response.body}`).toBe(
        !rule.includes(role),
      );
      expect(response.statusCode, route).toBeLessThan(500);
      if (isRefused) expect(problemSchema.parse(response.json()).type).toContain("permission-denied");
    }
  });

  test("a refusal is on record", async () => {
    await call("POST /api/deliveries/replay", headersOf.get("creator"));
    const { rows } = await bed.superuser.query(
      "select new_values from inventory_audit_log where event_type = 'permission_refused' and user_id = $1",
      [seller.users.creator.id],
    );
    expect(rows).toContainEqual({
      new_values: { permission: "deliveries:replay", method: "POST", route: "/api/deliveries/replay" },
    });
  });

  test("what belongs to another seller is answered exactly as what does not exist", async () => {
    const other = await bed.addSeller();
    const foreign = await bed.addSku(other, { name: "canary of the other seller" });
    const routes = operations.map(([route]) => route).filter((route) => route.includes("/products/{id}"));
    expect(routes.length).toBeGreaterThanOrEqual(9);
    for (const route of routes) {
      const missing = await call(route, headersOf.get("admin"));
      const theirs = await call(route, headersOf.get("admin"), foreign);
      expect([missing.statusCode, theirs.statusCode], route).toEqual([404, 404]);
      const withoutAddress = (body: string) => ({
        ...problemSchema.parse(JSON.parse(body)),
        instance: "",
        requestId: "",
      });
      expect(withoutAddress(theirs.body)).toEqual(withoutAddress(missing.body));
      expect(theirs.body).not.toContain("canary");
    }
    const list = await call("GET /api/inventory/products", headersOf.get("admin"));
    expect(list.body).not.toContain("canary");
  });
});
