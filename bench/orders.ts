import pMap from "p-map";
import { z } from "zod";
import { startOwn } from "../src/embedded/processes.ts";
import type { Benchmark } from "./benchmark.ts";
import { costOfRun, type HistoryCost, sumOfCosts } from "./history-cost.ts";
import { repeated } from "./harness.ts";
import { clocked, processorFigures, type ProcessorSeconds, secondsBetween } from "./processor-time.ts";
import { compareTo, type Figure } from "./report.ts";
import { type BenchStack, onStack, openRateBudget, untilCompleted } from "./stack.ts";

/**
 * Orders per second, from placed at the simulated shop to completed: taken in by webhook, reserved, shipped through the
 * shop's API, collected, delivered, completed. Beside it the floor: workflows with as many signals, local and regular
 * activities as those orders turned out to have, which do nothing, on the same server and Workers of the same kind.
 */
export const orderRate: Benchmark = {
  name: "orders",
  title: "orders taken, reserved, shipped and completed per second",
  async run({ runs, short }) {
    return await onStack({ timeScale: 1, demoOrders: false }, async (stack) => {
      const orders = short ? 40 : 300;
      const rateBudget = await openRateBudget(stack);
      await measureOrders(stack, short ? 10 : 60);
      const found = await repeated(runs, async () => {
        const { figures, cost } = await measureOrders(stack, orders);
        return [...figures, ...(await measureFloor(stack, orders, cost))];
      });
      return {
        settings: {
          "orders at once, all in flight": orders,
          "one line each, SKUs": skusMaximum,
          "milliseconds in each state": stayMilliseconds,
          "rate budget": rateBudget,
        },
        runs: found,
        compare: (median) => [
          compareTo("orders against their floor", median("orders") / median("floor"), "×", "at least", 0.6),
          ...(found.flat().some(({ name }) => name === processorAll)
            ? [
                compareTo(
                  "the same by processor seconds, the simulated shop's left out",
                  median(processorAllOfFloor) / median(processorAll),
                  "×",
                  "at least",
                  0.6,
                ),
              ]
            : []),
        ],
      };
    });
  },
};

const skusMaximum = 3;
/** So short that the shop never keeps us waiting, and long enough that most states are news of their own. */
const stayMilliseconds = 500;
const durations = {
  unpaidMs: stayMilliseconds,
  onHoldMs: stayMilliseconds,
  collectionMs: stayMilliseconds,
  transitMs: stayMilliseconds,
  completedMs: stayMilliseconds,
} as const;
const processorAll = "processor: all but the simulator";
const processorAllOfFloor = "processor of the floor: all";
const sampleMaximum = 40;

async function measureOrders(
  stack: BenchStack,
  orders: number,
): Promise<{ readonly figures: Figure[]; readonly cost: HistoryCost }> {
  const skus = await stack.simulator.quietSkus(skusMaximum, orders);
  const beganAt = Date.now();
  let orderIds: readonly string[] = [];
  const { seconds, used } = await clocked(
    () => stack.processorSeconds(),
    async () => {
      orderIds = await stack.simulator.placeBurst({
        orders,
        skuIds: skus.map(({ id }) => id),
        durations,
        overMs: 0,
      });
      await untilCompleted(stack, orderIds);
    },
  );
  const cost = await meanCost(stack, orderIds.slice(0, sampleMaximum), beganAt);
  return {
    cost,
    figures: [
      { name: "orders", unit: "a second", value: orders / seconds },
      { name: "signals", unit: "an order", value: cost.actions.signals },
      { name: "local activities", unit: "an order", value: cost.localActivities },
      { name: "activities", unit: "an order", value: cost.actions.activities },
      { name: "events", unit: "an order", value: cost.events },
      ...processorFigures("processor: ", used, "ms an order", orders),
      ...(used.size === 0 ? [] : [processorFigure(processorAll, sumOfAll(used, "simulator"), orders)]),
    ],
  };
}

/** An order that hears late news after its end has another run; what a life costs is in all of them. */
async function meanCost(stack: BenchStack, orderIds: readonly string[], since: number): Promise<HistoryCost> {
  const [shop] = await stack.query<{ id: string }>("select id from shops where status = 'connected'");
  const { workflow } = stack.client;
  const costs = await pMap(
    orderIds,
    async (orderId) => {
      const workflowId = `order/${shop?.id ?? ""}/${orderId}`;
      const runs = workflow.list({ query: `WorkflowId = '${workflowId}'` });
      return await pMap(runs, ({ runId }) => costOfRun(stack.client, workflowId, runId, since));
    },
    { concurrency: 8 },
  );
  const sum = sumOfCosts(costs.flat());
  const mean = (count: number) => count / costs.length;
  return {
    events: mean(sum.events),
    localActivities: mean(sum.localActivities),
    actions: Object.fromEntries(
      Object.entries(sum.actions).map(([kind, count]) => [kind, mean(count)]),
    ) as HistoryCost["actions"],
  };
}

async function measureFloor(stack: BenchStack, workflows: number, cost: HistoryCost): Promise<Figure[]> {
  const request = {
    address: stack.temporalAddress,
    workflows,
    signals: Math.max(1, Math.round(cost.actions.signals)),
    localActivities: Math.round(cost.localActivities),
    activities: Math.round(cost.actions.activities),
  };
  const lines: { readonly line: string; readonly used: Promise<ProcessorSeconds> }[] = [];
  const floor = startOwn("bench/floor/worker.ts", {
    name: "floor",
    // As our own worker has it.
    preload: "src/workflow-thread.js",
    args: [JSON.stringify(request)],
    graceSeconds: 5,
    onLine: (line) => lines.push({ line, used: stack.processorSeconds() }),
  });
  const how = await floor.ended;
  const begin = lines.find(({ line }) => line === "begin");
  const end = lines.find(({ line }) => line.startsWith("{"));
  if (begin === undefined || end === undefined)
    throw new Error(`The floor's worker ended without a result (${how}):\n${floor.lastLines().join("\n")}`);
  const measured = floorSchema.parse(JSON.parse(end.line));
  const temporal = secondsBetween(await begin.used, await end.used).get("temporal");
  return [
    { name: "floor", unit: "a second", value: workflows / measured.seconds },
    ...(temporal === undefined
      ? []
      : [
          processorFigure("processor of the floor: temporal", temporal, workflows),
          processorFigure("processor of the floor: worker", measured.processorSeconds, workflows),
          processorFigure(processorAllOfFloor, temporal + measured.processorSeconds, workflows),
        ]),
  ];
}

const floorSchema = z.object({ seconds: z.number(), processorSeconds: z.number() });

function sumOfAll(used: ProcessorSeconds, except: string): number {
  return [...used].reduce((sum, [name, seconds]) => (name === except ? sum : sum + seconds), 0);
}

function processorFigure(name: string, seconds: number, orders: number): Figure {
  return { name, unit: "ms an order", value: (seconds * 1_000) / orders };
}
