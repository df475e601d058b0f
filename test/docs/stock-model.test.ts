import { describe, expect, test } from "vitest";
import type { Database } from "../../src/db/connection.ts";
import { applyStockBatch } from "../../src/db/stock.ts";
import type { SkuId } from "../../src/domain/ids.ts";
import { available, effectOf, type MovementKind } from "../../src/domain/stock/movement.ts";
import { decideOffer } from "../../src/domain/stock/offer.ts";
import { level, StockInMemory } from "../domain/stock/stock-builders.ts";
import { type SeededShop, seedShop, seedSku } from "../support/seed.ts";
import { type UsedTestDatabase, useTestDatabase } from "../support/use-test-database.ts";
import { blocksOf, readPage, tableAfter } from "./markdown.ts";
import { type ExampleBatch, readExample, wordsOf } from "./stock-example.ts";

const page = await readPage("docs/stock-model.md");

test("the worked example is what the domain does, batch by batch", async () => {
  const stock = new StockInMemory([level(0)]);
  const done = (await readExample()).map((batch): ExampleBatch => {
    const result = stock.do(...batch.operations);
    const [now] = stock.levels;
    return {
      operations: batch.operations,
      answers: result.answers.map(wordsOf),
      movements: result.movements.map((movement) => movement.kind),
      onHand: now?.onHand ?? -1,
      reserved: now?.reserved ?? -1,
      available: now === undefined ? -1 : available(now),
      waiting: stock.state().queue.map(({ claim }) => claim.orderRef.replace("shop/", "")),
    };
  });
  expect(done).toEqual(await readExample());
});

test.each(tableAfter(page, "offers"))(
  "with %s on hand, %s reserved (%s for others), %s not yet, %s under way, %s kept back and %s (%s locked) + %s there: %s",
  (...cells) => {
    const [onHand, reserved, elsewhere, unreserved, underWay, buffer, theirAvailable, locked, committed] =
      cells.map(Number);
    const decision = decideOffer(
      {
        onHand: onHand!,
        reserved: reserved!,
        reservedElsewhere: elsewhere!,
        unreservedHere: 0,
        unreservedElsewhere: unreserved!,
        underWay: underWay!,
        buffer: buffer!,
      },
      { available: theirAvailable!, locked: locked!, committed: committed! },
    );
    expect(decision.push ? `push ${decision.available}` : `nothing: ${decision.reason}`).toBe(cells[9]);
  },
);

test("the table of movements gives every kind the effect it has", () => {
  const signs: Readonly<Record<string, readonly number[]>> = { "+": [1], "−": [-1], "±": [1, -1], "": [0] };
  const [, section = ""] = page.split("## Movements");
  const rows = [...section.matchAll(/^\| (`.+?) \| (.?) ?\| (.?) ?\|/gm)].flatMap(
    ([, kinds = "", onHand = "", reserved = ""]) =>
      [...kinds.matchAll(/`(\w+)`/g)].map(([, kind]) => ({ kind: kind as MovementKind, onHand, reserved })),
  );
  expect(rows).toHaveLength(13);
  for (const { kind, onHand, reserved } of rows) {
    expect(signs[onHand.trim()], kind).toContain(Math.sign(effectOf(kind, 1).onHand));
    expect(signs[reserved.trim()], kind).toContain(Math.sign(effectOf(kind, 1).reserved));
  }
});

describe("in the database", () => {
  let database: UsedTestDatabase;
  let db: Database;
  let shop: SeededShop;
  let skuId: SkuId;
  const last = async () => (await readExample()).at(-1)!;

  useTestDatabase(async (made) => {
    database = made;
    db = database.open();
    shop = await seedShop(db);
    skuId = await seedSku(db, shop, 0);
    for (const batch of await readExample(shop.locationId)) {
      await applyStockBatch(db, shop.tenantId, skuId, batch.operations);
    }
  });

  /** A query of the page, found by what it reads, with psql's variables filled in. */
  async function ask(what: string): Promise<Record<string, unknown>[]> {
    const query = blocksOf(page, "sql").find((text) => text.includes(what));
    if (query === undefined) throw new Error(`The page has no query on ${what}`);
    const given: Readonly<Record<string, string>> = { sku: skuId, order: "shop/ben", time: "infinity" };
    const filled = query.replaceAll(/:'(\w+)'/g, (_, name: string) => `'${given[name] ?? ""}'`);
    return await database.asSuperuser(filled);
  }

  test("the same example ends with the same numbers, and the page's query explains both", async () => {
    const { onHand, reserved } = await last();
    const [row] = await ask("explained_on_hand");
    expect([row?.["current_stock"], Number(row?.["explained_on_hand"])]).toEqual([onHand, onHand]);
    expect([row?.["reserved_stock"], Number(row?.["explained_reserved"])]).toEqual([reserved, reserved]);
  });

  test("the query for who holds units names as many as are reserved", async () => {
    const rows = await ask("from reservations");
    expect(rows.map((row) => row["order_ref"])).toEqual(["shop/dora", "shop/ben"]);
  });

  test("the query for the ledger shows every movement of the example", async () => {
    const told = (await readExample()).flatMap(({ movements }) => movements);
    const rows = await ask("order by sequence desc\n");
    expect(rows.map((row) => row["kind"]).reverse()).toEqual(told);
  });

  test("the query for an earlier time gives the numbers then", async () => {
    const { onHand, reserved } = await last();
    expect(await ask("distinct on")).toMatchObject([{ on_hand: onHand, reserved }]);
  });

  test("the query for an order tells what it asked for", async () => {
    const rows = await ask("from stock_operations");
    expect(rows.map((row) => row["operation_id"])).toEqual(["shop/ben/1/reserve/1", "shop/ben/1/rank/1"]);
  });

  test.each(["from shortages", "from push_intents"])("the query %s runs", async (what) => {
    expect(await ask(what)).toEqual([]);
  });

  test("everything the page says the database refuses is there by that name, and every named check is on the page", async () => {
    const [, section = ""] = page.split("## What the database refuses");
    const listed = [...section.matchAll(/^\| `(\w+)` \| (.+?) \|/gm)].flatMap(([, name, tables = ""]) =>
      [...tables.matchAll(/`(\w+)`/g)].map(([, table]) => `${table} ${name}`),
    );
    const tables = [
      "stock_levels",
      "inventory_transactions",
      "stock_operations",
      "reservations",
      "shortages",
      "stock_transfers",
    ];
    const there = await database.asSuperuser<{ name: string; generated: boolean }>(
      `select conrelid::regclass || ' ' || conname as name, conname ~ '_check[0-9]*$' as generated
         from pg_constraint where contype = 'c' and conrelid::regclass::text = any ($1)
       union all
       select tgrelid::regclass || ' ' || tgname, false from pg_trigger
         where not tgisinternal and tgrelid::regclass::text = any ($1)
       union all
       select tablename || ' ' || indexname, indexname <> 'reservations_one_open_a_line'
         from pg_indexes where tablename = any ($1)`,
      [tables],
    );
    expect(listed.sort()).toEqual(
      there
        .filter(({ generated }) => !generated)
        .map(({ name }) => name)
        .sort(),
    );
  });
});
