import { afterAll, beforeAll, expect, test } from "vitest";
import { createStockActivities } from "../../src/activities/stock.ts";
import { openAlerts, resolveAlerts } from "../../src/db/alerts.ts";
import { type TenantTransaction, withTenant } from "../../src/db/tenant.ts";
import { asId } from "../../src/domain/ids.ts";
import type { StockOperation } from "../../src/domain/stock/operation.ts";
import { outboxClasses, workOffOutbox } from "../../src/intake/outbox.ts";
import { sweepStuckWorkflows } from "../../src/intake/stuck-workflows.ts";
import type { SalesChannel } from "../../src/integrations/ports/sales-channel.ts";
import {
  alertWorkflowId,
  orderWorkflowId,
  skuWorkflowId,
  taskQueues,
} from "../../src/workflows/addressing.ts";
import { offerChanged, type SkuInput } from "../../src/workflows/messages.ts";
import { adjust } from "../domain/stock/stock-builders.ts";
import { type DemoShop, orderOf, startDemoShop, stockOfChannelSku } from "../support/demo-shop.ts";
import { fetchAndTake } from "../support/dispatch.ts";
import { until } from "../support/until.ts";
import { silent, startTestWorkers } from "../support/workers.ts";

/**
 * An order and a SKU with histories that these workflows do not replay: they come to that by an edit that is not compatible,
 * and when Temporal itself has mixed the events of a task up.
 */
let demo: DemoShop;
beforeAll(async () => {
  demo = await startDemoShop();
});
afterAll(async () => {
  await demo.close();
});

/** Workflows that take a moment's rest before they decide, which shows in their histories. */
const withTimers = (code: string): string =>
  code.replaceAll(
    /await (\S+\.inDatabase\.(?:advanceAlert|advanceOrder|applyStockBatch)\()/g,
    "await (0,_temporalio_workflow__WEBPACK_IMPORTED_MODULE_0__.condition)(() => false, 5) || await $1",
  );

const within = <Result>(work: (transaction: TenantTransaction) => Promise<Result>) =>
  withTenant(demo.db, demo.shop.tenantId, work);

async function statesOf(workflowId: string): Promise<readonly string[]> {
  const states: string[] = [];
  const runs = demo.temporal.client.workflow.list({ query: `WorkflowId = '${workflowId}'` });
  for await (const { status } of runs) states.push(status.name);
  return states.sort();
}

test("a push of which no end is heard is begun anew by the entity's next run", async () => {
  const sku = demo.skus[1]!;
  const skuId = asId<"Sku">((await stockOfChannelSku(demo.db, demo.shop.tenantId, sku.id)).skuId);
  let letGo: () => void = () => undefined;
  const nothing = new Promise<never[]>((resolve) => {
    letGo = () => resolve([]);
  });
  let readings = 0;
  const channel: SalesChannel = Object.assign(Object.create(demo.channel) as SalesChannel, {
    readStock: (...asked: Parameters<SalesChannel["readStock"]>) => {
      readings += 1;
      return readings === 1 ? nothing : demo.channel.readStock(...asked);
    },
  });
  const workers = await startTestWorkers(demo.temporal, demo.db, channel);
  await demo.control("POST", "/_sim/stock", { skuId: sku.id, available: sku.available + 5 });
  const input: SkuInput = {
    tenantId: demo.shop.tenantId,
    skuId,
    queuePrefix: demo.temporal.taskQueuePrefix,
    idleMilliseconds: 100,
  };
  await demo.temporal.client.workflow.signalWithStart("skuInventory", {
    workflowId: skuWorkflowId(skuId),
    taskQueue: taskQueues(demo.temporal.taskQueuePrefix).inventory,
    args: [input],
    signal: offerChanged,
    signalArgs: [{ causedAt: new Date().toISOString() }],
  });
  await until(
    "the number is right",
    async () => {
      const [stock] = await demo.channel.readStock(demo.shop, [asId<"ChannelSku">(sku.id)], 3);
      return stock?.available === sku.available;
    },
    { seconds: 90 },
  );
  expect(await statesOf(skuWorkflowId(skuId))).toContain("CONTINUED_AS_NEW");
  letGo();
  await workers.stop();
});

test("a SKU, an order and an alert whose histories do not replay are begun anew, and go on as if nothing had been", async () => {
  const [sku] = demo.skus;
  const { skuId: id } = await stockOfChannelSku(demo.db, demo.shop.tenantId, sku!.id);
  const skuId = asId<"Sku">(id);
  const { requestStock } = createStockActivities({
    db: demo.db,
    client: demo.temporal.client,
    logger: silent,
    queuePrefix: demo.temporal.taskQueuePrefix,
  });
  const ask = (...operations: readonly StockOperation[]) =>
    requestStock({
      tenantId: demo.shop.tenantId,
      operations: operations.map((operation) => ({ skuId, operation })),
    });

  const before = await startTestWorkers(demo.temporal, demo.db, demo.channel, { edit: withTimers });
  const orderId = await demo.placeOrder([{ skuId: sku!.id, quantity: 1 }]);
  await fetchAndTake(demo.intake, demo.shop, [orderId]);
  const stagesOf = async () => (await orderOf(demo.db, demo.shop, orderId))?.stages;
  await until("the order has its unit", async () => (await stagesOf())?.[0] === "held");
  // Two at once, so that the entity stays for more.
  await ask(adjust(`${skuId}-a`, 1), adjust(`${skuId}-b`, 1));
  const alert = { kind: "drift", skuId, subjectId: "listing" } as const;
  await within((transaction) => openAlerts(transaction, demo.shop.tenantId, [alert]));
  await workOffOutbox(demo.intake, outboxClasses.alerts);
  const [opened] = await within((transaction) =>
    transaction.selectFrom("alerts").where("kind", "=", "drift").select("id").execute(),
  );
  const alertRun = alertWorkflowId(asId<"Alert">(opened!.id));
  await until("the alert waits for an answer", async () => {
    const { historyLength } = await demo.temporal.client.workflow.getHandle(alertRun).describe();
    return historyLength > 8;
  });
  await before.stop();

  const workers = await startTestWorkers(demo.temporal, demo.db, demo.channel);
  const asked = ask(adjust(`${skuId}-c`, 1));
  await demo.control("POST", `/_sim/orders/${orderId}/cancel`, {});
  await fetchAndTake(demo.intake, demo.shop, [orderId]);
  await within((transaction) => resolveAlerts(transaction, demo.shop.tenantId, ["drift"], "listing"));
  await workOffOutbox(demo.intake, outboxClasses.alerts);
  await until(
    "all are found and have gone on",
    async () => {
      await sweepStuckWorkflows(demo.intake);
      await workOffOutbox(demo.intake, outboxClasses.workflows);
      await workOffOutbox(demo.intake, outboxClasses.offers);
      await workOffOutbox(demo.intake, outboxClasses.alerts);
      const alertsRuns = await statesOf(alertRun);
      return alertsRuns.includes("COMPLETED") && (await stagesOf())?.[0] === "cancelled";
    },
    { seconds: 90 },
  );
  expect(await asked).toMatchObject([{ outcome: "adjusted" }]);
  expect(await stockOfChannelSku(demo.db, demo.shop.tenantId, sku!.id)).toMatchObject({
    onHand: sku!.available + 3,
    reserved: 0,
  });
  for (const workflowId of [orderWorkflowId(demo.shop.shopId, orderId), skuWorkflowId(skuId), alertRun]) {
    await until("the old run is ended", async () => (await statesOf(workflowId)).includes("TERMINATED"));
  }
  expect(await sweepStuckWorkflows(demo.intake)).toBe(0);
  await workers.stop();
});
