import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createStockActivities } from "../../src/activities/stock.ts";
import { asId, type ChannelOrderId, type SkuId } from "../../src/domain/ids.ts";
import type { StockOperation } from "../../src/domain/stock/operation.ts";
import { prove } from "../../src/proof/proof.ts";
import type { RunningWorkers } from "../../src/workers.ts";
import { skuWorkflowId, taskQueues } from "../../src/workflows/addressing.ts";
import type { SkuInput } from "../../src/workflows/messages.ts";
import { reserve } from "../domain/stock/stock-builders.ts";
import { fetchAndTake } from "../support/dispatch.ts";
import { type DemoShop, orderOf, startDemoShop, stockOfChannelSku } from "../support/demo-shop.ts";
import { openTestDatabase, seedSku, stockOf } from "../support/seed.ts";
import { until } from "../support/until.ts";
import { silent, startTestWorkers } from "../support/workers.ts";

/** Many at once for few units, with real orders, real entities and a real channel's wire between them. */
const isFull = process.env["CREATORFLOW_TEST_FULL"] === "yes";

let demo: DemoShop;
let workers: RunningWorkers;
let stock: ReturnType<typeof createStockActivities>;

beforeAll(async () => {
  demo = await startDemoShop();
  workers = await startTestWorkers(demo.temporal, demo.db, demo.channel);
  stock = createStockActivities({
    db: demo.db,
    client: demo.temporal.client,
    logger: silent,
    queuePrefix: demo.temporal.taskQueuePrefix,
  });
});
afterAll(async () => {
  await workers.stop();
  await demo.close();
});

/** Leaves a SKU with so many units. */
async function leave(channelSkuId: string, units: number): Promise<SkuId> {
  const { skuId, onHand } = await stockOfChannelSku(demo.db, demo.shop.tenantId, channelSkuId);
  const operation: StockOperation = {
    kind: "adjust",
    adjustmentId: crypto.randomUUID(),
    quantity: units - onHand,
    reason: "counted",
    actorId: null,
    locationId: null,
  };
  const [answer] = await stock.requestStock({
    tenantId: demo.shop.tenantId,
    operations: [{ skuId: asId<"Sku">(skuId), operation }],
  });
  expect(answer).toMatchObject({ outcome: "adjusted", onHand: units });
  return asId<"Sku">(skuId);
}

/** Places the orders, then tells of all of them at once. */
async function rush(orders: readonly (readonly string[])[]): Promise<readonly ChannelOrderId[]> {
  const orderIds: ChannelOrderId[] = [];
  for (const skuIds of orders) {
    const lines = skuIds.map((skuId) => ({ skuId, quantity: 1 }));
    orderIds.push(await demo.placeOrder(lines, { oversell: true }));
  }
  const groups = Array.from({ length: Math.ceil(orderIds.length / 50) }, (_, index) =>
    orderIds.slice(index * 50, index * 50 + 50),
  );
  await Promise.all(groups.map((group) => fetchAndTake(demo.intake, demo.shop, group)));
  return orderIds;
}

/** The stages of the orders' lines, once none of them is open any more. */
async function settled(orderIds: readonly ChannelOrderId[]): Promise<readonly (readonly string[])[]> {
  return await until(
    "every line reserved or short",
    async () => {
      const rows = await demo.database.asSuperuser<{ id: string; stages: string[] }>(
        `select channel_order_id as id, array_agg(stage order by line_id) as stages
         from orders join order_lines on order_id = orders.id where channel_order_id = any ($1) group by 1`,
        [orderIds],
      );
      const open = rows.some(({ stages }) => stages.some((stage) => stage !== "held" && stage !== "short"));
      return rows.length === orderIds.length && !open ? rows.map(({ stages }) => stages) : null;
    },
    { seconds: 110 },
  );
}

const count = (stages: readonly (readonly string[])[], stage: string) =>
  stages.flat().filter((each) => each === stage).length;

describe("many orders at once", () => {
  test("for one unit: one has it, and all others are short", async () => {
    const sku = demo.skus[0]!;
    const skuId = await leave(sku.id, 1);
    const orders = isFull ? 500 : 60;
    const stages = await settled(await rush(Array.from({ length: orders }, () => [sku.id])));
    expect([count(stages, "held"), count(stages, "short")]).toEqual([1, orders - 1]);
    expect(await stockOf(demo.db, demo.shop.tenantId, skuId)).toEqual({ onHand: 1, reserved: 1 });
  });

  test("of two lines of one SKU each, for three units: no order counts a unit for both of its lines", async () => {
    const sku = demo.skus[1]!;
    const skuId = await leave(sku.id, 3);
    const orders = isFull ? 100 : 15;
    const stages = await settled(await rush(Array.from({ length: orders }, () => [sku.id, sku.id])));
    expect([count(stages, "held"), count(stages, "short")]).toEqual([3, orders * 2 - 3]);
    expect(await stockOf(demo.db, demo.shop.tenantId, skuId)).toEqual({ onHand: 3, reserved: 3 });
  });

  test("one order of two lines for one unit never has both accepted", async () => {
    const sku = demo.skus[2]!;
    await leave(sku.id, 1);
    const [orderId] = await rush([[sku.id, sku.id]]);
    expect([...(await settled([orderId!]))[0]!].sort()).toEqual(["held", "short"]);
    expect(await orderOf(demo.db, demo.shop, orderId!)).toMatchObject({ hold: "shortage" });
  });

  test("over the same SKUs in opposite order all get an answer, and every unit goes to one of them", async () => {
    const [one, two, three] = [demo.skus[3]!.id, demo.skus[4]!.id, demo.skus[5]!.id];
    const units = isFull ? 100 : 15;
    for (const sku of [one, two, three]) await leave(sku, units);
    const stages = await settled(
      await rush(
        Array.from({ length: units * 2 }, (_, index) =>
          index % 2 === 0 ? [one, two, three] : [three, two, one],
        ),
      ),
    );
    expect([count(stages, "held"), count(stages, "short")]).toEqual([units * 3, units * 3]);
  });
});

test("continuing as new every 50 events under constant load loses nothing and doubles nothing", async () => {
  const units = isFull ? 2_000 : 200;
  const shop = { ...demo.shop, locationId: await locationOf() };
  const skuId = await seedSku(demo.db, shop, units);
  const input: SkuInput = {
    tenantId: demo.shop.tenantId,
    skuId,
    queuePrefix: demo.temporal.taskQueuePrefix,
    historyLengthMaximum: 50,
  };
  await demo.temporal.client.workflow.start("skuInventory", {
    workflowId: skuWorkflowId(skuId),
    taskQueue: taskQueues(demo.temporal.taskQueuePrefix).inventory,
    args: [input],
  });
  // Every request is sent twice, as after a lost answer; senders go on as soon as they have been answered.
  const senders = 10;
  const outcomes = await Promise.all(
    Array.from({ length: senders }, async (_, sender) => {
      const seen: string[] = [];
      for (let index = 0; index < (units / senders) * 1.2; index += 1) {
        const request = {
          tenantId: demo.shop.tenantId,
          operations: [{ skuId, operation: reserve(`load-${sender}-${index}`) }],
        };
        const [[first], [again]] = await Promise.all([
          stock.requestStock(request),
          stock.requestStock(request),
        ]);
        expect(again).toEqual(first);
        seen.push(first?.outcome ?? "none");
      }
      return seen;
    }),
  );
  expect(outcomes.flat().filter((outcome) => outcome === "reserved")).toHaveLength(units);
  expect(outcomes.flat().filter((outcome) => outcome === "short")).toHaveLength(units * 0.2);
  expect(await stockOf(demo.db, demo.shop.tenantId, skuId)).toEqual({ onHand: units, reserved: units });
  const runs = await until("several runs are listed", async () => {
    const listed = [];
    const query = `WorkflowId = "${skuWorkflowId(skuId)}"`;
    for await (const run of demo.temporal.client.workflow.list({ query })) listed.push(run);
    return listed.length >= 3 ? listed : null;
  });
  expect(runs.filter((run) => run.status.name === "FAILED" || run.status.name === "TERMINATED")).toEqual([]);
});

test("after all of this the ledger explains every number", async () => {
  const report = openTestDatabase(demo.database.url, "cf_report");
  try {
    const proof = await prove({ db: report, simulatorUrl: null, settleSeconds: 20 });
    expect(proof.checks.flatMap((check) => check.violations)).toEqual([]);
  } finally {
    await report.destroy();
  }
});

async function locationOf() {
  const [row] = await demo.database.asSuperuser<{ id: string }>(
    "select id from locations where tenant_id = $1 and is_default",
    [demo.shop.tenantId],
  );
  return asId<"Location">(row!.id);
}
