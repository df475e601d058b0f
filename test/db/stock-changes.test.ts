import { beforeAll, describe, expect, test } from "vitest";
import type { Database } from "../../src/db/connection.ts";
import { applyStockBatch } from "../../src/db/stock.ts";
import { withTenant } from "../../src/db/tenant.ts";
import { asId, type LocationId, type SkuId } from "../../src/domain/ids.ts";
import { holdClaim, type StockOperation } from "../../src/domain/stock/operation.ts";
import { invariants } from "../../src/proof/invariants.ts";
import { at, claim, reserve } from "../domain/stock/stock-builders.ts";
import { type SeededShop, seedShop, seedSku, stockOf } from "../support/seed.ts";
import { type UsedTestDatabase, useTestDatabase } from "../support/use-test-database.ts";

let database: UsedTestDatabase;
let db: Database;
let shop: SeededShop;
let north: LocationId;

useTestDatabase(async (made) => {
  database = made;
  db = database.open();
  shop = await seedShop(db);
});
beforeAll(async () => {
  const { id } = await withTenant(db, shop.tenantId, (transaction) =>
    transaction
      .insertInto("locations")
      .values({ tenant_id: shop.tenantId, name: "North" })
      .returning("id")
      .executeTakeFirstOrThrow(),
  );
  north = asId<"Location">(id);
});

const byHand = { reason: "by hand", actorId: null, locationId: null } as const;
const apply = async (skuId: SkuId, ...operations: StockOperation[]) =>
  (await applyStockBatch(db, shop.tenantId, skuId, operations)).answers;

async function levelsOf(skuId: SkuId) {
  const rows = await withTenant(db, shop.tenantId, (transaction) =>
    transaction
      .selectFrom("stock_levels")
      .where("sku_id", "=", skuId)
      .select(["location_id", "current_stock", "reserved_stock"])
      .execute(),
  );
  return Object.fromEntries(
    rows.map((row) => [
      row.location_id === north ? "north" : "home",
      [row.current_stock, row.reserved_stock],
    ]),
  );
}

/** Every invariant; the claims here pretend to have orders, and the audit rows are too young to be sealed. */
async function expectEveryNumberExplained(): Promise<void> {
  for (const { name, query } of invariants) {
    const rows = await database.asSuperuser<{ under_way: boolean }>(query);
    expect(
      rows.filter((row) => !row.under_way),
      name,
    ).toEqual([]);
  }
}

describe("a claim over two locations", () => {
  test("is reserved, shipped and reversed part by part, and every number is explained", async () => {
    const skuId = await seedSku(db, shop, 10);
    await apply(skuId, {
      kind: "receive",
      changeId: `${skuId}-r`,
      quantity: 15,
      ...byHand,
      locationId: north,
    });
    const [large, small] = [`${skuId}-large`, `${skuId}-small`];
    expect(await apply(skuId, reserve(large, { quantity: 13 }), reserve(small, { quantity: 12 }))).toEqual([
      { outcome: "reserved" },
      { outcome: "reserved" },
    ]);
    expect(await levelsOf(skuId)).toEqual({ home: [10, 10], north: [15, 15] });
    await expectEveryNumberExplained();
    await apply(skuId, { kind: "ship", claim: claim(large), quantity: 13, outside: false });
    expect(await levelsOf(skuId)).toEqual({ home: [0, 0], north: [12, 12] });
    await apply(
      skuId,
      { kind: "reverse", claim: claim(large), reason: "cancelled" },
      { kind: "release", claim: claim(small), reason: "cancelled" },
    );
    expect(await levelsOf(skuId)).toEqual({ home: [10, 0], north: [15, 0] });
    await expectEveryNumberExplained();
  });
});

describe("a count that leaves an order short", () => {
  test("moves its claim to the next generation, wakes it, and serves it again when units come", async () => {
    const skuId = await seedSku(db, shop, 1);
    const order = `${skuId}-short`;
    await apply(skuId, reserve(order, { paid: 1 }));
    const leaveShort = [
      { claim: claim(order), quantity: 1, rank: { paidAt: at(1), orderedAt: at(0) }, locationId: null },
    ];
    const count: StockOperation = {
      kind: "count",
      countId: `${skuId}-count`,
      onHand: 0,
      expectedVersion: 2,
      leaveShort,
      ...byHand,
    };
    expect(await apply(skuId, count)).toEqual([{ outcome: "adjusted", onHand: 0, available: 0 }]);
    expect(await apply(skuId, count)).toEqual([{ outcome: "adjusted", onHand: 0, available: 0 }]);
    const [woken] = await database.asSuperuser<{ payload: object }>(
      "select payload from outbox where kind = 'wake_order' and key = $1",
      [`shop/${order}/1/yield/2`],
    );
    expect(woken?.payload).toEqual({ orderRef: `shop/${order}` });
    await expectEveryNumberExplained();

    // The order has not heard of it, and ships: the same units are meant.
    expect(await apply(skuId, { kind: "ship", claim: claim(order), quantity: 1, outside: true })).toEqual([
      { outcome: "shipped" },
    ]);
    expect(await stockOf(db, shop.tenantId, skuId)).toEqual({ onHand: 0, reserved: 0 });
    await expectEveryNumberExplained();
  });
});

describe("a transfer", () => {
  test("makes a level where the units go, and is under way until all of it is received or missing", async () => {
    const skuId = await seedSku(db, shop, 5);
    const transferId = `${skuId}-t`;
    await apply(skuId, {
      kind: "send_transfer",
      transferId,
      fromLocationId: shop.locationId,
      toLocationId: north,
      quantity: 4,
      reason: "more is sold there",
      actorId: null,
    });
    expect(await levelsOf(skuId)).toEqual({ home: [1, 0], north: [0, 0] });
    const take = (takingId: string, received: number, missing: number) =>
      apply(skuId, {
        kind: "take_transfer",
        transferId,
        takingId,
        received,
        missing,
        reason: "arrived",
        actorId: null,
      });
    await take("1", 2, 0);
    await take("1", 2, 0);
    expect(await take("2", 2, 1)).toEqual([{ outcome: "refused", reason: "not_under_way" }]);
    await take("3", 1, 1);
    expect(await levelsOf(skuId)).toEqual({ home: [1, 0], north: [3, 0] });
    await expectEveryNumberExplained();
  });

  test("never goes to another seller's location", async () => {
    const theirs = await seedShop(db);
    const skuId = await seedSku(db, shop, 5);
    expect(
      await apply(skuId, {
        kind: "send_transfer",
        transferId: `${skuId}-t`,
        fromLocationId: shop.locationId,
        toLocationId: theirs.locationId,
        quantity: 1,
        reason: "wrong",
        actorId: null,
      }),
    ).toEqual([{ outcome: "refused", reason: "unknown_location" }]);
  });
});

test("a hold counts as reserved until it is released, and is explained like any other claim", async () => {
  const skuId = await seedSku(db, shop, 3);
  const holdId = crypto.randomUUID();
  const expiresAt = new Date(Date.now() + 3_600_000).toISOString();
  await apply(skuId, { kind: "hold", holdId, quantity: 2, expiresAt, ...byHand });
  expect(await levelsOf(skuId)).toEqual({ home: [3, 2] });
  await expectEveryNumberExplained();
  await apply(skuId, { kind: "release", claim: holdClaim(holdId), reason: "over" });
  expect(await levelsOf(skuId)).toEqual({ home: [3, 0] });
  await expectEveryNumberExplained();
});

test("the backorder floor is stored with the level, and refused above what is promised", async () => {
  const skuId = await seedSku(db, shop, 0);
  const floor = (units: number): StockOperation => ({
    kind: "set_backorder_floor",
    changeId: `${skuId}-${units}`,
    floor: units,
    locationId: null,
  });
  await apply(skuId, floor(-2));
  expect(await apply(skuId, reserve(`${skuId}-a`))).toEqual([{ outcome: "reserved" }]);
  expect(await apply(skuId, floor(0))).toEqual([{ outcome: "refused", reason: "below_reserved" }]);
  expect(await levelsOf(skuId)).toEqual({ home: [0, 1] });
});

test("changes by hand are in the audit log with the numbers before and after", async () => {
  const skuId = await seedSku(db, shop, 4);
  await apply(skuId, { kind: "damage", changeId: `${skuId}-d`, quantity: 1, ...byHand, reason: "Fell down" });
  const rows = await database.asSuperuser(
    "select event_type, reason, old_values ->> 'current_stock' as before, new_values ->> 'current_stock' as after from inventory_audit_log where sku_id = $1",
    [skuId],
  );
  expect(rows).toEqual([{ event_type: "damage", reason: "Fell down", before: "4", after: "3" }]);
});
