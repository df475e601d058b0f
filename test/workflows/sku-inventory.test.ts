import pMap from "p-map";
import { WithStartWorkflowOperation, type WorkflowExecutionInfo } from "@temporalio/client";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createStockActivities } from "../../src/activities/stock.ts";
import type { Database } from "../../src/db/connection.ts";
import { withTenant } from "../../src/db/tenant.ts";
import type { SkuId } from "../../src/domain/ids.ts";
import type { StockAnswer, StockOperation } from "../../src/domain/stock/operation.ts";
import { bundleWorkflows, type RunningWorkers } from "../../src/workers.ts";
import { skuWorkflowId, taskQueues } from "../../src/workflows/addressing.ts";
import { applyOperations, offerChanged, type SkuInput } from "../../src/workflows/messages.ts";
import { adjust, claim, reserve } from "../domain/stock/stock-builders.ts";
import { type SeededShop, seedShop, seedSku, stockOf } from "../support/seed.ts";
import { type TestTemporal, testTemporal } from "../support/temporal.ts";
import { findReplayFailures, historiesOf, recordWhenAsked } from "../support/histories.ts";
import { until } from "../support/until.ts";
import { useTestDatabase } from "../support/use-test-database.ts";
import { noChannel, silent, startTestWorkers } from "../support/workers.ts";

let db: Database;
let shop: SeededShop;
let temporal: TestTemporal;
let workers: RunningWorkers;
let activities: ReturnType<typeof createStockActivities>;

useTestDatabase(async (database) => {
  db = database.open();
  shop = await seedShop(db);
});
beforeAll(async () => {
  temporal = await testTemporal();
  workers = await startTestWorkers(temporal, db, noChannel);
  activities = processOfItsOwn();
});
afterAll(async () => {
  await workers.stop();
  await temporal.close();
});

/** What knows nothing of what other processes have asked. */
const processOfItsOwn = () =>
  createStockActivities({
    db,
    client: temporal.client,
    logger: silent,
    queuePrefix: temporal.taskQueuePrefix,
  });

const entityOf = (skuId: SkuId) => temporal.client.workflow.getHandle(skuWorkflowId(skuId));

async function runsOf(skuId: SkuId): Promise<readonly WorkflowExecutionInfo[]> {
  const runs: WorkflowExecutionInfo[] = [];
  const query = `WorkflowId = "${skuWorkflowId(skuId)}"`;
  for await (const run of temporal.client.workflow.list({ query })) runs.push(run);
  return runs;
}

const request = (skuId: SkuId, operations: readonly StockOperation[]) =>
  activities.requestStock({
    tenantId: shop.tenantId,
    operations: operations.map((operation) => ({ skuId, operation })),
  });

async function update(
  skuId: SkuId,
  operations: readonly StockOperation[],
  options: Partial<SkuInput> = {},
): Promise<readonly StockAnswer[]> {
  const input: SkuInput = {
    tenantId: shop.tenantId,
    skuId,
    queuePrefix: temporal.taskQueuePrefix,
    ...options,
  };
  return await temporal.client.workflow.executeUpdateWithStart(applyOperations, {
    args: [operations],
    startWorkflowOperation: new WithStartWorkflowOperation("skuInventory", {
      workflowId: skuWorkflowId(skuId),
      taskQueue: taskQueues(temporal.taskQueuePrefix).inventory,
      args: [input],
      workflowIdConflictPolicy: "USE_EXISTING",
    }),
  });
}

async function versionOf(skuId: SkuId): Promise<number> {
  const row = await withTenant(db, shop.tenantId, (transaction) =>
    transaction
      .selectFrom("stock_levels")
      .where("sku_id", "=", skuId)
      .select("version")
      .executeTakeFirstOrThrow(),
  );
  return row.version;
}

describe("the SKU's entity", () => {
  test("of 500 orders for one unit reserves for one and lets 499 wait", async () => {
    const skuId = await seedSku(db, shop, 1);
    const answers = await Promise.all(
      Array.from({ length: 500 }, (_, index) =>
        request(skuId, [reserve(`one-unit-${index}`, { paid: index % 60 })]),
      ),
    );
    const outcomes = answers.flat().map((answer) => answer.outcome);
    expect(outcomes.filter((outcome) => outcome === "reserved")).toHaveLength(1);
    expect(outcomes.filter((outcome) => outcome === "short")).toHaveLength(499);
  });

  test("applies many requests as few batches", async () => {
    const skuId = await seedSku(db, shop, 1_000);
    const before = await versionOf(skuId);
    await Promise.all(
      Array.from({ length: 1_000 }, (_, index) => request(skuId, [reserve(`many-${index}`)])),
    );
    expect(await stockOf(db, shop.tenantId, skuId)).toEqual({ onHand: 1_000, reserved: 1_000 });
    expect((await versionOf(skuId)) - before).toBeLessThan(20);
  });

  test("gives a request that is sent again the answer of the first time", async () => {
    const skuId = await seedSku(db, shop, 1);
    const [first] = await request(skuId, [reserve("again")]);
    const [second] = await request(skuId, [reserve("again")]);
    expect([first?.outcome, second?.outcome]).toEqual(["reserved", "reserved"]);
    expect(await stockOf(db, shop.tenantId, skuId)).toEqual({ onHand: 1, reserved: 1 });
  });

  test("never deadlocks when orders ask for the same SKUs in opposite order", async () => {
    const [one, two] = [await seedSku(db, shop, 100), await seedSku(db, shop, 100)];
    const ask = (order: string, skus: readonly SkuId[]) =>
      activities.requestStock({
        tenantId: shop.tenantId,
        operations: skus.map((skuId, index) => ({
          skuId,
          operation: reserve(order, { line: String(index) }),
        })),
      });
    const answers = await Promise.all(
      Array.from({ length: 100 }, (_, index) =>
        ask(`opposite-${index}`, index % 2 === 0 ? [one, two] : [two, one]),
      ),
    );
    expect(answers.flat().filter((answer) => answer.outcome === "reserved")).toHaveLength(200);
  });

  test("leaves no unit promised when a cancellation overtakes its reservation", async () => {
    const skuId = await seedSku(db, shop, 10);
    await Promise.all(
      Array.from({ length: 50 }, (_, index) => [
        request(skuId, [reserve(`overtaken-${index}`)]),
        request(skuId, [{ kind: "release", claim: claim(`overtaken-${index}`), reason: "cancelled" }]),
      ]).flat(),
    );
    expect(await stockOf(db, shop.tenantId, skuId)).toEqual({ onHand: 10, reserved: 0 });
  });

  test("continues as new under load without losing or doubling a request", async () => {
    const skuId = await seedSku(db, shop, 160);
    const senders = Array.from({ length: 4 }, async (_, sender) => {
      const outcomes: string[] = [];
      for (let index = 0; index < 40; index += 1) {
        outcomes.push(await askUntilOpen(skuId, reserve(`flood-${sender}-${index}`)));
      }
      return outcomes;
    });
    const outcomes = (await Promise.all(senders)).flat();
    expect(outcomes.filter((outcome) => outcome === "reserved")).toHaveLength(160);
    expect(await stockOf(db, shop.tenantId, skuId)).toEqual({ onHand: 160, reserved: 160 });
    expect((await runsOf(skuId)).length).toBeGreaterThan(1);
  });

  test("ends at once when a lone request is done, and stays when it was asked a moment ago", async () => {
    const skuId = await seedSku(db, shop, 5);
    const status = async () => (await entityOf(skuId).describe()).status.name;
    await request(skuId, [reserve("lone")]);
    await until("the entity has ended", async () => (await status()) === "COMPLETED");
    await request(skuId, [reserve("second")]);
    await request(skuId, [reserve("third")]);
    expect(await status()).toBe("RUNNING");
    await until("its two runs are listed", async () => (await runsOf(skuId)).length === 2);
    expect(await stockOf(db, shop.tenantId, skuId)).toEqual({ onHand: 5, reserved: 3 });
  });

  test("answers every request that meets the end of an entity", async () => {
    const skuId = await seedSku(db, shop, 200);
    const senders = Array.from({ length: 4 }, async (_, sender) => {
      // Processes that know nothing of each other: each starts entities that end at once.
      for (let index = 0; index < 25; index += 1) {
        const { requestStock } = processOfItsOwn();
        const operation = reserve(`meets-${sender}-${index}`);
        const [answer] = await requestStock({ tenantId: shop.tenantId, operations: [{ skuId, operation }] });
        expect(answer?.outcome).toBe("reserved");
      }
    });
    await Promise.all(senders);
    expect(await stockOf(db, shop.tenantId, skuId)).toEqual({ onHand: 200, reserved: 100 });
    expect((await runsOf(skuId)).length).toBeGreaterThan(1);
  });

  test("answers although the outbox tells it of another change at that moment", async () => {
    const outcomes: string[] = [];
    for (let index = 0; index < 20; index += 1) {
      const skuId = await seedSku(db, shop, 5);
      const told = pMap(Array.from({ length: 10 }), async () => {
        await entityOf(skuId)
          .signal(offerChanged)
          .catch(() => undefined);
      });
      const [answer] = await processOfItsOwn().requestStock({
        tenantId: shop.tenantId,
        operations: [{ skuId, operation: adjust(`told-${index}`, 1) }],
      });
      await told;
      outcomes.push(answer?.outcome ?? "none");
    }
    expect(outcomes).toEqual(outcomes.map(() => "adjusted"));
  });

  test("is not asked again by who asks the same while the answer is under way", async () => {
    const skuId = await seedSku(db, shop, 5);
    const same = () => request(skuId, [reserve("impatient")]);
    expect((await Promise.all([same(), same()])).flat().map(({ outcome }) => outcome)).toEqual([
      "reserved",
      "reserved",
    ]);
    const { events } = await entityOf(skuId).fetchHistory();
    const asked = events
      ?.flatMap((event) => event.workflowExecutionUpdateAcceptedEventAttributes?.acceptedRequest ?? [])
      .flatMap(({ input }) => input?.args?.payloads ?? [])
      .flatMap(({ data }) => JSON.parse(Buffer.from(data ?? []).toString()) as StockOperation[]);
    expect(asked).toHaveLength(1);
  });

  test("answers an adjustment with the numbers after it and refuses to go below what is promised", async () => {
    const skuId = await seedSku(db, shop, 5);
    await request(skuId, [reserve("adjusted")]);
    expect(await update(skuId, [adjust(`plus-${skuId}`, 3)])).toEqual([
      { outcome: "adjusted", onHand: 8, available: 7 },
    ]);
    expect(await update(skuId, [adjust(`minus-${skuId}`, -8)])).toEqual([
      { outcome: "refused", reason: "below_reserved" },
    ]);
  });
});

/** As the coalescer does: an entity that is about to continue as new is asked again. */
async function askUntilOpen(skuId: SkuId, operation: StockOperation): Promise<string> {
  for (let attempt = 0; attempt < 100; attempt += 1) {
    try {
      const [answer] = await update(skuId, [operation], { historyLengthMaximum: 60 });
      return answer?.outcome ?? "none";
    } catch (error) {
      if (!String((error as { cause?: unknown }).cause).includes("Ask again")) throw error;
    }
  }
  return "never open";
}

test("every history that these tests made replays", async () => {
  const histories = await historiesOf(temporal);
  expect(histories.length).toBeGreaterThan(8);
  expect(await findReplayFailures(await bundleWorkflows(), histories)).toEqual([]);
  await recordWhenAsked(histories);
});
