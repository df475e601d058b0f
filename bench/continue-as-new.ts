import { randomUUID } from "node:crypto";
import { createActivities } from "../src/activities/index.ts";
import { createStockActivities } from "../src/activities/stock.ts";
import { skuWorkflowId } from "../src/workflows/addressing.ts";
import { seedShop, seedSku } from "../test/support/seed.ts";
import type { Benchmark } from "./benchmark.ts";
import { repeated } from "./harness.ts";
import { compareTo, type Figure, quantileOf } from "./report.ts";
import { type BenchServers, onServers, workerDependencies, workerPoolSize } from "./servers.ts";
import { reservationOf } from "./stock.ts";

/**
 * How long a request for one SKU waits while its entity continues as new under constant load, at the real threshold. Each
 * sender is a process of its own as far as the entity sees: it has one request under way and sends the next when answered.
 */
export const continueAsNew: Benchmark = {
  name: "continue",
  title: "waits of requests while a SKU continues as new under constant load",
  async run({ runs, short }) {
    return await onServers(async (servers) => ({
      settings: { senders, "requests in flight of each": 1 },
      runs: await repeated(runs, (run) => measure(servers, `continue-${run}-`, short ? 3 : 40)),
      compare: (median) => [compareTo("wait, p99", median("wait, p99"), "ms", "at most", 300)],
    }));
  },
};

const senders = 4;

async function measure(servers: BenchServers, queuePrefix: string, seconds: number): Promise<Figure[]> {
  const db = servers.openDatabase("cf_app", workerPoolSize);
  const shop = await seedShop(db);
  const skuId = await seedSku(db, shop, 1_000_000);
  const dependencies = workerDependencies(servers, db, queuePrefix);
  const workers = await servers.startWorkers(createActivities(dependencies), queuePrefix);
  const series = randomUUID();
  const waits: number[] = [];
  let next = 0;
  const end = performance.now() + seconds * 1_000;
  await Promise.all(
    Array.from({ length: senders }, async () => {
      const { requestStock } = createStockActivities(dependencies);
      while (performance.now() < end) {
        const asked = performance.now();
        const operation = reservationOf(series, next++);
        await requestStock({ tenantId: shop.tenantId, operations: [{ skuId, operation }] });
        waits.push(performance.now() - asked);
      }
    }),
  );
  const entityRuns = await servers.client.workflow.count(`WorkflowId = '${skuWorkflowId(skuId)}'`);
  await workers.stop();
  return [
    { name: "requests", unit: "a second", value: waits.length / seconds },
    { name: "wait, p50", unit: "ms", value: quantileOf(waits, 0.5) },
    { name: "wait, p99", unit: "ms", value: quantileOf(waits, 0.99) },
    { name: "wait, longest", unit: "ms", value: quantileOf(waits, 1) },
    { name: "times continued", unit: "", value: entityRuns.count - 1 },
  ];
}
