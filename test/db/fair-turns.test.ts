import fc from "fast-check";
import { sql } from "kysely";
import { expect, test } from "vitest";
import { invariants } from "../../src/proof/invariants.ts";
import type { Database } from "../../src/db/connection.ts";
import type { SkuId } from "../../src/domain/ids.ts";
import { type SeededShop, seedShop, seedSku } from "../support/seed.ts";
import { type UsedTestDatabase, useTestDatabase } from "../support/use-test-database.ts";

/** The proof's check that nobody was served out of his turn, against the same said pair by pair. */
let database: UsedTestDatabase;
let db: Database;
let report: Database;
let shop: SeededShop;

useTestDatabase(async (made) => {
  database = made;
  db = made.open();
  report = made.open("cf_report");
  shop = await seedShop(db);
});

interface Turn {
  readonly quantity: number;
  readonly anywhere: boolean;
  /** Minutes; null: not paid. */
  readonly paidAt: number | null;
  readonly cameAt: number;
  /** When its payment was known, if that was later. */
  readonly rankedAt: number;
  /** Null: waits. */
  readonly servedAt: number | null;
}

const minute = fc.integer({ min: 0, max: 8 });
const turn: fc.Arbitrary<Turn> = fc.record({
  quantity: fc.integer({ min: 1, max: 3 }),
  anywhere: fc.boolean(),
  paidAt: fc.option(minute),
  cameAt: minute,
  rankedAt: minute,
  servedAt: fc.option(minute, { freq: 2 }),
});

/**
 * Names of those who have paid and wait although somebody who paid later, or has not, was served at least as much when their
 * payment was known.
 */
function passedOver(turns: readonly Turn[]): readonly string[] {
  return turns.flatMap((waiting, index) => {
    const { paidAt, cameAt, rankedAt, servedAt } = waiting;
    if (servedAt !== null || paidAt === null) return [];
    const isPassed = turns.some(
      (served) =>
        served.servedAt !== null &&
        served.anywhere === waiting.anywhere &&
        served.quantity >= waiting.quantity &&
        (served.paidAt === null || served.paidAt > paidAt) &&
        served.servedAt > Math.max(cameAt, rankedAt),
    );
    return isPassed ? [`order-${index}`] : [];
  });
}

async function store(skuId: SkuId, turns: readonly Turn[]): Promise<void> {
  const rows = turns.map((each, index) => ({ ...each, name: `order-${index}` }));
  await database.asSuperuser(
    `insert into shortages (tenant_id, reservation_id, sku_id, order_ref, line_id, generation, quantity, location_id, paid_at,
       ordered_at, state, created_at, ranked_at, resolved_at)
     select $1, $2::text || name, $2::text::uuid, name, '1', 1, quantity, case when not anywhere then $3::uuid end,
       at + paid * interval '1 minute', at, case when served is null then 'waiting' else 'served' end,
       at + came * interval '1 minute', at + ranked * interval '1 minute', at + served * interval '1 minute'
     from jsonb_to_recordset($4::jsonb) as given (name text, quantity integer, anywhere boolean, "paidAt" integer, "cameAt" integer,
       "rankedAt" integer, "servedAt" integer)
     cross join lateral (select "paidAt" as paid, "cameAt" as came, "rankedAt" as ranked, "servedAt" as served, timestamptz '2026-01-01' as at) as times`,
    [shop.tenantId, skuId, shop.locationId, JSON.stringify(rows)],
  );
}

test("who waits although a later payment was served is found, and nobody else", async () => {
  const { query } = invariants.find(({ name }) => name.startsWith("no later payment was served"))!;
  await fc.assert(
    fc.asyncProperty(fc.array(turn, { maxLength: 12 }), async (turns) => {
      const skuId = await seedSku(db, shop, 0);
      await store(skuId, turns);
      const { rows } = await sql<{ explanation: string }>`${sql.raw(query)}`.execute(report);
      expect(rows.map(({ explanation }) => explanation.split(" ")[0]).sort()).toEqual(
        [...passedOver(turns)].sort(),
      );
      // The next run's SKU is another; this one's rows are never deleted, so they are no longer looked at.
      await database.asSuperuser(
        "update shortages set state = 'withdrawn', resolved_at = now() where state = 'waiting'",
      );
    }),
    { numRuns: 150 },
  );
});
