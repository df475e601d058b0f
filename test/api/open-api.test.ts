import { randomUUID } from "node:crypto";
import { Validator } from "@seriousme/openapi-schema-validator";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Role, roles } from "../../src/api/contract/permissions.ts";
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
  "POST /api/orders/{id}/cancel": { reason: "asked by phone" },
  "POST /api/deliveries/replay": { state: "parked" },
};

let bed: ApiBed;
let seller: Seller;
let document: Document;
let operations: readonly (readonly [string, Operation])[];
const headersOf = new Map<Role, { authorization: string }>();

beforeAll(async () => {
  bed = await startApiBed();
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
  const [method, path] = route.split(" ") as ["GET" | "POST", string];
  return await bed.app.inject({
    method,
    url: path.replace("{id}", id).replace("{topic}", "orders"),
    headers: { "idempotency-key": randomUUID(), ...headers },
    ...(bodies[route] === undefined ? {} : { payload: bodies[route] }),
  });
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
  test("without a token every route that is not public answers 401 with a problem", async () => {
    for (const [route] of operations) {
      const response = await call(route);
      const isOpen = allowed[route] === "everybody" && route !== "POST /api/auth/refresh";
      if (isOpen) expect(response.statusCode, route).not.toBe(403);
      else expect(response.statusCode, route).toBe(401);
    }
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
    expect(routes).toHaveLength(3);
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
