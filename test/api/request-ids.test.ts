import { randomUUID } from "node:crypto";
import { Writable } from "node:stream";
import type { Client } from "@temporalio/client";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { StockOperation } from "../../src/domain/stock/operation.ts";
import { createLogger } from "../../src/logger.ts";
import { type ApiBed, type Seller, signedWebhook, startApiBed } from "./api-bed.ts";

interface Line {
  readonly reqId?: string;
  readonly msg: string;
  readonly status?: number;
  readonly effectId?: string;
}

const lines: Line[] = [];
const operations: StockOperation[] = [];
let bed: ApiBed;
let seller: Seller;
let headers: { authorization: string };

beforeAll(async () => {
  const destination = new Writable({
    write(chunk: Buffer, _encoding, written) {
      for (const line of chunk.toString().trim().split("\n")) lines.push(JSON.parse(line) as Line);
      written();
    },
  });
  bed = await startApiBed({
    logger: createLogger({ level: "debug", service: "api" }, destination),
    temporal: entityThatAdjusts,
  });
  seller = await bed.addSeller();
  headers = await bed.signIn(seller);
});
afterAll(() => bed.close());

/** Its answers are of no matter here: what it is asked is. */
const entityThatAdjusts = {
  withDeadline: (_deadline: number, work: () => Promise<unknown>) => work(),
  workflow: {
    executeUpdateWithStart: (_update: unknown, { args }: { args: [StockOperation[]] }) => {
      operations.push(...args[0]);
      return Promise.resolve([{ outcome: "adjusted", onHand: 11, available: 11 }]);
    },
  },
} as unknown as Client;

const linesOf = (id: unknown) => lines.filter((line) => line.reqId === id);

test.each([
  ["a page", 200, () => ({ url: "/api/orders", headers })],
  ["a webhook", 200, () => signedWebhook("{}")],
  ["a forged webhook", 401, () => signedWebhook("{}", "wrong")],
  ["no token", 401, () => ({ url: "/api/orders" })],
  ["bad input", 400, () => ({ url: "/api/orders?limit=0", headers })],
  ["no route", 404, () => ({ url: "/nowhere" })],
  ["no address", 400, () => ({ url: "/api/orders/%" })],
  [
    "no JSON",
    400,
    () => ({
      method: "POST" as const,
      url: "/api/auth/login",
      headers: { "content-type": "application/json" },
      payload: "{",
    }),
  ],
  ["liveness", 200, () => ({ url: "/livez" })],
  ["the documentation", 200, () => ({ url: "/docs/json" })],
])(
  "the answer to %s (%i) names its request, and the log tells of it under that name",
  async (_what, status, request) => {
    const answer = await bed.app.inject(request());
    expect(answer.statusCode, answer.body).toBe(status);
    const id = answer.headers["x-request-id"];
    expect(id).toMatch(/^[0-9a-f-]{36}$/);
    expect(linesOf(id).map((line) => line.status)).toContain(status);
  },
);

test("two requests never share a name, whatever name the caller sends", async () => {
  const mine = { "x-request-id": "mine" };
  const answers = await Promise.all([1, 2].map(() => bed.app.inject({ url: "/livez", headers: mine })));
  const ids = answers.map((answer) => answer.headers["x-request-id"]);
  expect(new Set([...ids, "mine"]).size).toBe(3);
});

test("a change is followed from its request's name to the operation in the ledger", async () => {
  const answer = await bed.app.inject({
    method: "POST",
    url: `/api/inventory/products/${await bed.addSku(seller)}/adjust`,
    headers: { ...headers, "idempotency-key": randomUUID() },
    payload: { quantity: 1, reason: "counted" },
  });
  expect(answer.statusCode, answer.body).toBe(200);
  const effects = linesOf(answer.headers["x-request-id"]).flatMap((line) => line.effectId ?? []);
  expect(effects).toEqual([expect.stringContaining(seller.tenantId)]);
  expect(operations).toMatchObject([{ kind: "adjust", adjustmentId: effects[0] }]);
});
