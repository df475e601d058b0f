import { expect, test } from "vitest";
import type { Database } from "../../../src/db/connection.ts";
import { applyStockBatch } from "../../../src/db/stock.ts";
import { type SeededShop, seedShop, seedSku, stockOf } from "../../support/seed.ts";
import { useTestDatabase } from "../../support/use-test-database.ts";
import { type ModelRequest, StockModel } from "./model.ts";
import { operationOf, randomNumbers, randomRequest, worded } from "./model-steps.ts";
import { adjust, claim, level, reserve, StockInMemory } from "./stock-builders.ts";

const isFull = process.env["CREATORFLOW_TEST_FULL"] === "yes";
const seed = Number(process.env["CREATORFLOW_TEST_SEED"] ?? Date.now() % 2 ** 31);

let db: Database;
let shop: SeededShop;

useTestDatabase(async (database) => {
  db = database.open();
  shop = await seedShop(db);
});

/** @param holds without them nothing looks at the whole queue at once. */
function randomBatch(
  random: (below: number) => number,
  orders: number,
  earlier: readonly ModelRequest[],
  holds = true,
) {
  return Array.from({ length: 1 + random(25) }, (): ModelRequest => {
    const again = earlier[random(earlier.length)];
    if (again !== undefined && random(6) === 0) return again;
    let request = randomRequest(random, orders);
    while (request.kind === "hold" && !holds) request = randomRequest(random, orders);
    return request;
  });
}

test(`batch for batch the stock answers and counts like the plain model (CREATORFLOW_TEST_SEED=${seed})`, () => {
  const random = randomNumbers(seed);
  const operationsMinimum = isFull ? 1_000_000 : 100_000;
  const met = new Set<string>();
  for (let done = 0, sku = 0; done < operationsMinimum; sku += 1) {
    const onHand = random(12);
    const floor = random(4) === 0 ? -random(5) : 0;
    const model = new StockModel(onHand, floor);
    // A short look at the queue makes the entity go round again, as it does with long queues.
    const stock = new StockInMemory(
      [{ ...level(onHand), backorderFloor: floor }],
      random(3) === 0 ? 2 : 1_000,
    );
    const earlier: ModelRequest[] = [];
    for (let batch = 0; batch < 40; batch += 1) {
      const requests = randomBatch(random, 15, earlier, stock.queueLimit === 1_000);
      earlier.push(...requests);
      const where = `SKU ${sku}, batch ${batch}`;
      const result = stock.do(...requests.map((request) => operationOf(request)));
      for (let more = result.queueRemains; more; more = stock.do().queueRemains);
      const answers = model.batch(requests);
      if (stock.queueLimit === 1_000) expect(result.answers.map(worded), where).toEqual(answers);
      expect({ onHand: stock.levels[0]?.onHand, reserved: stock.levels[0]?.reserved }, where).toEqual({
        onHand: model.onHand,
        reserved: model.reserved,
      });
      expect(claimsOf(stock), where).toEqual(modelClaims(model));
      for (const answer of answers) met.add(answer.replace(/ -?\d+ -?\d+$/, ""));
      done += requests.length;
    }
  }
  // The run was worth something: every answer there is was given.
  expect([...met].sort()).toEqual(everyAnswer);
});

test(`through the database too, with operations among them that it refuses (CREATORFLOW_TEST_SEED=${seed})`, async () => {
  const random = randomNumbers(seed + 1);
  const operationsMinimum = isFull ? 20_000 : 600;
  let poisoned = 0;
  for (let done = 0, sku = 0; done < operationsMinimum; sku += 1) {
    const onHand = 1 + random(10);
    const skuId = await seedSku(db, shop, onHand);
    const model = new StockModel(onHand, 0);
    const earlier: ModelRequest[] = [];
    for (let batch = 0; batch < 12; batch += 1) {
      const requests = randomBatch(random, 12, earlier);
      earlier.push(...requests);
      const where = `SKU ${sku}, batch ${batch}`;
      // A poisoned batch is cut into parts, so what is done together differs: the poison travels alone here.
      if (random(5) === 0) {
        const poison = {
          ...adjust(`${skuId}-poison-${batch}`, 1),
          actorId: "not-a-uuid",
        };
        const request = requests[0]!;
        const outcome = await applyStockBatch(db, shop.tenantId, skuId, [
          poison as never,
          operationOf(request, `${skuId}-`),
        ]);
        expect(outcome.answers.map(worded), where).toEqual(["refused poisoned", ...model.batch([request])]);
        poisoned += outcome.poisoned.length;
      }
      const outcome = await applyStockBatch(
        db,
        shop.tenantId,
        skuId,
        requests.map((request) => operationOf(request, `${skuId}-`)),
      );
      expect(outcome.answers.map(worded), where).toEqual(model.batch(requests));
      expect(await stockOf(db, shop.tenantId, skuId), where).toEqual({
        onHand: model.onHand,
        reserved: model.reserved,
      });
      done += requests.length;
    }
  }
  expect(poisoned).toBeGreaterThan(0);
});

function claimsOf(stock: StockInMemory): readonly string[] {
  return [...stock.claims]
    .map(
      ([id, { state }]) =>
        `${id.replace(/^shop\/(.+)\/\d\/(\d)$/, "$1#$2").replace(/^hold\/(.+)\/1\/1$/, "hold $1")} ${state}`,
    )
    .sort();
}

function modelClaims(model: StockModel): readonly string[] {
  return model.claims.map(({ name, state }) => `${name} ${state}`).sort();
}

const everyAnswer = [
  "adjusted",
  "closed",
  "ranked",
  "refused already_shipped",
  "refused below_reserved",
  "refused below_zero",
  "refused claim_closed",
  "refused not_enough",
  "refused not_shipped",
  "refused nothing_held",
  "refused operation_id_reused",
  "refused others_wait",
  "refused unknown_location",
  "released",
  "reserved",
  "reversed",
  "shipped",
  "short",
  "withdrawn",
];

test("when all at the head of a long queue give up, those behind them are looked at for the free units", () => {
  const stock = new StockInMemory([level(1)], 2);
  stock.do(...["a", "b"].map((order) => reserve(order, { quantity: 2, paid: 1 })), reserve("c", { paid: 2 }));
  const left = stock.do(
    ...["a", "b"].map((order) => ({ kind: "release", claim: claim(order), reason: "gave up" }) as const),
  );
  expect(left.queueRemains).toBe(true);
  expect(stock.do().served.map((served) => served.claim.orderRef)).toEqual(["shop/c"]);
});

test("a backorder that ships before anybody counted its units in is booked with its correction", () => {
  const stock = new StockInMemory([{ ...level(0), backorderFloor: -2 }]);
  stock.do(reserve("backorder", { quantity: 2 }));
  const ship = { kind: "ship", claim: claim("backorder"), quantity: 2, outside: false } as const;
  expect(stock.do(ship).movements.map(({ kind, quantity }) => [kind, quantity])).toEqual([
    ["channel_correction", 2],
    ["ship", 2],
  ]);
  expect(stock.levels).toMatchObject([{ onHand: 0, reserved: 0 }]);
});
