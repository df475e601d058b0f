import { afterAll, beforeAll, expect, test } from "vitest";
import { createStockActivities } from "../../src/activities/stock.ts";
import type { Database } from "../../src/db/connection.ts";
import type { SkuId } from "../../src/domain/ids.ts";
import type { StockOperation } from "../../src/domain/stock/operation.ts";
import { prove } from "../../src/proof/proof.ts";
import type { RunningWorkers } from "../../src/workers.ts";
import { claim } from "../domain/stock/stock-builders.ts";
import { randomFrom } from "../support/random.ts";
import { type SeededShop, seedShop, seedSku, stockOf } from "../support/seed.ts";
import { type TestTemporal, testTemporal } from "../support/temporal.ts";
import { until } from "../support/until.ts";
import { type UsedTestDatabase, useTestDatabase } from "../support/use-test-database.ts";
import { noChannel, silent, startTestWorkers } from "../support/workers.ts";

const isFull = process.env["CREATORFLOW_TEST_FULL"] === "yes";
const size = isFull ? { orders: 10_000, units: 500 } : { orders: 1_000, units: 50 };
const seed = Number(process.env["CREATORFLOW_CHAOS_SEED"] ?? Date.now() % 1_000_000);

let database: UsedTestDatabase;
let db: Database;
let shop: SeededShop;
let temporal: TestTemporal;
let workers: RunningWorkers;
let stock: ReturnType<typeof createStockActivities>;

useTestDatabase(async (used) => {
  database = used;
  db = database.open();
  shop = await seedShop(db);
});
beforeAll(async () => {
  temporal = await testTemporal();
  workers = await startTestWorkers(temporal, db, noChannel);
  const queuePrefix = temporal.taskQueuePrefix;
  stock = createStockActivities({ db, client: temporal.client, logger: silent, queuePrefix });
});
afterAll(async () => {
  await workers.stop();
  await temporal.close();
});

interface RankedOrder {
  readonly name: string;
  readonly paidAt: string | null;
  readonly orderedAt: string;
}

/** Orders in the fair order: paid ones by payment, pairs of them at the same moment, then unpaid ones by time of order. */
function ordersInTurn(count: number): readonly RankedOrder[] {
  const moment = (minute: number): string => new Date(Date.UTC(2026, 0, 1, 0, minute)).toISOString();
  const paid = Math.ceil(count * 0.7);
  return Array.from({ length: count }, (_, turn) => ({
    name: String(turn).padStart(6, "0"),
    paidAt: turn < paid ? moment(Math.floor(turn / 2)) : null,
    // Whoever paid later has ordered earlier: the payment is what counts.
    orderedAt: turn < paid ? moment(-Math.floor(turn / 2)) : moment(-count + turn),
  }));
}

function shuffled<Value>(values: readonly Value[]): Value[] {
  const random = randomFrom(seed);
  const left = [...values];
  for (let last = left.length - 1; last > 0; last -= 1) {
    const other = random.whole(0, last);
    [left[last], left[other]] = [left[other]!, left[last]!];
  }
  return left;
}

const ask = async (skuId: SkuId, operation: StockOperation) =>
  await stock.requestStock({ tenantId: shop.tenantId, operations: [{ skuId, operation }] });

/** The orders that wait for the SKU's units, the next one first. */
async function namesWaiting(skuId: SkuId): Promise<readonly string[]> {
  const rows = await database.asSuperuser<{ order_ref: string }>(
    `select order_ref from shortages where sku_id = $1 and state = 'waiting'
     order by paid_at nulls last, ordered_at, reservation_id`,
    [skuId],
  );
  return rows.map((row) => row.order_ref.replace("shop/", ""));
}

test(`of ${size.orders} orders in flight at once for ${size.units} units each unit goes to one, and the others are served in their turn`, async () => {
  process.stdout.write(`fair queue: CREATORFLOW_CHAOS_SEED=${seed}\n`);
  const skuId = await seedSku(db, shop, size.units);
  const orders = ordersInTurn(size.orders);
  const answered = await Promise.all(
    shuffled(orders).map(async ({ name, paidAt, orderedAt }) => {
      const rank = { paidAt, orderedAt };
      const operation = { kind: "reserve", claim: claim(name), quantity: 1, rank, locationId: null } as const;
      const [answer] = await ask(skuId, operation);
      return { name, outcome: answer?.outcome };
    }),
  );
  const held = new Set(answered.filter(({ outcome }) => outcome === "reserved").map(({ name }) => name));
  expect(held.size).toBe(size.units);
  expect(answered.filter(({ outcome }) => outcome === "short")).toHaveLength(size.orders - size.units);
  expect(await stockOf(db, shop.tenantId, skuId)).toEqual({ onHand: size.units, reserved: size.units });

  // Who came with an earlier batch may have been served before a better turn was known; among those who wait there is one order.
  let waiting = orders.map(({ name }) => name).filter((name) => !held.has(name));
  expect(await namesWaiting(skuId)).toEqual(waiting);

  const servesTheNext = async (units: number, operations: readonly StockOperation[]): Promise<void> => {
    await Promise.all(operations.map((operation) => ask(skuId, operation)));
    waiting = waiting.slice(units);
    await until("the freed units are promised", async () => {
      const [row] = await database.asSuperuser<{ free: number }>(
        "select available_stock as free from stock_levels where sku_id = $1",
        [skuId],
      );
      return row?.free === 0;
    });
    expect(await namesWaiting(skuId)).toEqual(waiting);
  };
  const receive = (units: number): StockOperation => ({
    kind: "receive",
    changeId: `delivery of ${units}`,
    quantity: units,
    reason: "delivery",
    actorId: null,
    locationId: null,
  });
  const released = [...held].slice(0, size.units / 10);
  await servesTheNext(
    released.length,
    released.map((name) => ({ kind: "release", claim: claim(name), reason: "cancelled" })),
  );
  await servesTheNext(1, [receive(1)]);
  await servesTheNext(size.units - 1, [receive(size.units - 1)]);
  // More than one look at the head of the queue takes in, in the full form.
  await servesTheNext(size.units * 3, [receive(size.units * 3)]);

  const received = size.units * 4;
  expect(await stockOf(db, shop.tenantId, skuId)).toEqual({
    onHand: size.units + received,
    reserved: size.units + received,
  });
  const proof = await prove({ db: database.open("cf_report"), simulatorUrl: null, settleSeconds: 0 });
  expect(proof.checks.flatMap((check) => check.violations)).toEqual([]);
});
