import { randomUUID } from "node:crypto";
import type { Database } from "../src/db/connection.ts";
import { applyStockBatch } from "../src/db/stock.ts";
import type { SkuId } from "../src/domain/ids.ts";
import type { StockOperation } from "../src/domain/stock/operation.ts";
import { type SeededShop, seedSku } from "../test/support/seed.ts";
import type { Benchmark } from "./benchmark.ts";
import { repeated } from "./harness.ts";
import { buildInstallation } from "./installation.ts";
import { compareTo, type Figure, medianOf } from "./report.ts";
import { onServers } from "./servers.ts";
import { reservationOf } from "./stock.ts";

/**
 * What a batch costs on a SKU whose ledger has a million rows, with the orders, answers and resolved reservations that these
 * belong to, beside one that has never sold: both in turn, straight to Postgres, on one connection.
 */
export const longHistory: Benchmark = {
  name: "history",
  title: "a batch on a SKU with a long history",
  async run({ runs, short }) {
    return await onServers(async (servers) => {
      const movements = short ? 20_000 : 1_000_000;
      const rounds = short ? 10 : 100;
      const { shop, skuIds } = await buildInstallation(servers, servers.openDatabase("cf_app", 1), {
        skus: 1,
        movements,
      });
      const [sold] = skuIds;
      if (sold === undefined) throw new Error("The installation has no SKU.");
      const bed = { db: servers.openDatabase("cf_app", 1), shop, sold };
      await receive(bed, sold);
      await measure(bed, 5, batchSizes[0]);
      const found = await repeated(runs, async () => {
        const figures: Figure[] = [];
        for (const size of batchSizes) figures.push(...(await measure(bed, rounds, size)));
        return figures;
      });
      return {
        settings: { "rows of the long ledger": movements, "rounds, two batches each": rounds },
        runs: found,
        compare: (median) =>
          batchSizes.map((size) =>
            compareTo(nameOf(size, ratio), median(nameOf(size, ratio)), "×", "at most", 1.15),
          ),
      };
    });
  },
};

const batchSizes = [10, 500] as const;
const ratio = "long against none";
const nameOf = (size: number, what: string): string => `${size} operations, ${what}`;

interface Bed {
  readonly db: Database;
  readonly shop: SeededShop;
  readonly sold: SkuId;
}

/** In each round the long one goes first as often as the other, so that neither has the warmer caches. */
async function measure(bed: Bed, rounds: number, size: number): Promise<Figure[]> {
  const none: number[] = [];
  const long: number[] = [];
  const ratios: number[] = [];
  for (let round = 0; round < rounds; round += 1) {
    const unsold = await seedSku(bed.db, bed.shop, 0);
    await receive(bed, unsold);
    const measureNone = async () => void none.push(await timeOfTwoBatches(bed, unsold, size));
    const measureLong = async () => void long.push(await timeOfTwoBatches(bed, bed.sold, size));
    const turns = [measureNone, measureLong];
    if (round % 2 === 1) turns.reverse();
    for (const turn of turns) await turn();
    ratios.push((long.at(-1) ?? Number.NaN) / (none.at(-1) ?? Number.NaN));
  }
  return [
    { name: nameOf(size, "no history"), unit: "ms", value: medianOf(none) / 2 },
    { name: nameOf(size, "long history"), unit: "ms", value: medianOf(long) / 2 },
    // Of each round, since what else the machine does changes from one to the next.
    { name: nameOf(size, ratio), unit: "×", value: medianOf(ratios) },
  ];
}

/** One batch reserves, one ships half of it and releases the other half. */
async function timeOfTwoBatches({ db, shop }: Bed, skuId: SkuId, size: number): Promise<number> {
  const series = randomUUID();
  const reserves = Array.from({ length: size }, (_, index) => reservationOf(series, index));
  const ends = reserves.map(
    ({ claim }, index): StockOperation =>
      index % 2 === 0
        ? { kind: "release", claim, reason: "cancelled" }
        : { kind: "ship", claim, quantity: 1, outside: false },
  );
  const began = performance.now();
  const answers = [
    ...(await applyStockBatch(db, shop.tenantId, skuId, reserves)).answers,
    ...(await applyStockBatch(db, shop.tenantId, skuId, ends)).answers,
  ];
  const milliseconds = performance.now() - began;
  const refused = answers.find(
    ({ outcome }) => outcome !== "reserved" && outcome !== "released" && outcome !== "shipped",
  );
  if (refused !== undefined) throw new Error(`Not applied: ${JSON.stringify(refused)}`);
  return milliseconds;
}

async function receive({ db, shop }: Bed, skuId: SkuId): Promise<void> {
  await applyStockBatch(db, shop.tenantId, skuId, [
    {
      kind: "receive",
      changeId: randomUUID(),
      quantity: 1_000_000,
      reason: "delivery",
      actorId: null,
      locationId: null,
    },
  ]);
}
