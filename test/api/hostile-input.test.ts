import { randomUUID } from "node:crypto";
import net from "node:net";
import type { AddressInfo } from "node:net";
import type { LightMyRequestResponse } from "fastify";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { problemSchema } from "../../src/api/contract/problem.ts";
import { rateLimitsDefault } from "../../src/api/dependencies.ts";
import { badRequestsOf, describeAnswer, operationsOf } from "./fuzz.ts";
import { type ApiBed, password, type Seller, signedWebhook, startApiBed } from "./api-bed.ts";

const isFull = process.env["CREATORFLOW_TEST_FULL"] === "yes";

let bed: ApiBed;
let seller: Seller;
let headers: { authorization: string };
let port: number;

beforeAll(async () => {
  bed = await startApiBed();
  seller = await bed.addSeller();
  headers = await bed.signIn(seller);
  await bed.app.listen({ host: "127.0.0.1", port: 0 });
  ({ port } = bed.app.server.address() as AddressInfo);
});

afterAll(async () => {
  await bed.close();
});

function expectProblem(response: LightMyRequestResponse, statuses: readonly number[]): void {
  expect(statuses, response.body).toContain(response.statusCode);
  expect(response.headers["content-type"]).toContain("application/problem+json");
  const problem = problemSchema.strict().parse(response.json());
  expect(problem.status).toBe(response.statusCode);
  expect(problem.requestId).toBe(response.headers["x-request-id"]);
  expect(response.body).not.toMatch(/at .*\.ts|select |insert into|node_modules|postgres/i);
}

const urls = [
  "/api/inventory/products/%00",
  "/api/inventory/products/%",
  "/api/inventory/products/%c0%af",
  "/api/inventory/products/..%2f..%2fetc%2fpasswd",
  `/api/inventory/products/${"x".repeat(300)}`,
  "/api/inventory/products?page=1e9",
  "/api/inventory/products?limit=-1",
  "/api/inventory/products?search=",
  "/api/inventory/products?search=%00",
  `/api/inventory/products?search=${"x".repeat(201)}`,
  "/api/inventory/products?search=a&search=b",
  "/api/inventory/products?__proto__=1",
  "/api/inventory/products?constructor[prototype]=1",
  `/api/inventory/products?cursor=${Buffer.from('["\\u0000","x"]').toString("base64url")}`,
  `/api/inventory/products?cursor=${Buffer.from(JSON.stringify([1, 2])).toString("base64url")}`,
  `/api/orders?cursor=${Buffer.from(JSON.stringify(["2026", randomUUID()])).toString("base64url")}`,
  "/api/orders?ordered_from=yesterday",
  "/api/orders?shop_id=1",
  "/api/orders?needs_attention=1",
  "/api/deliveries?topic=1.5",
  "/api/deliveries?topic=1e400",
  "/nowhere",
  "/api/nowhere",
];

describe("whatever is sent", () => {
  test.each(urls)("GET %s is answered with a problem below 500", async (url) => {
    expectProblem(await bed.app.inject({ url, headers }), [400, 404, 414]);
  });

  test("a cursor whose time no calendar has is answered with a problem below 500", async () => {
    const cursor = Buffer.from(JSON.stringify(["9999-99-99 99:99:99", randomUUID()])).toString("base64url");
    expectProblem(await bed.app.inject({ url: `/api/orders?cursor=${cursor}`, headers }), [400]);
    expectProblem(await bed.app.inject({ url: `/api/deliveries?cursor=${cursor}`, headers }), [400]);
  });

  const bodies: readonly (readonly [string, string | Buffer, string])[] = [
    ["no JSON", "{", "application/json"],
    ["an empty body", "", "application/json"],
    ["half of a number", "1e", "application/json"],
    ["a prototype key", '{"__proto__":{"role":"admin"},"quantity":1,"reason":"x"}', "application/json"],
    [
      "a constructor key",
      '{"constructor":{"prototype":{"x":1}},"quantity":1,"reason":"x"}',
      "application/json",
    ],
    ["an array 100,000 deep", "[".repeat(100_000) + "]".repeat(100_000), "application/json"],
    ["objects 30,000 deep", '{"a":'.repeat(30_000) + "1" + "}".repeat(30_000), "application/json"],
    ["more than 256 KB", JSON.stringify({ quantity: 1, reason: "x".repeat(262_144) }), "application/json"],
    ["another type", "quantity=1", "application/x-www-form-urlencoded"],
    ["XML", "<quantity>1</quantity>", "application/xml"],
    ["no UTF-8", Buffer.from([0x7b, 0xff, 0xfe, 0x7d]), "application/json"],
    ["a number beyond all numbers", '{"quantity":1e400,"reason":"x"}', "application/json"],
    ["an unsafe integer", '{"quantity":9007199254740993,"reason":"x"}', "application/json"],
  ];

  test.each(bodies)(
    "a body of %s is refused with a problem below 500",
    async (_what, payload, contentType) => {
      const skuId = randomUUID();
      for (const url of [
        `/api/inventory/products/${skuId}/adjust`,
        "/api/auth/login",
        "/api/deliveries/replay",
      ]) {
        const response = await bed.app.inject({
          method: "POST",
          url,
          headers: { ...headers, "idempotency-key": randomUUID(), "content-type": contentType },
          payload,
        });
        expectProblem(response, [400, 413, 415]);
      }
    },
  );

  test.each(["", " ", "x".repeat(256), "schlüssel", "a b"])("the key %j is refused", async (key) => {
    const response = await bed.app.inject({
      method: "POST",
      url: `/api/inventory/products/${randomUUID()}/adjust`,
      headers: { ...headers, "idempotency-key": key },
      payload: { quantity: 1, reason: "x" },
    });
    expectProblem(response, [400]);
  });

  test.each([
    "GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "GARBAGE\r\n\r\n",
    `GET / HTTP/1.1\r\nHost: x\r\nX-Long: ${"x".repeat(20_000)}\r\n\r\n`,
  ])("bytes that are no HTTP are refused and the server goes on: %#", async (bytes) => {
    const answer = await new Promise<string>((resolve, reject) => {
      const socket = net.connect(port, "127.0.0.1", () => socket.write(bytes));
      let text = "";
      socket.on("data", (chunk: Buffer) => (text += chunk.toString("latin1")));
      socket.on("close", () => resolve(text));
      socket.on("error", reject);
    });
    expect(answer).toMatch(/^HTTP\/1\.1 4\d\d /);
    expect((await fetch(`http://127.0.0.1:${port}/livez`)).status).toBe(200);
  });

  test("unusual but honest text comes back as it was", async () => {
    const name = "T-shirt “größe” 👕 <script>alert(1)</script> =1+1 '; drop table skus; --";
    const skuId = await bed.addSku(seller, { name });
    const response = await bed.app.inject({ url: `/api/inventory/products/${skuId}`, headers });
    expect(response.json<{ name: string }>().name).toBe(name);
    expect(response.headers["content-type"]).toContain("application/json");
    expect(response.headers["x-content-type-options"]).toBe("nosniff");
    expect(response.headers["cache-control"]).toBe("no-store");
  });
});

describe("every operation of the OpenAPI document", () => {
  const fieldNames = ["quantity", "reason", "email", "password", "id", "state", "unknown"];
  const books = async () => {
    const { rows } = await bed.superuser.query(
      `select (select count(*) from stock_operations) as operations, (select count(*) from inventory_transactions) as movements,
         (select sum(current_stock) from stock_levels) as units, (select count(*) from webhook_deliveries) as deliveries,
         (select count(*) from orders) as orders, (select count(*) from users) as users`,
    );
    return rows as readonly object[];
  };

  // Thousands in the full form, one after the other.
  test("answers a few hundred kinds of nonsense with a problem below 500, or a harmless 200, and changes nothing", {
    timeout: isFull ? 600_000 : 120_000,
  }, async () => {
    const document = (await bed.app.inject("/docs/json")).json<Parameters<typeof operationsOf>[0]>();
    const operations = operationsOf(document);
    expect(operations.length).toBeGreaterThan(12);
    const before = await books();
    let asked = 0;
    for (const operation of operations) {
      if (operation.path.includes("/webhooks/") || operation.path.includes("/auth/logout")) continue;
      for (const [index, request] of badRequestsOf(operation, fieldNames).entries()) {
        if (!isFull && index % 7 !== 0) continue;
        const response = await bed.app.inject({
          ...request,
          headers: { ...headers, ...request.headers },
        } as never);
        asked += 1;
        const said = describeAnswer(request, response);
        expect(response.statusCode, said).toBeLessThan(500);
        if (response.statusCode < 400) continue;
        expect(response.headers["content-type"], said).toContain("application/problem+json");
        expect(problemSchema.strict().safeParse(response.json()).success, said).toBe(true);
      }
    }
    expect(asked).toBeGreaterThan(isFull ? 2_000 : 200);
    expect(await books()).toEqual(before);
  });

  test("is closed to who has no token, a token of nonsense, or another seller's", async () => {
    const document = (await bed.app.inject("/docs/json")).json<Parameters<typeof operationsOf>[0]>();
    const skuId = await bed.addSku(seller);
    const stranger = await bed.signIn(await bed.addSeller());
    const publicPaths =
      /^\/(webhooks|livez|readyz|api\/auth|\.well-known|docs|api\/openapi|api\/docs|api\/health)/;
    for (const { method, path } of operationsOf(document)) {
      if (publicPaths.test(path)) continue;
      const url = path.replaceAll(/\{\w+\}/g, skuId);
      for (const authorization of ["", "Bearer", "Bearer x", "Bearer a.b.c", `Basic ${"x".repeat(9_000)}`]) {
        const answer = await bed.app.inject({ method, url, headers: { authorization } });
        expectProblem(answer, [401]);
      }
      if (!path.includes("{")) continue;
      const foreign = await bed.app.inject({
        method,
        url,
        headers: { ...stranger, "idempotency-key": randomUUID() },
        ...(method === "GET" ? {} : { payload: { quantity: 1, reason: "x" } }),
      });
      expectProblem(foreign, [400, 404]);
    }
  });
});

describe("a database that is away", () => {
  test("is answered 503 with Retry-After, for reads and for webhooks, and readiness says so", async () => {
    const own = await startApiBed();
    const ownSeller = await own.addSeller();
    const ownHeaders = await own.signIn(ownSeller);
    await own.database.drop();
    try {
      const read = await own.app.inject({ url: "/api/shops", headers: ownHeaders });
      expectProblem(read, [503]);
      expect(Number(read.headers["retry-after"])).toBeGreaterThan(0);
      const webhook = await own.app.inject(signedWebhook('{"type":1}'));
      expectProblem(webhook, [503]);
      const ready = await own.app.inject("/readyz");
      expect([ready.statusCode, ready.json<{ database: string }>().database]).toEqual([503, "unreachable"]);
      expect((await own.app.inject("/livez")).statusCode).toBe(200);
    } finally {
      await own.close();
    }
  });
});

describe("readiness and health", () => {
  test("do not need Temporal, and name migrations that are missing", async () => {
    const ready = await bed.app.inject("/readyz");
    expect([ready.statusCode, ready.json()]).toEqual([
      200,
      { status: "ready", database: "reachable", pending_migrations: [], temporal: "unreachable" },
    ]);
    const behind = await startApiBed({ findPendingMigrations: () => Promise.resolve(["0099-later"]) });
    try {
      const answer = await behind.app.inject("/readyz");
      expect([answer.statusCode, answer.json<{ pending_migrations: string[] }>().pending_migrations]).toEqual(
        [503, ["0099-later"]],
      );
    } finally {
      await behind.close();
    }
  });

  test("tell a seller how deep the queue is and since when it is late", async () => {
    const own = await bed.addSeller();
    const as = await bed.signIn(own);
    await bed.addSku(own);
    const health = async () =>
      (await bed.app.inject({ url: "/api/health/inventory", headers: as })).json<object>();
    expect(await health()).toMatchObject({
      status: "degraded",
      checks: {
        database: { status: "healthy" },
        temporal: { status: "unhealthy" },
        messageQueue: { depth: 0 },
      },
      metrics: { syncedProducts: 1 },
    });
    const body = {
      type: 1,
      tts_notification_id: randomUUID(),
      shop_id: own.channelShopId,
      data: { order_id: "1" },
    };
    await bed.app.inject(signedWebhook(JSON.stringify(body)));
    await bed.superuser.query(
      "update webhook_deliveries set next_attempt_at = now() - interval '1 hour' where tenant_id = $1",
      [own.tenantId],
    );
    expect(await health()).toMatchObject({
      status: "unhealthy",
      checks: { messageQueue: { status: "unhealthy", depth: 1 } },
    });
  });
});

describe("limits", () => {
  test("are those of the product documents unless told otherwise", () => {
    expect(rateLimitsDefault).toEqual({ globalPerMinute: 1_000, userPerMinute: 100, addressPerMinute: 500 });
  });

  test("of one user hold whatever token and address are used, and spare others", async () => {
    const own = await startApiBed({
      rateLimits: { globalPerMinute: 1e6, userPerMinute: 5, addressPerMinute: 1e6 },
    });
    try {
      const ownSeller = await own.addSeller();
      const ask = (as: { authorization: string }) => own.app.inject({ url: "/api/shops", headers: as });
      const [first, second] = [await own.signIn(ownSeller), await own.signIn(ownSeller)];
      const statuses: number[] = [];
      for (let count = 0; count < 8; count += 1) {
        statuses.push((await ask(count % 2 === 0 ? first : second)).statusCode);
      }
      expect(statuses).toEqual([200, 200, 200, 200, 200, 429, 429, 429]);
      const refused = await ask(first);
      expectProblem(refused, [429]);
      expect(Number(refused.headers["retry-after"])).toBeGreaterThan(0);
      expect((await ask(await own.signIn(ownSeller, "support"))).statusCode).toBe(200);
    } finally {
      await own.close();
    }
  });

  test("of one address count failed requests too, believe no forwarded address, and never refuse a webhook", async () => {
    const own = await startApiBed({
      rateLimits: { globalPerMinute: 1e6, userPerMinute: 1e6, addressPerMinute: 5 },
    });
    try {
      const statuses: number[] = [];
      for (let count = 0; count < 8; count += 1) {
        const response = await own.app.inject({
          url: count % 2 === 0 ? "/api/shops" : "/api/nowhere",
          headers: { "x-forwarded-for": `10.0.0.${count}` },
        });
        statuses.push(response.statusCode);
      }
      expect(statuses).toEqual([401, 404, 401, 404, 401, 429, 429, 429]);
      for (let count = 0; count < 10; count += 1) {
        expect(
          (await own.app.inject(signedWebhook(`{"type":1,"data":{"order_id":"${count}"}}`))).statusCode,
        ).toBe(200);
      }
      expect((await own.app.inject("/livez")).statusCode).toBe(200);
    } finally {
      await own.close();
    }
  });

  test("over all refuse everybody alike", async () => {
    const own = await startApiBed({
      rateLimits: { globalPerMinute: 3, userPerMinute: 1e6, addressPerMinute: 1e6 },
    });
    try {
      const ask = async (remoteAddress: string) =>
        (
          await own.app.inject({
            method: "POST",
            url: "/api/auth/login",
            payload: { email: "a@b.test", password },
            remoteAddress,
          })
        ).statusCode;
      const statuses: number[] = [];
      for (let count = 0; count < 5; count += 1) statuses.push(await ask(`10.0.0.${count}`));
      expect(statuses).toEqual([401, 401, 401, 429, 429]);
    } finally {
      await own.close();
    }
  });
});
