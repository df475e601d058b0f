import { afterAll, beforeAll, expect, test } from "vitest";
import { createActivities } from "../../src/activities/index.ts";
import { readSystemFacts } from "../../src/db/read-models/metrics.ts";
import type { IntakeDependencies } from "../../src/intake/dependencies.ts";
import type { SalesChannel } from "../../src/integrations/ports/sales-channel.ts";
import { createLogger } from "../../src/logger.ts";
import { createApiMetrics } from "../../src/metrics.ts";
import { bundleWorkflows, type RunningWorkers, startWorkers } from "../../src/workers.ts";
import { orderWorkflowId } from "../../src/workflows/addressing.ts";
import { fetchAndTake } from "../support/dispatch.ts";
import { type DemoShop, orderOf, startDemoShop, stockOfChannelSku } from "../support/demo-shop.ts";
import { openTestDatabase } from "../support/seed.ts";
import { until } from "../support/until.ts";
import { pollsNothing, provesNothing, tellsNobody } from "../support/workers.ts";

/** A buyer whose every word can be told from all others. */
const canaries = {
  name: "Canaryname Xylophonist",
  phone: "(+44)7700987654321",
  fullAddress: "99 Canarystreet, Canarytown, United Kingdom",
  postalCode: "CN99 9RY",
  regionCode: "GB",
};
const tellTales = ["Canaryname", "Xylophonist", "7700987654321", "Canarystreet", "Canarytown", "CN99 9RY"];

const lines: string[] = [];
const logger = createLogger(
  { level: "trace", service: "worker" },
  { write: (line) => void lines.push(line) },
);
let demo: DemoShop;
let workers: RunningWorkers;
let intake: IntakeDependencies;

beforeAll(async () => {
  demo = await startDemoShop();
  const channel: SalesChannel = {
    ...demo.channel,
    fetchOrders: async (...asked) =>
      (await demo.channel.fetchOrders(...asked)).map((fetched) => ({ ...fetched, recipient: canaries })),
  };
  intake = { ...demo.intake, channel, logger };
  const { db, temporal } = demo;
  workers = await startWorkers({
    connection: temporal.nativeConnection,
    namespace: temporal.namespace,
    bundle: await bundleWorkflows(),
    queuePrefix: temporal.taskQueuePrefix,
    activities: createActivities({
      db,
      channel,
      client: temporal.client,
      logger,
      alerting: tellsNobody,
      takeInChangedOrders: pollsNothing,
      prove: provesNothing,
      queuePrefix: temporal.taskQueuePrefix,
    }),
    drainSeconds: 30,
  });
});
afterAll(async () => {
  await workers.stop();
  await demo.close();
});

/** Everything that a value holds, payloads of a history included. */
function textOf(value: unknown): string {
  if (value instanceof Uint8Array) return Buffer.from(value).toString();
  if (typeof value !== "object" || value === null) return String(value);
  return Object.entries(value)
    .map(([key, item]) => `${key} ${textOf(item)}`)
    .join("\n");
}

function found(text: string): readonly string[] {
  return tellTales.filter((word) => text.includes(word));
}

test("a buyer's name, phone and address are in no log, no figure, no history and no plain column", async () => {
  const sku = demo.skus[0];
  if (sku === undefined) throw new Error("The demo shop has no SKU");
  const orderId = await demo.placeOrder([{ skuId: sku.id, quantity: 1 }]);
  const news = () => fetchAndTake(intake, demo.shop, [orderId]);
  await news();
  await until("units are reserved", async () =>
    (await orderOf(demo.db, demo.shop, orderId))?.stages.every((stage) => stage === "held"),
  );
  for (const move of ["pay", "release"]) {
    await demo.control("POST", `/_sim/orders/${orderId}/${move}`, {});
    await news();
  }
  await until("it is shipped", async () => {
    await news();
    return (await orderOf(demo.db, demo.shop, orderId))?.stages.every((stage) => stage === "shipped");
  });
  const order = await orderOf(demo.db, demo.shop, orderId);
  // Otherwise nothing was there to be found.
  expect(order?.recipient).not.toBeNull();
  logger.info({ order: { recipient: canaries } }, "What a careless line would say");
  expect(lines.join("")).toContain("careless line");
  expect(found(lines.join(""))).toEqual([]);

  const { skuId } = await stockOfChannelSku(demo.db, demo.shop.tenantId, sku.id);
  const { workflow } = demo.temporal.client;
  for (const id of [orderWorkflowId(demo.shop.shopId, orderId), `sku/${skuId}`]) {
    const history = await workflow.getHandle(id).fetchHistory();
    const text = textOf(history);
    expect(text.length, id).toBeGreaterThan(1_000);
    expect(text, id).toContain(id.startsWith("sku/") ? skuId : orderId);
    expect(found(text), id).toEqual([]);
  }

  const report = openTestDatabase(demo.database.url, "cf_report");
  const figures = await createApiMetrics(() => readSystemFacts(report)).render();
  await report.destroy();
  expect(figures).toContain("creatorflow_facts_available");
  expect(found(figures)).toEqual([]);
  const tables = await demo.database.asSuperuser<{ name: string }>(
    "select tablename as name from pg_tables where schemaname = 'public'",
  );
  expect(tables.length).toBeGreaterThan(25);
  for (const { name } of tables) {
    const rows = await demo.database.asSuperuser(`select to_jsonb(t)::text as row from "${name}" as t`);
    expect(found(JSON.stringify(rows)), name).toEqual([]);
  }
});
