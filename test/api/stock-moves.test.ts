import { randomUUID } from "node:crypto";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { z } from "zod";
import { explanationSchema } from "../../src/api/contract/explain.ts";
import { holdAnswer } from "../../src/api/contract/holds.ts";
import { productDetail, proposalAnswer, transactionsPage } from "../../src/api/contract/inventory.ts";
import { problemSchema } from "../../src/api/contract/problem.ts";
import { transferAnswer, transfersAnswer } from "../../src/api/contract/transfers.ts";
import { queueExpiredHolds } from "../../src/db/holds.ts";
import { applyStockBatch } from "../../src/db/stock.ts";
import { withTenant } from "../../src/db/tenant.ts";
import { asId, type SkuId } from "../../src/domain/ids.ts";
import type { StockOperation } from "../../src/domain/stock/operation.ts";
import type { IntakeDependencies } from "../../src/intake/dependencies.ts";
import { uuidOf } from "../../src/api/idempotency.ts";
import { outboxClasses, workOffOutbox } from "../../src/intake/outbox.ts";
import type { RunningWorkers } from "../../src/workers.ts";
import { at, claim, reserve } from "../domain/stock/stock-builders.ts";
import { type TestTemporal, testTemporal } from "../support/temporal.ts";
import { until } from "../support/until.ts";
import { noChannel, silent, startTestWorkers } from "../support/workers.ts";
import { type ApiBed, type Seller, startApiBed } from "./api-bed.ts";

let temporal: TestTemporal;
let workers: RunningWorkers;
let bed: ApiBed;
let seller: Seller;
let headers: { authorization: string };
let north: string;

beforeAll(async () => {
  temporal = await testTemporal();
  bed = await startApiBed({ temporal: temporal.client, queuePrefix: temporal.taskQueuePrefix });
  workers = await startTestWorkers(temporal, bed.db, noChannel);
  seller = await bed.addSeller();
  headers = await bed.signIn(seller);
  const { rows } = await bed.superuser.query<{ id: string }>(
    "insert into locations (tenant_id, name) values ($1, 'North') returning id",
    [seller.tenantId],
  );
  north = rows[0]!.id;
});
afterAll(async () => {
  await workers.stop();
  await bed.close();
  await temporal.close();
});

async function get<Schema extends z.ZodType>(schema: Schema, url: string): Promise<z.output<Schema>> {
  const response = await bed.app.inject({ url, headers });
  expect(response.statusCode, response.body).toBe(200);
  return schema.parse(response.json());
}

async function send(
  url: string,
  payload: object,
  method: "POST" | "PUT" = "POST",
  key: string = randomUUID(),
  as = headers,
) {
  return await bed.app.inject({ method, url, headers: { ...as, "idempotency-key": key }, payload });
}

async function done<Schema extends z.ZodType>(
  schema: Schema,
  response: Promise<Awaited<ReturnType<typeof send>>>,
): Promise<z.output<Schema>> {
  const { statusCode, body } = await response;
  expect(statusCode, body).toBe(200);
  return schema.parse(JSON.parse(body));
}

async function refused(response: Promise<Awaited<ReturnType<typeof send>>>): Promise<string> {
  const { statusCode, body } = await response;
  expect(statusCode, body).toBe(409);
  return problemSchema.parse(JSON.parse(body)).detail;
}

const product = (skuId: SkuId, rest = "") => `/api/inventory/products/${skuId}${rest}`;
const apply = (skuId: SkuId, ...operations: StockOperation[]) =>
  applyStockBatch(bed.db, seller.tenantId, skuId, operations);
const inAnHour = () => new Date(Date.now() + 3_600_000).toISOString();

const intake = (): IntakeDependencies => ({
  db: bed.dispatcherDb,
  channel: noChannel,
  client: temporal.client,
  logger: silent,
  queuePrefix: temporal.taskQueuePrefix,
  orderSyncMilliseconds: 300_000,
  inventorySyncMilliseconds: 900_000,
  secretKey: bed.secretKey,
  timeScale: 1,
});

describe("receiving and writing off", () => {
  test("each is a movement of its kind with its reason, once however often it is sent", async () => {
    const skuId = await bed.addSku(seller, { quantity: 10 });
    const key = randomUUID();
    const receive = () =>
      send(product(skuId, "/movements"), { kind: "receive", quantity: 4, reason: "Delivered" }, "POST", key);
    expect((await receive()).json()).toMatchObject({ new_stock_level: 14, available_stock: 14 });
    expect((await receive()).json()).toMatchObject({ new_stock_level: 14 });
    await send(product(skuId, "/movements"), { kind: "damage", quantity: 1, reason: "Fell down" });
    const { history } = await get(productDetail, product(skuId));
    expect(history.map(({ kind, quantity, reason }) => [kind, quantity, reason])).toEqual([
      ["damage", 1, "Fell down"],
      ["receive", 4, "Delivered"],
      ["opening", 10, "Opening stock from the channel"],
    ]);
  });

  test("what is promised is not written off, and the answer says what to do", async () => {
    const skuId = await bed.addSku(seller, { quantity: 1 });
    await apply(skuId, reserve(`${skuId}-a`));
    expect(
      await refused(send(product(skuId, "/movements"), { kind: "lost", quantity: 1, reason: "Gone" })),
    ).toMatch(/promised to orders/);
  });

  test("more than 100 units at once wait for an admin, and are booked as what they are when he approves", async () => {
    const skuId = await bed.addSku(seller);
    const creator = await bed.signIn(seller, "creator");
    const body = { kind: "receive", quantity: 101, reason: "Delivered" };
    const asked = await send(product(skuId, "/movements"), body, "POST", randomUUID(), creator);
    expect(asked.statusCode).toBe(202);
    const { approval_id: id } = asked.json<{ approval_id: string }>();
    const approved = await send(`/api/approvals/${id}/approve`, {});
    expect(approved.json()).toMatchObject({ state: "approved", kind: "receive", quantity: 101 });
    const { transactions } = await get(transactionsPage, product(skuId, "/transactions"));
    expect(transactions[0]).toMatchObject({ kind: "receive", quantity: 101, reference_type: "receipt" });
    expect((await send(product(skuId, "/movements"), body)).statusCode).toBe(200);
    const hold = {
      quantity: 101,
      expires_at: new Date(Date.now() + 3_600_000).toISOString(),
      reason: "Show",
    };
    expect((await send(product(skuId, "/holds"), hold, "POST", randomUUID(), creator)).statusCode).toBe(403);
  });

  test("more than 100 units are received where the SKU has never lain, as fewer are", async () => {
    const skuId = await bed.addSku(seller);
    const creator = await bed.signIn(seller, "creator");
    const at = async (location: string, kind: string) =>
      await send(
        product(skuId, "/movements"),
        { kind, quantity: 101, reason: "Delivered", location_id: location },
        "POST",
        randomUUID(),
        creator,
      );
    // Nothing can be lost there, and somebody else's location is none.
    expect((await at(north, "lost")).statusCode).toBe(409);
    expect((await at(randomUUID(), "receive")).statusCode).toBe(409);
    const asked = await at(north, "receive");
    expect(asked.statusCode, asked.body).toBe(202);
    const { approval_id: id } = asked.json<{ approval_id: string }>();
    const approved = await send(`/api/approvals/${id}/approve`, {});
    expect(approved.json(), approved.body).toMatchObject({ state: "approved" });
    const { levels } = await get(productDetail, product(skuId));
    expect(levels).toContainEqual(expect.objectContaining({ location_id: north, current_stock: 101 }));
  });
});

test("a transfer is under way until it is taken in, in parts, and what is missing is said", async () => {
  const skuId = await bed.addSku(seller, { quantity: 10 });
  const { transfer_id: transferId, new_stock_level: left } = await done(
    transferAnswer,
    send(product(skuId, "/transfers"), {
      from_location_id: seller.locationId,
      to_location_id: north,
      quantity: 6,
      reason: "More is sold there",
    }),
  );
  expect(left).toBe(4);
  const take = (body: object) => send(`/api/inventory/transfers/${transferId}/take`, body);
  await done(transferAnswer, take({ received: 3, reason: "First box" }));
  const ours = async () =>
    (await get(transfersAnswer, "/api/inventory/transfers")).transfers.filter(({ id }) => id === transferId);
  expect(await ours()).toMatchObject([{ quantity: 6, received: 3, under_way: 3, to_location: "North" }]);
  expect(await refused(take({ received: 4, reason: "Too many" }))).toMatch(/not under way/);
  await done(transferAnswer, take({ received: 2, missing: 1, reason: "Second box" }));
  expect(await ours()).toEqual([]);
  const { levels } = await get(productDetail, product(skuId));
  expect(levels.map((level) => [level.location_name, level.current_stock])).toContainEqual(["North", 5]);
});

describe("a hold", () => {
  test("keeps units until a person ends it; ending it again changes nothing", async () => {
    const skuId = await bed.addSku(seller, { quantity: 3 });
    const body = { quantity: 2, expires_at: inAnHour(), reason: "Live show" };
    const { hold_id: holdId, available_stock: left } = await done(
      holdAnswer,
      send(product(skuId, "/holds"), body),
    );
    expect(left).toBe(1);
    const release = async () =>
      (await send(`/api/inventory/holds/${holdId}/release`, {})).json<{ released: boolean }>();
    expect(await release()).toMatchObject({ released: true });
    expect(await release()).toMatchObject({ released: true });
    expect((await get(productDetail, product(skuId))).available_stock).toBe(3);
  });

  test("that ends too late is bad input", async () => {
    const skuId = await bed.addSku(seller);
    const expires = new Date(Date.now() + 100 * 86_400_000).toISOString();
    const answer = await send(product(skuId, "/holds"), { quantity: 1, expires_at: expires, reason: "x" });
    expect(answer.statusCode).toBe(400);
  });

  test("whose end has passed is refused, and nothing is kept", async () => {
    const skuId = await bed.addSku(seller, { quantity: 3 });
    const body = { quantity: 1, expires_at: new Date(Date.now() - 1_000).toISOString(), reason: "x" };
    const key = randomUUID();
    const ask = () => refused(send(product(skuId, "/holds"), body, "POST", key));
    expect([await ask(), await ask()]).toEqual(Array(2).fill(expect.stringMatching(/choose a later end/)));
    expect((await get(productDetail, product(skuId))).available_stock).toBe(3);
  });

  test("that was made is told to who asks again with its key, also after its end", async () => {
    const skuId = await bed.addSku(seller, { quantity: 3 });
    const expires = new Date(Date.now() + 500).toISOString();
    const body = { quantity: 1, expires_at: expires, reason: "Live show" };
    const key = randomUUID();
    // Made by a process that died before it could say so.
    const holdId = uuidOf(`${seller.tenantId}:${key}`);
    await apply(skuId, {
      kind: "hold",
      holdId,
      quantity: 1,
      expiresAt: expires,
      reason: "Live show",
      actorId: null,
      locationId: null,
    });
    await until("its end has passed", () => Date.now() > Date.parse(expires));
    const told = await done(holdAnswer, send(product(skuId, "/holds"), body, "POST", key));
    expect(told.hold_id).toBe(holdId);
    expect((await get(productDetail, product(skuId))).available_stock).toBe(3);
  });

  test("ends by its workflow when its time is over, also when the workflow was lost", async () => {
    const skuId = await bed.addSku(seller, { quantity: 5 });
    const hold = (holdId: string, seconds: number): StockOperation => ({
      kind: "hold",
      holdId,
      quantity: 1,
      expiresAt: new Date(Date.now() + seconds * 1_000).toISOString(),
      reason: "Live show",
      actorId: null,
      locationId: null,
    });
    await apply(skuId, hold(randomUUID(), 1));
    await workOffOutbox(intake(), outboxClasses.workflows);
    const available = async () => (await get(productDetail, product(skuId))).available_stock;
    await until("the hold has ended", async () => (await available()) === 5);

    const lost = randomUUID();
    await apply(skuId, hold(lost, -120));
    await bed.superuser.query("update outbox set done_at = now() where kind = 'begin_hold' and key = $1", [
      lost,
    ]);
    expect(await withTenant(bed.db, seller.tenantId, queueExpiredHolds)).toBe(1);
    expect(await withTenant(bed.db, seller.tenantId, queueExpiredHolds)).toBe(0);
    await workOffOutbox(intake(), outboxClasses.workflows);
    await until("the lost hold has ended", async () => (await available()) === 5);
  });
});

test("backorders are promised down to the floor, and no further", async () => {
  const skuId = await bed.addSku(seller, { quantity: 0 });
  await send(product(skuId, "/backorder"), { floor: -1, reason: "More are coming" }, "PUT");
  const { answers } = await apply(
    skuId,
    reserve(`${skuId}-a`, { paid: 1 }),
    reserve(`${skuId}-b`, { paid: 2 }),
  );
  expect(answers.map(({ outcome }) => outcome)).toEqual(["reserved", "short"]);
  expect(
    await refused(send(product(skuId, "/backorder"), { floor: 0, reason: "None are coming" }, "PUT")),
  ).toMatch(/promised/);
});

describe("explaining", () => {
  test("every number is the sum of terms that are named, and the listing says why it shows what it shows", async () => {
    const skuId = await bed.addSku(seller, { quantity: 10 });
    await apply(skuId, reserve(`${skuId}-a`, { paid: 1 }), reserve(`${skuId}-b`, { quantity: 30 }));
    await apply(skuId, { kind: "ship", claim: claim(`${skuId}-a`), quantity: 1, outside: false });
    await apply(skuId, reserve(`${skuId}-c`, { ordered: 0, paid: 0 }));
    const told = await get(explanationSchema, product(skuId, "/explain"));
    expect(told).toMatchObject({ current_stock: 9, reserved_stock: 1, available_stock: 8, adds_up: true });
    expect(told.levels[0]?.by_kind).toEqual([
      { kind: "opening", movements: 1, on_hand_effect: 10, reserved_effect: 0 },
      { kind: "reserve", movements: 2, on_hand_effect: 0, reserved_effect: 2 },
      { kind: "ship", movements: 1, on_hand_effect: -1, reserved_effect: -1 },
    ]);
    expect(told.holders).toMatchObject({
      units: 1,
      claims: 1,
      named: [{ reservation_id: `shop/${skuId}-c/1/1` }],
    });
    expect(told.waiting).toMatchObject({ units: 30, claims: 1 });
    expect(told.listings).toMatchObject([{ shows: null, agrees: false }]);
    expect(told.listings[0]?.why).toMatch(/none of ours|not read yet/);
  });

  test("a number that was changed by hand in the database does not add up, and it says so", async () => {
    const skuId = await bed.addSku(seller, { quantity: 10 });
    await bed.superuser.query(
      "update stock_levels set current_stock = 11, version = version + 1, last_sequence = last_sequence + 1 where sku_id = $1",
      [skuId],
    );
    const told = await get(explanationSchema, product(skuId, "/explain"));
    expect(told).toMatchObject({ adds_up: false, levels: [{ current_stock: 11, sum: { on_hand: 10 } }] });
  });

  test("a long history is brought forward and not read, and still adds up", async () => {
    const skuId = await bed.addSku(seller, { quantity: 10 });
    for (let batch = 0; batch < 3; batch += 1) {
      const names = Array.from({ length: 450 }, (_, index) => `${skuId}-${batch}-${index}`);
      await apply(skuId, {
        kind: "receive",
        changeId: `${skuId}-${batch}`,
        quantity: 450,
        reason: "x",
        actorId: null,
        locationId: null,
      });
      await apply(skuId, ...names.map((name) => reserve(name)));
      await apply(
        skuId,
        ...names.map((name): StockOperation => ({ kind: "release", claim: claim(name), reason: "x" })),
      );
    }
    const told = await get(explanationSchema, product(skuId, "/explain"));
    expect(told).toMatchObject({ adds_up: true, current_stock: 1_360, reserved_stock: 0 });
    expect(told.levels[0]?.by_kind.reduce((sum, { movements }) => sum + movements, 0)).toBe(2_000);
    expect(told.levels[0]?.brought_forward.on_hand).toBeGreaterThan(10);
  });

  test("the stock of a moment in the past is what it was then, at every location", async () => {
    const skuId = await bed.addSku(seller, { quantity: 10 });
    const before = new Date().toISOString();
    await send(product(skuId, "/movements"), { kind: "damage", quantity: 3, reason: "Fell down" });
    const now = await get(transactionsPage, product(skuId, "/transactions"));
    expect(now.levels_as_of).toBeNull();
    const then = await get(transactionsPage, product(skuId, `/transactions?as_of=${before}`));
    expect(then.levels_as_of).toMatchObject([{ current_stock: 10, reserved_stock: 0, available_stock: 10 }]);
    expect(then.transactions.map(({ kind }) => kind)).toEqual(["opening"]);
    const longAgo = await get(transactionsPage, product(skuId, "/transactions?as_of=2020-01-01T00:00:00Z"));
    expect(longAgo.levels_as_of).toMatchObject([{ current_stock: 0, sequence: null }]);
  });
});

test("a count that finds too few names the orders whose turn is last, and nothing changes until somebody confirms", async () => {
  const skuId = await bed.addSku(seller, { quantity: 2 });
  for (const [number, paid] of [
    ["71", 1],
    ["72", 2],
  ] as const) {
    const { rows } = await bed.superuser.query<{ id: string; order_ref: string }>(
      `insert into orders (tenant_id, shop_id, channel_order_id, status, channel_status, next_step, snapshot_version, shipping,
         currency, total_minor, ordered_at, paid_at)
       values ($1, $2, $3, 'processing', 'awaiting_shipment', 'Ships.', 1, 'channel', 'GBP', 100, $4, $5) returning id, order_ref`,
      [seller.tenantId, seller.shopId, number, at(0), at(paid)],
    );
    const [order] = rows;
    await bed.superuser.query(
      `insert into order_lines (tenant_id, order_id, line_id, sku_id, channel_sku_id, product_name, sale_price_minor, stage, ordered, reserved)
       values ($1, $2, '1', $3, 'x', 'Mug', 100, 'held', 1, 1)`,
      [seller.tenantId, order!.id, skuId],
    );
    const rank = { paidAt: at(paid), orderedAt: at(0) };
    const asked = { orderRef: order!.order_ref, lineId: "1", generation: 1 };
    await apply(skuId, { kind: "reserve", claim: asked, quantity: 1, rank, locationId: null });
  }
  const propose = (onHand: number) =>
    get(proposalAnswer, product(skuId, `/count-proposal?on_hand=${onHand}`));
  expect(await propose(2)).toMatchObject({ missing_units: 0, leave_short: [] });
  const proposal = await propose(1);
  expect(proposal).toMatchObject({ missing_units: 1, covered: true, leave_short: [{ order_number: "72" }] });
  expect((await get(productDetail, product(skuId))).reserved_stock).toBe(2);
  expect(asId(proposal.location_id)).toBe(seller.locationId);

  const count = (leaveShort: readonly string[]) =>
    bed.app.inject({
      method: "PUT",
      url: product(skuId, `/levels/${proposal.location_id}`),
      headers: { ...headers, "idempotency-key": randomUUID(), "if-match": `"${proposal.version}"` },
      payload: { on_hand: 1, reason: "Counted", leave_short: leaveShort },
    });
  expect((await count([])).statusCode).toBe(409);
  const confirmed = await count(proposal.leave_short.map((each) => each.reservation_id));
  expect(confirmed.json()).toMatchObject({ new_stock_level: 1, available_stock: 0 });
  const { waiting } = await get(explanationSchema, product(skuId, "/explain"));
  expect(waiting).toMatchObject({ units: 1, named: [{ order_number: "72" }] });
});
