import { randomUUID } from "node:crypto";
import pg from "pg";
import { createActivities } from "../src/activities/index.ts";
import { createStockActivities } from "../src/activities/stock.ts";
import { applyStockBatch } from "../src/db/stock.ts";
import type { Database } from "../src/db/connection.ts";
import type { SkuId } from "../src/domain/ids.ts";
import { operationIdOf, reservationIdOf, type StockOperation } from "../src/domain/stock/operation.ts";
import { type SeededShop, seedShop, seedSku } from "../test/support/seed.ts";
import type { Benchmark } from "./benchmark.ts";
import { repeated } from "./harness.ts";
import { clocked, processorFigures } from "./processor-time.ts";
import { compareTo, type Figure, quantileOf } from "./report.ts";
import { type BenchServers, onServers, workerDependencies, workerPoolSize } from "./servers.ts";

/**
 * Reservations per second on one SKU. Requests enter where an order's do, at the coalescer, and go through the entity.
 * Beside it, on the same database: one transaction a reservation from 32 connections, which writes the same rows in as few
 * statements as it can; and the entity's own batches without entity and Temporal.
 */
export const stockRate: Benchmark = {
  name: "stock",
  title: "reservations per second on one SKU",
  async run({ runs, short }) {
    return await onServers(async (servers) => {
      const bed = await prepare(servers);
      const share = short ? 0.1 : 1;
      const load = {
        many: { inFlight: 2_000, operations: 60_000 * share },
        some: { inFlight: 400, operations: 20_000 * share },
        single: { inFlight: singleConnections, operations: 6_000 * share },
        batches: { inFlight: batchOperations, operations: 60_000 * share },
      };
      const found = await warmUp(bed)
        .then(() =>
          repeated(runs, async () => [
            ...(await measure(bed, "2,000 in flight", load.many, bed.throughEntity)),
            ...(await measure(bed, "400 in flight", load.some, bed.throughEntity)),
            ...(await measure(bed, "single transactions", load.single, bed.singly)),
            ...(await measureBatches(bed, load.batches.operations)),
          ]),
        )
        .finally(() => bed.close());
      return {
        settings: {
          "single transactions, connections": singleConnections,
          "connections of the worker": workerPoolSize,
          "operations a batch straight to Postgres": batchOperations,
          "reservations measured with 2,000 in flight": load.many.operations,
        },
        runs: found,
        compare: (median) => {
          const single = median("single transactions");
          return [
            compareTo("2,000 in flight", median("2,000 in flight") / single, "× single", "at least", 10),
            compareTo("400 in flight", median("400 in flight") / single, "× single", "at least", 4),
          ];
        },
      };
    });
  },
};

const singleConnections = 32;
const batchOperations = 1_000;
const unitsPerSku = 1_000_000;

/** Reserves one unit for one order; resolves when it is reserved. */
type Reserve = (skuId: SkuId, operation: StockOperation) => Promise<void>;

interface Bed {
  readonly servers: BenchServers;
  readonly db: Database;
  readonly shop: SeededShop;
  readonly throughEntity: Reserve;
  readonly singly: Reserve;
  close(): Promise<void>;
}

async function prepare(servers: BenchServers): Promise<Bed> {
  const db = servers.openDatabase("cf_app", workerPoolSize);
  const shop = await seedShop(db);
  const queuePrefix = "stock-";
  const dependencies = workerDependencies(servers, db, queuePrefix);
  const stock = createStockActivities(dependencies);
  const workers = await servers.startWorkers(createActivities(dependencies), queuePrefix);
  const single = openSingle(servers.databaseUrl, shop);
  return {
    servers,
    db,
    shop,
    async throughEntity(skuId, operation) {
      const [answer] = await stock.requestStock({
        tenantId: shop.tenantId,
        operations: [{ skuId, operation }],
      });
      if (answer?.outcome !== "reserved") throw new Error(`Not reserved: ${JSON.stringify(answer)}`);
    },
    singly: single.reserve,
    async close() {
      await workers.stop();
      await single.close();
    },
  };
}

async function warmUp(bed: Bed): Promise<void> {
  const load = { inFlight: 200, operations: 2_000 };
  await measure(bed, "warm up", load, bed.throughEntity);
  await measure(bed, "warm up", load, bed.singly);
}

/** As many callers as are in flight, each asking again as soon as it is answered. */
async function measure(
  bed: Bed,
  name: string,
  { inFlight, operations }: { readonly inFlight: number; readonly operations: number },
  reserve: Reserve,
): Promise<Figure[]> {
  const skuId = await seedSku(bed.db, bed.shop, unitsPerSku);
  const series = randomUUID();
  const milliseconds: number[] = [];
  let next = 0;
  const caller = async (): Promise<void> => {
    while (next < operations) {
      const asked = performance.now();
      await reserve(skuId, reservationOf(series, next++));
      milliseconds.push(performance.now() - asked);
    }
  };
  const { seconds, used } = await clocked(
    () => bed.servers.processorSeconds(),
    () => Promise.all(Array.from({ length: inFlight }, caller)),
  );
  await expectReserved(bed, skuId, operations);
  return [
    { name, unit: "a second", value: operations / seconds },
    { name: `${name}: p99`, unit: "ms", value: quantileOf(milliseconds, 0.99) },
    ...processorFigures(`${name}: processor, `, used, "ms for 1,000", operations),
  ];
}

async function measureBatches(bed: Bed, operations: number): Promise<Figure[]> {
  const name = "batches straight to Postgres";
  const skuId = await seedSku(bed.db, bed.shop, unitsPerSku);
  const series = randomUUID();
  const { seconds, used } = await clocked(
    () => bed.servers.processorSeconds(),
    async () => {
      for (let start = 0; start < operations; start += batchOperations) {
        const batch = Array.from({ length: batchOperations }, (_, index) =>
          reservationOf(series, start + index),
        );
        await applyStockBatch(bed.db, bed.shop.tenantId, skuId, batch);
      }
    },
  );
  await expectReserved(bed, skuId, operations);
  return [
    { name, unit: "a second", value: operations / seconds },
    ...processorFigures(`${name}: processor, `, used, "ms for 1,000", operations),
  ];
}

/** A rate of reservations that were not all made would be no rate. */
async function expectReserved({ servers }: Bed, skuId: SkuId, units: number): Promise<void> {
  const [level] = await servers.query<{ reserved: number; held: string; movements: string; applied: string }>(
    `select reserved_stock as reserved,
       (select count(*) from reservations where sku_id = $1 and state = 'held') as held,
       (select count(*) from inventory_transactions where sku_id = $1 and kind = 'reserve') as movements,
       (select count(*) from stock_operations where sku_id = $1 and input like 'reserve%') as applied
     from stock_levels where sku_id = $1`,
    [skuId],
  );
  const counts = [level?.reserved, level?.held, level?.movements, level?.applied].map(Number);
  if (counts.some((count) => count !== units))
    throw new Error(`${units} units were reserved, but the rows count ${counts.join(", ")}`);
}

/** A reservation of one unit for one of a series of orders. */
export function reservationOf(series: string, index: number): Extract<StockOperation, { kind: "reserve" }> {
  return {
    kind: "reserve",
    claim: { orderRef: `${series}/${index}`, lineId: "1", generation: 1 },
    quantity: 1,
    rank: { paidAt: null, orderedAt: "2026-01-01T00:00:00.000Z" },
    locationId: null,
  };
}

/**
 * What somebody would write who locks rows: the level is lowered on the condition that enough is there, and ledger,
 * reservation and applied operation are written by the same statement.
 */
function openSingle(
  databaseUrl: string,
  { tenantId }: SeededShop,
): { readonly reserve: Reserve; close(): Promise<void> } {
  const pool = new pg.Pool({
    connectionString: databaseUrl,
    max: singleConnections,
    options: "-c role=cf_app -c timezone=UTC",
  });
  pool.on("error", () => undefined);
  const statement = `
    with level as (
      update stock_levels
      set reserved_stock = reserved_stock + 1, version = version + 1, last_sequence = last_sequence + 1,
          updated_at = clock_timestamp()
      where tenant_id = $1 and sku_id = $2 and current_stock - reserved_stock - backorder_floor >= 1
      returning location_id, current_stock, reserved_stock, last_sequence
    ), movement as (
      insert into inventory_transactions (tenant_id, sku_id, location_id, sequence, kind, quantity, on_hand_effect,
        reserved_effect, previous_stock, new_stock, previous_reserved, new_reserved, reason, operation_id,
        reference_type, reference_id)
      select $1, $2, location_id, last_sequence, 'reserve', 1, 0, 1, current_stock, current_stock, reserved_stock - 1,
        reserved_stock, 'order', $3, 'order_line', $4 || '/1'
      from level
    ), reservation as (
      insert into reservations (tenant_id, reservation_id, sku_id, location_id, order_ref, line_id, generation, quantity)
      select $1, $5, $2, location_id, $4, '1', 1, 1 from level
    )
    insert into stock_operations (tenant_id, operation_id, sku_id, input, answer)
    select $1, $3, $2, 'reserve 1 at any', jsonb_build_object('outcome', 'reserved', 'locationId', location_id) from level`;
  return {
    async reserve(skuId, operation) {
      if (operation.kind !== "reserve") throw new Error("Only reservations are measured here.");
      const { claim } = operation;
      const client = await pool.connect();
      try {
        await client.query("begin");
        await client.query({
          name: "tenant",
          text: "select set_config('app.tenant_id', $1, true)",
          values: [tenantId],
        });
        const { rowCount } = await client.query({
          name: "reserve",
          text: statement,
          values: [tenantId, skuId, operationIdOf(operation), claim.orderRef, reservationIdOf(claim)],
        });
        await client.query("commit");
        if (rowCount !== 1) throw new Error("Not reserved: nothing was available");
      } finally {
        client.release();
      }
    },
    close: () => pool.end(),
  };
}
