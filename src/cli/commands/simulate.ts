import { setTimeout as wait } from "node:timers/promises";
import type { Command } from "commander";
import { z } from "zod";
import { adjustAnswer, productsPage } from "../../api/contract/inventory.ts";
import type { ApiClient } from "../client.ts";
import type { CommandContext } from "../context.ts";
import { CommandFailure } from "../failure.ts";
import { wholeNumber } from "../numbers.ts";
import { table } from "../output.ts";
import { callSimulator } from "../simulator-controls.ts";
import { addFaultCommands } from "./faults.ts";

const catalogueSchema = z.object({
  products: z.array(
    z.object({
      skus: z.array(
        z.object({
          id: z.string(),
          sellerSku: z.string(),
          available: z.number(),
          committed: z.number(),
          reservedForBursts: z.boolean(),
        }),
      ),
    }),
  ),
});
const burstSchema = z.object({ burstId: z.string() });
const burstProgressSchema = z.object({ tried: z.number(), created: z.number(), done: z.boolean() });

/** Seconds that a burst may take until every order is reserved or short. */
const settleSecondsMaximum = 300;
const adjustMaximum = 10_000;

interface BurstOptions {
  readonly orders: number;
  readonly skus: number;
  readonly stock: number;
}

export function addSimulateCommands(program: Command, context: CommandContext): void {
  const simulate = program
    .command("simulate")
    .description("what buyers and a misbehaving channel do, at the simulator of the running stack");
  addFaultCommands(simulate, context);
  simulate
    .command("burst")
    .description("many orders at once for a few SKUs with little stock: what happens when a video goes viral")
    .requiredOption("--orders <number>", "orders, of one unit each", wholeNumber(1, 100_000))
    .requiredOption("--skus <number>", "SKUs they are spread over", wholeNumber(1, 40))
    .requiredOption("--stock <units>", "units in all, spread over the SKUs", wholeNumber(1, 100_000))
    .action((options: BurstOptions) => runBurst(context, options));
}

interface BurstSku {
  readonly channelSkuId: string;
  readonly code: string;
  readonly id: string;
  readonly stock: number;
  /** Available before it was counted. */
  readonly before: number;
}

async function runBurst(context: CommandContext, options: BurstOptions): Promise<void> {
  const { output } = context;
  const simulatorUrl = await context.simulatorUrl();
  const api = await context.api();
  output.progress("Choosing SKUs and counting their stock");
  const skus = await prepareSkus(api, simulatorUrl, options);
  output.progress("Waiting for the channel to show the counted stock");
  await untilChannelShows(simulatorUrl, skus);

  const began = performance.now();
  const { burstId } = await callSimulator(simulatorUrl, "POST", "/_sim/burst", burstSchema, {
    orders: options.orders,
    skuIds: skus.map((sku) => sku.channelSkuId),
    oversell: true,
    // Who is short waits until stock comes, however fast the demo's days pass.
    durations: { shipmentMs: null },
  });
  const deadline = Date.now() + settleSecondsMaximum * 1_000;
  let state = await stateOf(api, skus);
  while (sum(state, "taken") + sum(state, "short") < options.orders) {
    if (Date.now() > deadline) {
      output.endProgress();
      throw new CommandFailure(
        1,
        `After ${settleSecondsMaximum} s only ${sum(state, "taken") + sum(state, "short")} of ${options.orders} units are reserved or short.`,
        "`npm run proof` says what is missing.",
      );
    }
    await wait(1_500);
    const burst = await callSimulator(simulatorUrl, "GET", `/_sim/bursts/${burstId}`, burstProgressSchema);
    state = await stateOf(api, skus);
    output.progress(
      `${burst.created} of ${options.orders} placed; ${sum(state, "taken")} reserved, ${sum(state, "short")} short`,
    );
  }
  output.endProgress();
  const seconds = (performance.now() - began) / 1_000;
  const result = {
    orders: options.orders,
    stock: options.stock,
    reserved: sum(state, "taken"),
    short: sum(state, "short"),
    seconds: Number(seconds.toFixed(1)),
    skus: state,
  };
  output.result(result, () =>
    [
      table(
        ["SKU", "STOCK", "RESERVED OR SHIPPED", "SHORT"],
        [
          ...state.map((sku) => [sku.code, sku.stock, sku.taken, sku.short]),
          ["in all", result.stock, result.reserved, result.short],
        ],
      ),
      `${options.orders} orders, each reserved or short after ${result.seconds} s.`,
      `Next: npm run proof -- --settle 60, then npm run cli -- stock adjust ${state[0]?.code ?? ""} --quantity 100 --reason "Found a box"`,
    ].join("\n\n"),
  );
}

/** SKUs that the steady stream of orders never sells and nobody waits for, counted to their share of the stock. */
async function prepareSkus(
  api: ApiClient,
  simulatorUrl: string,
  options: BurstOptions,
): Promise<readonly BurstSku[]> {
  const { products } = await callSimulator(simulatorUrl, "GET", "/_sim/catalog", catalogueSchema);
  const candidates = products.flatMap((product) => product.skus).filter((sku) => sku.reservedForBursts);
  const known = await untilTakenIn(
    api,
    candidates.map((candidate) => candidate.sellerSku),
  );
  const chosen: BurstSku[] = [];
  for (const candidate of candidates) {
    if (chosen.length === options.skus) break;
    const ours = known.get(candidate.sellerSku);
    if (ours === undefined || ours.shortage > 0 || ours.reserved_stock > 0 || candidate.committed > 0)
      continue;
    const share =
      Math.floor(options.stock / options.skus) + (chosen.length < options.stock % options.skus ? 1 : 0);
    chosen.push({
      channelSkuId: candidate.id,
      code: ours.sku,
      id: ours.id,
      stock: share,
      before: ours.available_stock,
    });
  }
  if (chosen.length < options.skus) {
    throw new CommandFailure(
      2,
      `Only ${chosen.length} of ${candidates.length} SKUs for bursts are quiet; ${options.skus} were asked for.`,
      "Bursts before this one are still being worked off, or left orders short: raise their stock or cancel them, or start with a new CREATORFLOW_HOME.",
    );
  }
  for (const sku of chosen) await addUnits(api, sku.id, sku.stock - sku.before);
  return chosen;
}

/** Right after the first start the shop's catalogue is still being taken in. */
async function untilTakenIn(
  api: ApiClient,
  codes: readonly string[],
): Promise<Awaited<ReturnType<typeof listSkus>>> {
  const deadline = Date.now() + 30_000;
  while (true) {
    const known = await listSkus(api);
    if (codes.every((code) => known.has(code))) return known;
    if (Date.now() > deadline) {
      throw new CommandFailure(
        3,
        "The shop's catalogue has not been taken in after 30 s.",
        "Look into the worker's log.",
      );
    }
    await wait(1_500);
  }
}

async function addUnits(api: ApiClient, skuId: string, units: number): Promise<void> {
  let missing = units;
  while (missing !== 0) {
    const quantity = Math.max(-adjustMaximum, Math.min(adjustMaximum, missing));
    await api.post(
      `/api/inventory/products/${skuId}/adjust`,
      { quantity, reason: "Counted for a simulated burst" },
      adjustAnswer,
    );
    missing -= quantity;
  }
}

async function untilChannelShows(simulatorUrl: string, skus: readonly BurstSku[]): Promise<void> {
  const deadline = Date.now() + 60_000;
  while (true) {
    const { products } = await callSimulator(simulatorUrl, "GET", "/_sim/catalog", catalogueSchema);
    const shown = new Map(products.flatMap((product) => product.skus).map((sku) => [sku.id, sku.available]));
    const late = skus.filter((sku) => shown.get(sku.channelSkuId) !== sku.stock);
    if (late.length === 0) return;
    if (Date.now() > deadline) {
      throw new CommandFailure(
        1,
        `After 60 s the channel still shows another number for ${late.map((sku) => sku.code).join(", ")}.`,
        "`npm run cli -- stock show <sku>` shows how the SKU stands with its channel.",
      );
    }
    await wait(250);
  }
}

/** Units taken from the counted stock: reserved now, or shipped already. */
async function stateOf(api: ApiClient, skus: readonly BurstSku[]) {
  const known = await listSkus(api);
  return skus.map(({ code, stock }) => {
    const now = known.get(code);
    return { code, stock, taken: stock - (now?.available_stock ?? stock), short: now?.shortage ?? 0 };
  });
}

/** Every SKU by its code. One look at all of them costs less of the API's rate limit than one request a SKU. */
async function listSkus(
  api: ApiClient,
): Promise<ReadonlyMap<string, z.output<typeof productsPage>["products"][number]>> {
  const skus = new Map<string, z.output<typeof productsPage>["products"][number]>();
  let cursor: string | undefined;
  do {
    const page = await api.get("/api/inventory/products", { limit: 200, cursor }, productsPage);
    for (const sku of page.products) skus.set(sku.sku, sku);
    cursor = page.pagination.next_cursor ?? undefined;
  } while (cursor !== undefined);
  return skus;
}

function sum<Name extends string>(rows: readonly Readonly<Record<Name, number>>[], name: Name): number {
  return rows.reduce((total, row) => total + row[name], 0);
}
