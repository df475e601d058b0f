import pMap from "p-map";
import type { Benchmark } from "./benchmark.ts";
import { actionKinds, actionsOf, costOfRun, type HistoryCost, sumOfCosts } from "./history-cost.ts";
import { repeated } from "./harness.ts";
import { clocked, processorFigures } from "./processor-time.ts";
import { compareTo, type Figure } from "./report.ts";
import { type BenchStack, onStack, openRateBudget, untilCompleted } from "./stack.ts";

/**
 * What an ordinary order's whole life costs, from its first webhook until it is completed: counted from the real
 * histories, from PostgreSQL's own count of statements and from the books of the simulated shop. The orders come one after
 * the other and stay in each state long enough that every state is news of its own, which is the dear case: in a rush
 * several states are taken in with one look.
 */
export const lifeCost: Benchmark = {
  name: "cost",
  title: "what an ordinary order's whole life costs",
  async run({ runs, short }) {
    return await onStack({ timeScale: 1, demoOrders: false, countStatements: true }, async (stack) => {
      const rateBudget = await openRateBudget(stack);
      await stack.query("create extension if not exists pg_stat_statements");
      const orders = short ? 4 : 20;
      return {
        settings: { orders, "one line each, SKUs": skusMaximum, "rate budget": rateBudget },
        runs: await repeated(runs, () => measure(stack, orders)),
        compare: (median) => [
          compareTo("events an order", median("order: events"), "", "at most", 90),
          compareTo("actions an order", median("order: actions"), "", "at most", 24),
          compareTo(
            "actions an order with its share of the entities",
            median("order: actions") + median("entity's share: actions"),
            "",
            "at most",
            24,
          ),
        ],
      };
    });
  },
};

const skusMaximum = 3;
const gapMilliseconds = 700;
const durations = {
  unpaidMs: 1_500,
  onHoldMs: 2_500,
  collectionMs: 2_000,
  transitMs: 2_000,
  completedMs: 2_000,
} as const;

async function measure(stack: BenchStack, orders: number): Promise<Figure[]> {
  const skus = await stack.simulator.quietSkus(skusMaximum, orders);
  await stack.query("select pg_stat_statements_reset()");
  const callsBefore = await stack.simulator.calls();
  const began = Date.now();
  const { used } = await clocked(
    () => stack.processorSeconds(),
    async () => {
      const orderIds = await stack.simulator.placeBurst({
        orders,
        skuIds: skus.map(({ id }) => id),
        durations,
        overMs: orders * gapMilliseconds,
      });
      await untilCompleted(stack, orderIds);
    },
  );
  const calls = [...(await stack.simulator.calls())].map(
    ([endpoint, count]) => [endpoint, count - (callsBefore.get(endpoint) ?? 0)] as const,
  );
  const perOrder = (name: string, unit: string, value: number): Figure => ({
    name,
    unit,
    value: value / orders,
  });
  return [
    ...(await countHistories(stack, began, orders)),
    ...(await countStatements(stack)).map(([name, count]) => perOrder(name, "an order", count)),
    perOrder(
      "TikTok calls",
      "an order",
      calls.reduce((sum, [, count]) => sum + count, 0),
    ),
    ...calls
      .filter(([, count]) => count > 0)
      .map(([endpoint, count]) => perOrder(`TikTok calls: ${endpoint}`, "an order", count)),
    // Quiet loops and servers use some of it; what an order costs in a rush is in the benchmark of orders.
    ...processorFigures("processor: ", used, "ms an order", orders),
  ];
}

async function countHistories(stack: BenchStack, since: number, orders: number): Promise<Figure[]> {
  const byType = new Map<string, HistoryCost[]>();
  const runs: { workflowId: string; runId: string; type: string }[] = [];
  for await (const { workflowId, runId, type, closeTime } of stack.client.workflow.list()) {
    if (closeTime === undefined || closeTime.getTime() >= since) runs.push({ workflowId, runId, type });
  }
  await pMap(
    runs,
    async ({ workflowId, runId, type }) => {
      const cost = await costOfRun(stack.client, workflowId, runId, since);
      byType.set(type, [...(byType.get(type) ?? []), cost]);
    },
    { concurrency: 8 },
  );
  const ofOneOrder = byType.get("orderLifecycle") ?? [];
  if (ofOneOrder.length !== orders)
    throw new Error(`${ofOneOrder.length} runs of orders where ${orders} were placed`);
  return [
    ...describe("order", sumOfCosts(ofOneOrder), orders),
    ...describe("entity's share", sumOfCosts(byType.get("skuInventory") ?? []), orders),
    ...[...byType]
      .filter(([type]) => type !== "orderLifecycle" && type !== "skuInventory")
      .flatMap(([type, costs]) => describe(type, sumOfCosts(costs), orders)),
  ];
}

function describe(whose: string, cost: HistoryCost, orders: number): Figure[] {
  const perOrder = (name: string, count: number): Figure => ({
    name: `${whose}: ${name}`,
    unit: "an order",
    value: count / orders,
  });
  return [
    perOrder("events", cost.events),
    perOrder("actions", actionsOf(cost)),
    ...actionKinds.filter((kind) => cost.actions[kind] > 0).map((kind) => perOrder(kind, cost.actions[kind])),
    perOrder("local activities", cost.localActivities),
  ];
}

/**
 * Statements by the role that ran them. The dispatcher's looks for work are counted apart: they come as often as there is
 * nothing to do.
 */
async function countStatements(stack: BenchStack): Promise<readonly (readonly [string, number])[]> {
  const rows = await stack.query<{ role: string; looks: boolean; calls: string }>(`
    select coalesce(role.rolname, 'none') as role, query ilike '%skip locked%' as looks, sum(calls) as calls
    from pg_stat_statements as counted
    join pg_database as database on database.oid = counted.dbid and database.datname = 'creatorflow'
    left join pg_roles as role on role.oid = counted.userid
    where toplevel and role.rolname like 'cf\\_%'
    group by 1, 2 order by 1, 2`);
  const all = rows.filter(({ looks }) => !looks).reduce((sum, { calls }) => sum + Number(calls), 0);
  return [
    ["SQL statements", all],
    ...rows.map(
      ({ role, looks, calls }) =>
        [`SQL statements: ${role}${looks ? ", looking for work" : ""}`, Number(calls)] as const,
    ),
  ];
}
