import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify";
import { z } from "zod";
import { isKnownEndpoint } from "../endpoints/routes.ts";
import { faultPlan } from "../fault-plan.ts";
import { issueAuthCode, issueGrant } from "../endpoints/tokens.ts";
import { openCell } from "../catalogue.ts";
import type { Move } from "../order-rules.ts";
import { cancelRoles, type Order, shippingTypes, stayDurations } from "../records.ts";
import type { Simulation } from "../simulation.ts";
import { sum } from "../stock.ts";
import { describeBurst, describeCatalogue, describeOrder, ledgerQuery, readLedger } from "./ledger.ts";

/**
 * The simulator's own controls, below /_sim: what buyers, carriers and TikTok's people would do, done now, and the
 * books for whoever checks. Unsigned JSON; a mistake is a 400 that says where.
 */

const milliseconds = z.number().int().min(0);
const skuId = z.string().min(1);

const newOrder = z.strictObject({
  lines: z
    .array(z.strictObject({ skuId, quantity: z.number().int().min(1).max(100) }))
    .min(1)
    .max(50),
  shippingType: z.enum(shippingTypes).default("TIKTOK"),
  durations: stayDurations.default({}),
  oversell: z.boolean().default(false),
  buyerCancelsIn: milliseconds.nullable().default(null),
});

const newBurst = z.strictObject({
  orders: z.number().int().min(1).max(100_000),
  skuIds: z.array(skuId).min(1),
  linesPerOrder: z.number().int().min(1).max(50).default(1),
  oversell: z.boolean().default(false),
  durations: stayDurations.default({}),
  overMs: milliseconds.default(0),
});

const newStock = z.strictObject({
  skuId,
  warehouseId: z.string().optional(),
  available: z.number().int().min(0).max(99_999),
});

/** Units that a campaign and a creator have for themselves from now on. */
const newPools = z.strictObject({
  skuId,
  campaign: z.number().int().min(0).max(99_999),
  creator: z.number().int().min(0).max(99_999),
});

const newQuota = z.strictObject({
  requestsPerSecond: z.number().positive().max(100_000),
  burst: z.number().int().min(1).max(100_000),
});

const settingsSchema = z.strictObject({
  webhookUrl: z.url({ protocol: /^https?$/ }).nullable(),
  ordersPerMinute: z.number().min(0).max(6_000),
  timeScale: z.number().min(1).max(100_000),
});

const newWarehouse = z.strictObject({ name: z.string().min(1).max(100) });
const moveBody = z.strictObject({ by: z.enum(cancelRoles).optional(), reason: z.string().min(1).optional() });
const withId = z.object({ id: z.string() });
const moveParams = withId.extend({
  move: z.enum(["pay", "release", "cancel", "request-cancel", "collect", "deliver", "complete"]),
});

/** What a control answers when it cannot do what was asked. */
class ControlError extends Error {
  readonly status: number;

  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }
}

/** @param prefix of all routes; each shop of the seller has its own. */
export function registerControls(app: FastifyInstance, simulation: Simulation, prefix: string): void {
  const { books, scenarios, faults } = simulation;
  const control = (
    method: "GET" | "POST" | "PUT",
    url: string,
    act: (request: FastifyRequest) => unknown,
  ) => {
    app.route({
      method,
      url: `${prefix}${url}`,
      handler: (request, reply) => runControl(simulation, act, request, reply),
    });
  };

  control("POST", "/_sim/orders", ({ body }) =>
    describeOrder(books, placeOrder(simulation, readBody(newOrder, body))),
  );
  control("POST", "/_sim/orders/:id/:move", ({ params, body }) => {
    const { id, move } = moveParams.parse(params);
    return describeOrder(books, moveOrder(simulation, id, move, readBody(moveBody, body)));
  });
  control("POST", "/_sim/burst", ({ body }) => {
    const request = readBody(newBurst, body);
    for (const id of request.skuIds) needSku(simulation, id);
    return { burstId: scenarios.startBurst(request).id };
  });
  control("GET", "/_sim/bursts/:id", ({ params }) => {
    const burst = books.bursts.find(withId.parse(params).id);
    if (burst === undefined) throw new ControlError(404, "there is no such burst");
    return describeBurst(books, burst);
  });
  control("POST", "/_sim/stock", ({ body }) => setStock(simulation, readBody(newStock, body)));
  control("POST", "/_sim/pools", ({ body }) => setPools(simulation, readBody(newPools, body)));
  control("POST", "/_sim/warehouses", ({ body }) => {
    const { name } = readBody(newWarehouse, body);
    const warehouse = { id: books.newId("warehouse"), name, isDefault: false };
    books.warehouses.save(warehouse);
    return warehouse;
  });
  control("PUT", "/_sim/quota", ({ body }) => {
    const { requestsPerSecond, burst } = readBody(newQuota, body);
    books.changeSettings({ requestsPerSecond, requestBurst: burst });
    return { requestsPerSecond, burst };
  });
  control("GET", "/_sim/faults", () => faults.describe());
  control("PUT", "/_sim/faults", ({ body }) => {
    const plan = readBody(faultPlan, body);
    const stray = plan.calls.find(({ endpoint }) => !isKnownEndpoint(endpoint ?? ""));
    if (stray !== undefined) throw new ControlError(400, `no endpoint's name contains ${stray.endpoint}`);
    faults.change(plan);
    return faults.describe();
  });
  control("PUT", "/_sim/settings", ({ body }) => {
    const changes = readBody(settingsSchema.partial(), body);
    books.changeSettings(withoutUndefined(changes));
    scenarios.setPace();
    const { webhookUrl, ordersPerMinute, timeScale } = books.settings;
    return { webhookUrl, ordersPerMinute, timeScale };
  });
  control("GET", "/_sim/credentials", () => credentials(simulation));
  control("POST", "/_sim/tokens/expire", () => expireTokens(simulation));
  control("GET", "/_sim/ledger", ({ query }) => readLedger(books, readBody(ledgerQuery, query)));
  control("GET", "/_sim/catalog", () => describeCatalogue(books));
  control("GET", "/_sim/health", () => ({ status: "ok", orders: books.orders.size }));
}

async function runControl(
  simulation: Simulation,
  act: (request: FastifyRequest) => unknown,
  request: FastifyRequest,
  reply: FastifyReply,
): Promise<FastifyReply> {
  try {
    const answer = await act(request);
    await simulation.books.store.flush();
    return await reply.send(answer);
  } catch (error) {
    if (error instanceof z.ZodError) {
      return reply.code(400).send({ error: "the request is invalid", details: z.prettifyError(error) });
    }
    if (error instanceof ControlError) return reply.code(error.status).send({ error: error.message });
    throw error;
  }
}

function placeOrder(simulation: Simulation, request: z.output<typeof newOrder>): Order {
  for (const line of request.lines) needSku(simulation, line.skuId);
  const order = simulation.orders.place({
    skuIds: request.lines.flatMap((line) => Array.from({ length: line.quantity }, () => line.skuId)),
    shippingType: request.shippingType,
    durations: request.durations,
    oversell: request.oversell,
    buyerCancelsInMs: request.buyerCancelsIn,
    burstId: null,
  });
  if (order === null) throw new ControlError(409, "no warehouse has all of these units available");
  return order;
}

function moveOrder(
  { books, orders }: Simulation,
  id: string,
  move: Move | "request-cancel",
  { by, reason }: z.output<typeof moveBody>,
): Order {
  const order = books.orders.find(id);
  if (order === undefined) throw new ControlError(404, "there is no such order");
  const before = order.status;
  const unpaid = before === "UNPAID" || before === "ON_HOLD";
  const moved =
    move === "request-cancel"
      ? orders.cancelling.request(order, reason ?? "buyer_changed_their_mind")
      : orders.move(
          order,
          move,
          by ?? (move === "pay" || (move === "cancel" && unpaid) ? "BUYER" : "SYSTEM"),
        );
  if (!moved) throw new ControlError(409, `an order in status ${before} allows no ${move}`);
  return order;
}

function setStock(simulation: Simulation, request: z.output<typeof newStock>) {
  const { books, stock } = simulation;
  const sku = needSku(simulation, request.skuId);
  const warehouseId = request.warehouseId ?? sku.cells[0]?.warehouseId ?? "";
  if (books.warehouses.find(warehouseId) === undefined) {
    throw new ControlError(404, "there is no such warehouse");
  }
  if (!sku.cells.some((cell) => cell.warehouseId === warehouseId)) sku.cells.push(openCell(warehouseId, 0));
  stock.set(sku, warehouseId, request.available, "manual_adjustment");
  return { skuId: sku.id, cells: sku.cells };
}

function setPools(simulation: Simulation, { skuId: id, campaign, creator }: z.output<typeof newPools>) {
  const sku = needSku(simulation, id);
  if (campaign + creator > sum(sku.cells, "available")) {
    throw new ControlError(409, "more units would be locked than are available");
  }
  simulation.stock.lock(sku, campaign, creator);
  return { skuId: sku.id, campaign, creator };
}

function credentials({ books }: Simulation) {
  const grant = [...books.grants.all()].at(-1) ?? issueGrant(books);
  const { appKey, appSecret, shopId, shopCipher, sellerOpenId, shopName, region } = books.account;
  return {
    appKey,
    appSecret,
    shopId,
    shopCipher,
    sellerOpenId,
    accessToken: grant.accessToken,
    accessTokenExpireIn: grant.accessExpireTime,
    refreshToken: grant.refreshToken,
    refreshTokenExpireIn: grant.refreshExpireTime,
    authCode: issueAuthCode(books),
    shopName,
    region,
  };
}

/** Ends all access tokens now; refresh tokens go on. */
function expireTokens({ books }: Simulation) {
  const now = Math.floor(Date.now() / 1000);
  const valid = [...books.grants.all()].filter((grant) => grant.accessExpireTime > now);
  for (const grant of valid) books.grants.save(Object.assign(grant, { accessExpireTime: now }));
  return { expired: valid.length };
}

function needSku({ books }: Simulation, id: string) {
  const sku = books.skus.find(id);
  if (sku === undefined) throw new ControlError(404, `there is no SKU ${id}`);
  return sku;
}

/** Bodies arrive as bytes, whatever their type says. */
function readBody<Schema extends z.ZodType>(schema: Schema, body: unknown): z.output<Schema> {
  if (!Buffer.isBuffer(body)) return schema.parse(body ?? {});
  try {
    return schema.parse(body.length === 0 ? {} : JSON.parse(body.toString("utf8")));
  } catch (error) {
    if (error instanceof SyntaxError) throw new ControlError(400, "the request body is not valid JSON");
    throw error;
  }
}

function withoutUndefined<Value extends object>(value: Value) {
  return Object.fromEntries(Object.entries(value).filter(([, member]) => member !== undefined)) as {
    [Name in keyof Value]?: Exclude<Value[Name], undefined>;
  };
}
