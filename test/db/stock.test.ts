import { sql } from "kysely";
import pg from "pg";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { mapWarehouses, takeInListing } from "../../src/db/catalogue.ts";
import type { Database } from "../../src/db/connection.ts";
import { asId } from "../../src/domain/ids.ts";
import { applyStockBatch } from "../../src/db/stock.ts";
import { withTenant } from "../../src/db/tenant.ts";
import type { StockOperation } from "../../src/domain/stock/operation.ts";
import { adjust, claim, release, reserve, ship } from "../domain/stock/stock-builders.ts";
import { type SeededShop, seedShop, seedSku, stockOf } from "../support/seed.ts";
import { type UsedTestDatabase, useTestDatabase } from "../support/use-test-database.ts";

let database: UsedTestDatabase;
let db: Database;
let shop: SeededShop;

useTestDatabase(async (made) => {
  database = made;
  db = database.open();
  shop = await seedShop(db);
});

async function movementsOf(skuId: string) {
  return await withTenant(db, shop.tenantId, (transaction) =>
    transaction
      .selectFrom("inventory_transactions")
      .where("sku_id", "=", skuId)
      .orderBy("sequence")
      .selectAll()
      .execute(),
  );
}

describe("a batch in the database", () => {
  test("is applied once, however often it is sent", async () => {
    const skuId = await seedSku(db, shop, 3);
    const operations = ["once-a", "once-b", "once-c", "once-d"].map((order, index) =>
      reserve(order, { paid: index }),
    );
    const first = await applyStockBatch(db, shop.tenantId, skuId, operations);
    const again = await applyStockBatch(db, shop.tenantId, skuId, operations);
    expect(first.answers.map((answer) => answer.outcome)).toEqual([
      "reserved",
      "reserved",
      "reserved",
      "short",
    ]);
    expect(again.answers).toEqual(first.answers);
    expect(await stockOf(db, shop.tenantId, skuId)).toEqual({ onHand: 3, reserved: 3 });
    expect((await movementsOf(skuId)).map((movement) => movement.kind)).toEqual([
      "opening",
      "reserve",
      "reserve",
      "reserve",
    ]);
  });

  test("of 200 concurrent senders reserves exactly what there is", async () => {
    const skuId = await seedSku(db, shop, 50);
    const outcomes = await Promise.all(
      Array.from({ length: 200 }, (_, index) =>
        applyStockBatch(db, shop.tenantId, skuId, [reserve(`rush-${index}`)]).then(
          ({ answers }) => answers[0]?.outcome,
        ),
      ),
    );
    expect(outcomes.filter((outcome) => outcome === "reserved")).toHaveLength(50);
    expect(outcomes.filter((outcome) => outcome === "short")).toHaveLength(150);
  });

  test("serves those who wait in the fair order and leaves a message for each of their orders", async () => {
    const skuId = await seedSku(db, shop, 0);
    await applyStockBatch(db, shop.tenantId, skuId, [
      reserve("fair-late", { paid: 30 }),
      reserve("fair-early", { paid: 10 }),
      reserve("fair-unpaid", { ordered: 1 }),
    ]);
    await applyStockBatch(db, shop.tenantId, skuId, [adjust(`fair-${skuId}`, 2)]);
    const waking = await withTenant(db, shop.tenantId, (transaction) =>
      transaction.selectFrom("outbox").where("kind", "=", "wake_order").select("payload").execute(),
    );
    expect(waking.map((row) => (row.payload as { orderRef: string }).orderRef).sort()).toEqual([
      "shop/fair-early",
      "shop/fair-late",
    ]);
  });

  test("leaves one message to compare the offer each time that someone who waited is withdrawn", async () => {
    const skuId = await seedSku(db, shop, 0);
    await applyStockBatch(db, shop.tenantId, skuId, [reserve("withdrawn-1"), reserve("withdrawn-2")]);
    await applyStockBatch(db, shop.tenantId, skuId, [release("withdrawn-1")]);
    await applyStockBatch(db, shop.tenantId, skuId, [release("withdrawn-2")]);
    const messages = await withTenant(db, shop.tenantId, (transaction) =>
      transaction
        .selectFrom("outbox")
        .where("kind", "=", "push_offer")
        .where("key", "like", `${skuId}/%`)
        .selectAll()
        .execute(),
    );
    expect(messages).toHaveLength(2);
  });

  test("names the message that asks for the push, which comes due when nobody has taken it over", async () => {
    const skuId = await seedSku(db, shop, 0);
    const apply = () => applyStockBatch(db, shop.tenantId, skuId, [adjust(`pushed-${skuId}`, 2)]);
    const { pushes } = await apply();
    expect(pushes).toHaveLength(1);
    // Applied again after a crash it changes nothing and names nothing: the message is what tells the entity then.
    expect((await apply()).pushes).toEqual([]);
    const messages = await withTenant(db, shop.tenantId, (transaction) =>
      transaction
        .selectFrom("outbox")
        .where("kind", "=", "push_offer")
        .where(
          "key",
          "in",
          pushes.map(({ key }) => key),
        )
        .select(["done_at", "next_attempt_at", "created_at"])
        .execute(),
    );
    expect(messages).toHaveLength(1);
    const [{ done_at: doneAt, next_attempt_at: due, created_at: created }] = messages as [
      (typeof messages)[number],
    ];
    expect(doneAt).toBeNull();
    expect(Date.parse(due)).toBeGreaterThan(Date.parse(created));
  });

  test("goes through a whole life and keeps every state in the rows", async () => {
    const skuId = await seedSku(db, shop, 2);
    const apply = async (operation: StockOperation) =>
      (await applyStockBatch(db, shop.tenantId, skuId, [operation])).answers[0]?.outcome;
    expect(await apply(reserve("life"))).toBe("reserved");
    expect(await apply(ship("life"))).toBe("shipped");
    expect(await apply({ kind: "reverse", claim: claim("life"), reason: "cancelled" })).toBe("reversed");
    expect(await apply(release("life"))).toBe("closed");
    expect(await apply(release("never-asked"))).toBe("closed");
    expect(await apply(reserve("never-asked"))).toBe("refused");
    expect(await apply(ship("outside", true))).toBe("shipped");
    expect(await stockOf(db, shop.tenantId, skuId)).toEqual({ onHand: 1, reserved: 0 });
  });

  test("that lets a claim come and go leaves the same rows as one operation at a time", async () => {
    const reverse = (order: string): StockOperation => ({
      kind: "reverse",
      claim: claim(order),
      reason: "back",
    });
    const lives = (name: string): readonly StockOperation[] => [
      ship(`${name}-held`),
      reverse(`${name}-held`),
      ship(`${name}-waiting`, true),
      reverse(`${name}-waiting`),
      ship(`${name}-unknown`, true),
      reverse(`${name}-unknown`),
    ];
    const rowsAfter = async (name: string, batches: readonly (readonly StockOperation[])[]) => {
      const skuId = await seedSku(db, shop, 1);
      await applyStockBatch(db, shop.tenantId, skuId, [
        reserve(`${name}-held`, { paid: 1 }),
        reserve(`${name}-waiting`, { paid: 2, quantity: 9 }),
      ]);
      for (const batch of batches) await applyStockBatch(db, shop.tenantId, skuId, batch);
      const again = await applyStockBatch(db, shop.tenantId, skuId, [reserve(`${name}-unknown`)]);
      const { rows } = await withTenant(db, shop.tenantId, (transaction) =>
        sql`
          select split_part(order_ref, '-', 2) as claim, state, reversed_at is not null as reversed
            from reservations where sku_id = ${skuId}
          union all
          select split_part(order_ref, '-', 2), state, null from shortages where sku_id = ${skuId}
          order by 1, 2
        `.execute(transaction),
      );
      return { rows, again: again.answers, stock: await stockOf(db, shop.tenantId, skuId) };
    };
    const together = await rowsAfter("together", [lives("together")]);
    expect(together).toEqual(
      await rowsAfter(
        "apart",
        lives("apart").map((operation) => [operation]),
      ),
    );
    expect(together.rows).toEqual([
      { claim: "held", state: "shipped", reversed: true },
      { claim: "unknown", state: "shipped", reversed: true },
      { claim: "waiting", state: "served", reversed: null },
      { claim: "waiting", state: "shipped", reversed: true },
    ]);
  });

  test("that holds an operation which the database refuses applies the others and names it", async () => {
    const skuId = await seedSku(db, shop, 5);
    const poisoned: StockOperation = { ...adjust(`poison-${skuId}`, 1), actorId: "not-a-uuid" } as never;
    const outcome = await applyStockBatch(db, shop.tenantId, skuId, [
      reserve("beside-1"),
      poisoned,
      reserve("beside-2"),
    ]);
    expect(outcome.answers.map((answer) => answer.outcome)).toEqual(["reserved", "refused", "reserved"]);
    expect(outcome.poisoned.map((each) => each.operationId)).toEqual([`adjust/poison-${skuId}`]);
  });

  test.each([
    ["a deadlock", "40P01"],
    ["a serialisation failure", "40001"],
    ["a lock that does not come", "55P03"],
  ])(
    "that %s has ended applies nothing, poisons nothing, and is applied once by the next try",
    async (_what, code) => {
      const skuId = await seedSku(db, shop, 5);
      await database.asSuperuser(`
      create or replace function end_this_batch() returns trigger language plpgsql as
        $$ begin raise exception 'not now' using errcode = '${code}'; end $$;
      create trigger not_now before insert on stock_operations for each row
        when (new.sku_id = '${skuId}') execute function end_this_batch()`);
      const operations = [reserve(`ended-${code}-a`), reserve(`ended-${code}-b`)];
      const attempt = () => applyStockBatch(db, shop.tenantId, skuId, operations);
      await expect(attempt()).rejects.toMatchObject({ code });
      expect(await stockOf(db, shop.tenantId, skuId)).toEqual({ onHand: 5, reserved: 0 });
      await database.asSuperuser("drop trigger not_now on stock_operations");
      for (let tries = 0; tries < 2; tries += 1) {
        expect((await attempt()).answers.map(({ outcome }) => outcome)).toEqual(["reserved", "reserved"]);
      }
      expect(await stockOf(db, shop.tenantId, skuId)).toEqual({ onHand: 5, reserved: 2 });
    },
  );

  test("does not see a SKU of another seller", async () => {
    const skuId = await seedSku(db, shop, 5);
    const other = await seedShop(db);
    const outcome = await applyStockBatch(db, other.tenantId, skuId, [reserve("foreign")]);
    expect(outcome.answers).toEqual([{ outcome: "refused", reason: "poisoned" }]);
    expect(await stockOf(db, shop.tenantId, skuId)).toEqual({ onHand: 5, reserved: 0 });
  });
});

test("a second shop of the same SKU sells from the same shelf, its units are counted once, and the first is told of what it sells", async () => {
  const skuId = await seedSku(db, shop, 50);
  const secondShop = await withTenant(db, shop.tenantId, async (transaction) => {
    const { code } = await transaction
      .selectFrom("skus")
      .where("id", "=", skuId)
      .select("code")
      .executeTakeFirstOrThrow();
    const row = await transaction
      .insertInto("shops")
      .values({
        tenant_id: shop.tenantId,
        channel: "tiktok-shop",
        channel_shop_id: crypto.randomUUID(),
        name: "Second shop",
        region: "GB",
      })
      .returning("id")
      .executeTakeFirstOrThrow();
    const shopId = asId<"Shop">(row.id);
    const locations = await mapWarehouses(transaction, shop.tenantId, shopId, [
      { warehouseId: "second-warehouse", name: "Main warehouse, in other words", isDefault: true },
    ]);
    const locationId = locations.get("second-warehouse")!;
    const taken = await takeInListing(transaction, shop.tenantId, shopId, {
      channelProductId: "second-product",
      channelSkuId: "second-sku",
      productTitle: "The same",
      code,
      name: "The same",
      warehouseIds: ["second-warehouse"],
      opening: [{ locationId, quantity: 50 }],
    });
    return { skuId: taken.skuId, locationId };
  });
  expect(secondShop.skuId).toBe(skuId);
  expect(await stockOf(db, shop.tenantId, skuId)).toEqual({ onHand: 50, reserved: 0 });
  const fromThere = { ...reserve("second-shop"), locationId: secondShop.locationId };
  const sold = await applyStockBatch(db, shop.tenantId, skuId, [fromThere]);
  expect(sold.answers[0]?.outcome).toBe("reserved");
  // Its own channel counts what it has sold itself.
  expect(sold.pushes.map(({ soldBy }) => soldBy)).toEqual(["shop"]);
  // It was missing there since it was sold; what was never promised is missing from now on.
  const left = await applyStockBatch(db, shop.tenantId, skuId, [ship("second-shop")]);
  expect(left.answers[0]?.outcome).toBe("shipped");
  expect(left.pushes).toEqual([]);
  const unheardOf = await applyStockBatch(db, shop.tenantId, skuId, [ship("never-promised", true)]);
  expect(unheardOf.answers[0]?.outcome).toBe("shipped");
  expect(unheardOf.pushes.map(({ soldBy }) => soldBy)).toEqual(["shop"]);
});

describe("the database itself refuses", () => {
  let superuser: pg.Client;
  let skuId: string;
  beforeAll(async () => {
    superuser = new pg.Client({ connectionString: database.superuserUrl });
    await superuser.connect();
    skuId = await seedSku(db, shop, 5);
    await applyStockBatch(db, shop.tenantId, skuId as never, [
      reserve("constraint"),
      reserve("shipped"),
      ship("shipped"),
    ]);
    await applyStockBatch(db, shop.tenantId, skuId as never, [ship("shipped")]);
  });
  afterAll(() => superuser.end());

  test.each([
    [
      "promising more than there is",
      "update stock_levels set reserved_stock = 99, version = version + 1, last_sequence = last_sequence + 1",
    ],
    [
      "fewer than no units on hand",
      "update stock_levels set current_stock = -1, version = version + 1, last_sequence = last_sequence + 1",
    ],
    [
      "fewer than no units reserved",
      "update stock_levels set reserved_stock = -1, version = version + 1, last_sequence = last_sequence + 1",
    ],
    ["a level that changes without its version", "update stock_levels set current_stock = current_stock + 1"],
    [
      "a level that changes without a movement",
      "update stock_levels set current_stock = current_stock + 1, version = version + 1",
    ],
    ["a level that becomes another SKU's", "update stock_levels set location_id = gen_random_uuid()"],
    ["an edited movement", "update inventory_transactions set quantity = 1"],
    ["a deleted movement", "delete from inventory_transactions"],
    ["an emptied ledger", "truncate inventory_transactions"],
    ["a reservation resolved twice", "update reservations set state = 'released' where state = 'shipped'"],
    [
      "a held reservation of another size",
      "update reservations set quantity = quantity + 1 where state = 'held'",
    ],
    [
      "a reservation that is held and resolved",
      "update reservations set resolved_at = now() where state = 'held'",
    ],
    ["a deleted reservation", "delete from reservations"],
    ["an operation forgotten", "delete from stock_operations"],
    ["an answer changed", "update stock_operations set answer = '{}'"],
  ])("%s", async (_name, statement) => {
    await expect(superuser.query(statement)).rejects.toThrow();
  });
});
