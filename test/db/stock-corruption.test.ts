import { describe, expect, test } from "vitest";
import type { Database } from "../../src/db/connection.ts";
import { applyStockBatch } from "../../src/db/stock.ts";
import { stopIfCorrupt } from "../../src/db/stock-corruption.ts";
import { withTenant } from "../../src/db/tenant.ts";
import type { SkuId } from "../../src/domain/ids.ts";
import type { StockOperation } from "../../src/domain/stock/operation.ts";
import { sweepCorruptStock } from "../../src/intake/upkeep.ts";
import { invariants } from "../../src/proof/invariants.ts";
import { proveNightly } from "../../src/proof/proof.ts";
import { adjust, at, claim, reserve } from "../domain/stock/stock-builders.ts";
import { type SeededShop, seedShop, seedSku, stockOf } from "../support/seed.ts";
import { type UsedTestDatabase, useTestDatabase } from "../support/use-test-database.ts";
import { silent } from "../support/workers.ts";

let database: UsedTestDatabase;
let db: Database;
let dispatcher: Database;
let report: Database;
let shop: SeededShop;

useTestDatabase(async (made) => {
  database = made;
  [db, dispatcher, report] = [made.open(), made.open("cf_dispatcher"), made.open("cf_report")];
  shop = await seedShop(db);
});

const apply = async (skuId: SkuId, ...operations: StockOperation[]) =>
  (await applyStockBatch(db, shop.tenantId, skuId, operations)).answers;
const sweep = () => sweepCorruptStock({ db: dispatcher, logger: silent });
const repair = (skuId: SkuId, onHand: number, repairId = `${skuId}-repair`): StockOperation => ({
  kind: "repair",
  repairId,
  onHand,
  reason: "counted after an accident",
  actorId: null,
  locationId: null,
});

/** As somebody with every right would, past the ledger and past what the database refuses. */
async function corrupt(skuId: SkuId, change: string): Promise<void> {
  await database.asSuperuser(
    `set session_replication_role = replica; update stock_levels set ${change} where sku_id = '${skuId}';
     reset session_replication_role`,
  );
}

async function stoppedBecause(skuId: SkuId): Promise<string | null> {
  const [row] = await database.asSuperuser<{ stop_reason: string | null }>(
    "select stop_reason from stock_levels where sku_id = $1",
    [skuId],
  );
  return row!.stop_reason;
}

async function alertsOf(skuId: SkuId): Promise<readonly string[]> {
  const rows = await database.asSuperuser<{ told: string }>(
    "select kind || ' ' || state as told from alerts where sku_id = $1 and kind = 'stock_corrupt' order by opened_at",
    [skuId],
  );
  return rows.map(({ told }) => told);
}

/** What the invariants find wrong of a SKU. */
async function findingsOf(skuId: SkuId): Promise<readonly string[]> {
  const [sku] = await database.asSuperuser<{ code: string }>("select code from skus where id = $1", [skuId]);
  const found: string[] = [];
  for (const { name, query } of invariants) {
    const rows = await database.asSuperuser<{ subject: string; under_way: boolean }>(query);
    if (rows.some((row) => row.subject === sku!.code && !row.under_way)) found.push(name);
  }
  return found;
}

describe("a number that was changed past the ledger", () => {
  test.each([
    ["a unit too many", "current_stock = current_stock + 1", "on hand was 11, its movements add up to 10"],
    ["a unit too few", "current_stock = current_stock - 1", "on hand was 9, its movements add up to 10"],
    [
      "a promise too many",
      "reserved_stock = reserved_stock + 1",
      "reserved was 3, its movements add up to 2",
    ],
    ["no promises any more", "reserved_stock = 0", "reserved was 0, its movements add up to 2"],
    [
      "a change that pretends to be a batch",
      "current_stock = 50, version = version + 1, last_sequence = last_sequence + 1",
      "on hand was 50, its movements add up to 10",
    ],
    [
      "a movement that there is not",
      "last_sequence = last_sequence + 3",
      "its last movement was number 5, the ledger's is 2",
    ],
    [
      "a movement too few",
      "last_sequence = last_sequence - 1",
      "its last movement was number 1, the ledger's is 2",
    ],
  ])(
    "%s: is named, stops the SKU at its ledger's numbers, and one movement lets it go on",
    async (_what, change, reason) => {
      const skuId = await seedSku(db, shop, 10);
      await apply(skuId, reserve(`${skuId}-a`, { quantity: 2 }));
      await corrupt(skuId, change);
      expect(await findingsOf(skuId)).not.toEqual([]);

      expect(await sweep()).toBe(1);
      expect(await stoppedBecause(skuId)).toContain(reason);
      expect(await stockOf(db, shop.tenantId, skuId)).toEqual({ onHand: 10, reserved: 2 });
      expect(await alertsOf(skuId)).toEqual(["stock_corrupt open"]);
      expect(await findingsOf(skuId)).toEqual(["no SKU waits for a repair"]);
      expect(await sweep()).toBe(0);

      expect(await apply(skuId, reserve(`${skuId}-b`), adjust(`${skuId}-more`, 1))).toEqual([
        { outcome: "short" },
        { outcome: "adjusted", onHand: 11, available: 9 },
      ]);
      // What was promised before goes on: those units are known.
      expect(
        await apply(skuId, { kind: "ship", claim: claim(`${skuId}-a`), quantity: 2, outside: false }),
      ).toEqual([{ outcome: "shipped" }]);

      expect(await apply(skuId, repair(skuId, 8))).toEqual([
        { outcome: "adjusted", onHand: 8, available: 7 },
      ]);
      expect(await stoppedBecause(skuId)).toBeNull();
      expect(await stockOf(db, shop.tenantId, skuId)).toEqual({ onHand: 8, reserved: 1 });
      expect(await alertsOf(skuId)).toEqual(["stock_corrupt rearmed"]);
      expect(await findingsOf(skuId)).toEqual([]);
      const booked = await database.asSuperuser(
        "select kind, on_hand_effect, reason from inventory_transactions where sku_id = $1 and reference_type = 'repair'",
        [skuId],
      );
      expect(booked).toEqual([{ kind: "adjust", on_hand_effect: -1, reason: "counted after an accident" }]);
    },
  );

  test("what was sold by the wrong number is told apart once it is repaired", async () => {
    const skuId = await seedSku(db, shop, 1);
    await corrupt(skuId, "current_stock = 2");
    await apply(skuId, reserve(`${skuId}-a`));
    await corrupt(skuId, "current_stock = 1");
    await apply(skuId, adjust(`${skuId}-more`, 4));
    await corrupt(skuId, "current_stock = 7");
    expect(await findingsOf(skuId)).toContain("each movement begins where the one before it ended");
    await sweep();
    await apply(skuId, repair(skuId, 5));
    expect(await findingsOf(skuId)).toEqual([]);
    await apply(skuId, reserve(`${skuId}-b`, { quantity: 3 }));
    expect(await findingsOf(skuId)).toEqual([]);
  });

  test("a repair that finds what the ledger says moves nothing and is written down", async () => {
    const skuId = await seedSku(db, shop, 3);
    await corrupt(skuId, "current_stock = 4");
    // Nobody has looked yet: who repairs has found it himself.
    expect(await apply(skuId, repair(skuId, 3))).toEqual([{ outcome: "adjusted", onHand: 3, available: 3 }]);
    expect(
      await database.asSuperuser(
        "select quantity, reason from inventory_transactions where sku_id = $1 and reference_type = 'repair'",
        [skuId],
      ),
    ).toEqual([{ quantity: 0, reason: "counted after an accident" }]);
    expect(await findingsOf(skuId)).toEqual([]);
  });

  test("a repair is refused where nothing is wrong, and where fewer would remain than are promised", async () => {
    const skuId = await seedSku(db, shop, 3);
    await apply(skuId, reserve(`${skuId}-a`, { quantity: 2 }));
    expect(await apply(skuId, repair(skuId, 3, `${skuId}-early`))).toEqual([
      { outcome: "refused", reason: "nothing_to_repair" },
    ]);
    await corrupt(skuId, "current_stock = 4");
    expect(await apply(skuId, repair(skuId, 1))).toEqual([{ outcome: "refused", reason: "below_reserved" }]);
    expect(await stoppedBecause(skuId)).not.toBeNull();
    // Nothing but a movement lets it go on.
    await expect(
      database.asSuperuser(
        "update stock_levels set stopped_at = null, stop_reason = null where sku_id = $1",
        [skuId],
      ),
    ).rejects.toThrow(/goes on by a movement/);
    expect(await apply(skuId, repair(skuId, 2, `${skuId}-again`))).toMatchObject([{ outcome: "adjusted" }]);
  });

  test("a number that refuses what is right stops the SKU at once, and the order's units leave all the same", async () => {
    const skuId = await seedSku(db, shop, 5);
    await apply(skuId, reserve(`${skuId}-a`, { quantity: 5 }));
    await corrupt(skuId, "reserved_stock = 0, current_stock = 1");
    expect(
      await apply(skuId, { kind: "ship", claim: claim(`${skuId}-a`), quantity: 5, outside: false }),
    ).toEqual([{ outcome: "shipped" }]);
    expect(await stoppedBecause(skuId)).toMatch(/on hand was 1, .* reserved was 0/);
    expect(await stockOf(db, shop.tenantId, skuId)).toEqual({ onHand: 0, reserved: 0 });
  });

  test("a batch that went on from the wrong number hides it from nobody", async () => {
    const skuId = await seedSku(db, shop, 5);
    await corrupt(skuId, "current_stock = 50");
    await apply(skuId, reserve(`${skuId}-a`));
    expect(await sweep()).toBe(1);
    expect(await stoppedBecause(skuId)).toMatch(/on hand was 50, its movements add up to 5/);
    await apply(skuId, repair(skuId, 5));
    expect(await sweep()).toBe(0);
  });

  test("more has left by the wrong number than ever came: the level stands at nothing until the repair", async () => {
    const skuId = await seedSku(db, shop, 2);
    await corrupt(skuId, "current_stock = 50");
    await apply(skuId, reserve(`${skuId}-a`, { quantity: 10 }));
    await apply(skuId, { kind: "ship", claim: claim(`${skuId}-a`), quantity: 10, outside: false });
    expect(await sweep()).toBe(1);
    expect(await stockOf(db, shop.tenantId, skuId)).toEqual({ onHand: 0, reserved: 0 });
    expect(await apply(skuId, repair(skuId, 3))).toEqual([{ outcome: "adjusted", onHand: 3, available: 3 }]);
    expect(await findingsOf(skuId)).toEqual([]);
  });

  test("more was promised by the wrong number than there is: somebody says who waits, and nothing is sold beyond it", async () => {
    const skuId = await seedSku(db, shop, 5);
    await corrupt(skuId, "current_stock = 50");
    await apply(skuId, reserve(`${skuId}-a`, { quantity: 20 }));
    expect(await sweep()).toBe(1);
    expect(await stockOf(db, shop.tenantId, skuId)).toEqual({ onHand: 5, reserved: 20 });
    expect(await apply(skuId, repair(skuId, 6))).toEqual([{ outcome: "refused", reason: "below_reserved" }]);
    const waiting = {
      claim: claim(`${skuId}-a`),
      quantity: 20,
      rank: { paidAt: null, orderedAt: at(1) },
      locationId: null,
    };
    expect(
      await apply(skuId, {
        kind: "count",
        countId: `${skuId}-count`,
        onHand: 6,
        reason: "counted",
        actorId: null,
        expectedVersion: null,
        locationId: null,
        leaveShort: [waiting],
      }),
    ).toEqual([{ outcome: "adjusted", onHand: 6, available: 6 }]);
    expect(await apply(skuId, repair(skuId, 6, `${skuId}-again`))).toMatchObject([{ outcome: "adjusted" }]);
    expect(
      await apply(
        skuId,
        { kind: "release", claim: claim(`${skuId}-a`), reason: "cancelled" },
        reserve(`${skuId}-b`, { quantity: 7 }),
      ),
    ).toEqual([{ outcome: "withdrawn" }, { outcome: "short" }]);
    expect(await findingsOf(skuId)).toEqual([]);
  });

  test("a stopped number that is changed once more is repaired all the same", async () => {
    const skuId = await seedSku(db, shop, 9);
    await corrupt(skuId, "current_stock = 20");
    await sweep();
    // Who has counted writes it where he should not.
    await corrupt(skuId, "current_stock = 12");
    expect(await apply(skuId, repair(skuId, 12))).toMatchObject([{ outcome: "adjusted", onHand: 12 }]);
    expect(await findingsOf(skuId)).toEqual([]);
  });

  test("a proof hands the SKU on by name, so that it is stopped", async () => {
    const skuId = await seedSku(db, shop, 5);
    await corrupt(skuId, "current_stock = 6");
    // The other SKUs here have claims without orders, which the proof rightly names too.
    const outcome = await proveNightly({
      db: report,
      simulatorUrl: null,
      recordIn: dispatcher,
      settleSeconds: 0,
    });
    expect(outcome).toMatchObject({ clean: false, corruptedSkus: 1 });
    expect(await database.asSuperuser("select payload from outbox where kind = 'check_stock'")).toEqual([
      { payload: { skuId } },
    ]);
    expect(
      await withTenant(dispatcher, shop.tenantId, (transaction) =>
        stopIfCorrupt(transaction, shop.tenantId, skuId),
      ),
    ).toMatch(/on hand was 6/);
    await apply(skuId, repair(skuId, 5));
  });
});

test("batches under way are never taken for corruption", async () => {
  const skuIds = await Promise.all([1, 2, 3].map(() => seedSku(db, shop, 100)));
  let going = true;
  const load = Promise.all(
    skuIds.map(async (skuId) => {
      for (let round = 0; round < 60; round += 1) {
        await apply(
          skuId,
          reserve(`${skuId}-${round}`),
          adjust(`${skuId}-${round}`, round % 2 === 0 ? 1 : -1),
        );
      }
    }),
  ).finally(() => {
    going = false;
  });
  let looks = 0;
  while (going) {
    expect(await sweep()).toBe(0);
    looks += 1;
  }
  await load;
  expect(looks).toBeGreaterThan(5);
});
