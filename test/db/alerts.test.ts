import { describe, expect, test } from "vitest";
import { lockAlert, planStep } from "../../src/db/alert-deliveries.ts";
import { type AlertAnswer, answerAlert, openAlert, resolveAlerts } from "../../src/db/alerts.ts";
import type { Database } from "../../src/db/connection.ts";
import { applyStockBatch } from "../../src/db/stock.ts";
import { findListings } from "../../src/db/listings.ts";
import { noteListingFailed, setListingStates } from "../../src/db/sync-status.ts";
import { checkStockAlerts } from "../../src/db/stock-alerts.ts";
import { type TenantTransaction, withTenant } from "../../src/db/tenant.ts";
import { setThreshold } from "../../src/db/thresholds.ts";
import { createUser } from "../../src/db/users.ts";
import { asId, type SkuId, type UserId } from "../../src/domain/ids.ts";
import type { StockOperation } from "../../src/domain/stock/operation.ts";
import { adjust, claim, reserve } from "../domain/stock/stock-builders.ts";
import { type SeededShop, seedShop, seedSku } from "../support/seed.ts";
import { until } from "../support/until.ts";
import { useTestDatabase } from "../support/use-test-database.ts";

let db: Database;
let shop: SeededShop;
let anna: UserId;

useTestDatabase(async (made) => {
  db = made.open();
  shop = await seedShop(db);
  anna = await inShop((transaction) =>
    createUser(transaction, shop.tenantId, {
      email: "anna@example.test",
      name: "Anna",
      role: "creator",
      passwordHash: "none",
    }),
  );
});

const inShop = <Result>(work: (transaction: TenantTransaction) => Promise<Result>) =>
  withTenant(db, shop.tenantId, work);

const apply = (skuId: SkuId, ...operations: StockOperation[]) =>
  applyStockBatch(db, shop.tenantId, skuId, operations);

let counted = 0;
/** Brings what is available to a number, by a batch of its own. */
async function bringTo(skuId: SkuId, ...numbers: readonly number[]): Promise<void> {
  for (const wanted of numbers) {
    const { available } = await inShop((transaction) =>
      transaction
        .selectFrom("stock_levels")
        .where("sku_id", "=", skuId)
        .select("available_stock as available")
        .executeTakeFirstOrThrow(),
    );
    counted += 1;
    await apply(skuId, adjust(`counted-${counted}`, wanted - available));
  }
}

/** Alerts of a SKU as "kind state", in the order in which they were opened. */
async function alertsOf(skuId: SkuId): Promise<readonly string[]> {
  const rows = await inShop((transaction) =>
    transaction
      .selectFrom("alerts")
      .where("sku_id", "=", skuId)
      .orderBy("opened_at")
      .orderBy("kind")
      .select(["kind", "state"])
      .execute(),
  );
  return rows.map(({ kind, state }) => `${kind} ${state}`);
}

async function messagesOf(skuId: SkuId): Promise<number> {
  return await inShop(async (transaction) => {
    const alerts = await transaction.selectFrom("alerts").where("sku_id", "=", skuId).select("id").execute();
    const messages = await transaction
      .selectFrom("outbox")
      .where("kind", "=", "deliver_alert")
      .select("payload")
      .execute();
    const ids = new Set(alerts.map(({ id }) => id));
    return messages.filter(({ payload }) => ids.has((payload as { alertId: string }).alertId)).length;
  });
}

async function alertIdOf(skuId: SkuId) {
  const { id } = await inShop((transaction) =>
    transaction
      .selectFrom("alerts")
      .where("sku_id", "=", skuId)
      .where("state", "<>", "rearmed")
      .select("id")
      .executeTakeFirstOrThrow(),
  );
  return asId<"Alert">(id);
}

let answers = 0;
async function say(skuId: SkuId, answer: AlertAnswer, effectId = `effect-${(answers += 1)}`) {
  const alertId = await alertIdOf(skuId);
  return await inShop((transaction) =>
    answerAlert(transaction, shop.tenantId, alertId, answer, anna, effectId),
  );
}

describe("a batch of stock", () => {
  test("that goes 11, 9, 8, 11, 9 opens one alert, and one message tells of it", async () => {
    const skuId = await seedSku(db, shop, 11);
    await bringTo(skuId, 9, 8, 11, 9);
    expect(await alertsOf(skuId)).toEqual(["low_stock open"]);
    expect(await messagesOf(skuId)).toBe(1);
  });

  test("ends the alert when the stock is above the margin, and the next time is a new one", async () => {
    const skuId = await seedSku(db, shop, 20);
    await bringTo(skuId, 10, 12, 10);
    expect(await alertsOf(skuId)).toEqual(["low_stock rearmed", "low_stock open"]);
  });

  test("opens two alerts for two conditions, and writes down the numbers of that moment", async () => {
    const skuId = await seedSku(db, shop, 20);
    await bringTo(skuId, 0);
    expect(await alertsOf(skuId)).toEqual(["low_stock open", "out_of_stock open"]);
    await bringTo(skuId, 5);
    expect(await alertsOf(skuId)).toEqual(["low_stock open", "out_of_stock rearmed"]);
    const row = await inShop((transaction) =>
      transaction
        .selectFrom("alerts")
        .where("sku_id", "=", skuId)
        .where("kind", "=", "low_stock")
        .select("facts")
        .executeTakeFirstOrThrow(),
    );
    expect(row.facts).toEqual({ available: 0, threshold: 10 });
  });

  test("of orders counts what is promised, not what is on the shelf", async () => {
    const skuId = await seedSku(db, shop, 12);
    await apply(skuId, reserve("low-a"), reserve("low-b"), reserve("low-c"));
    expect(await alertsOf(skuId)).toEqual(["low_stock open"]);
    await apply(skuId, { kind: "release", claim: claim("low-a"), reason: "cancelled" });
    await apply(skuId, { kind: "ship", claim: claim("low-b"), quantity: 1, outside: false });
    expect(await alertsOf(skuId)).toEqual(["low_stock open"]);
  });

  test("of a SKU whose threshold is 0 warns of nothing but its end", async () => {
    const skuId = await seedSku(db, shop, 5);
    await inShop((transaction) =>
      setThreshold(transaction, shop.tenantId, skuId, { mode: "fixed", threshold: 0 }, "test"),
    );
    await bringTo(skuId, 1, 0);
    expect(await alertsOf(skuId)).toEqual(["out_of_stock open"]);
  });

  test("that leaves a paid order waiting opens one shortage, which ends when nobody waits", async () => {
    const skuId = await seedSku(db, shop, 0);
    await apply(skuId, reserve("short-unpaid"));
    expect(await alertsOf(skuId)).toEqual([]);
    await apply(skuId, reserve("short-a", { paid: 1 }));
    await apply(skuId, reserve("short-b", { paid: 2 }));
    expect(await alertsOf(skuId)).toEqual(["shortage open"]);
    await apply(skuId, adjust(`short-${skuId}`, 2));
    expect(await alertsOf(skuId)).toEqual(["shortage open"]);
    await apply(skuId, { kind: "release", claim: claim("short-unpaid"), reason: "cancelled" });
    expect(await alertsOf(skuId)).toEqual(["shortage rearmed"]);
    expect(await messagesOf(skuId)).toBe(2);
  });

  test("that makes a waiting order a paid one opens the shortage then", async () => {
    const skuId = await seedSku(db, shop, 0);
    await apply(skuId, reserve("paid-later"));
    await apply(skuId, { kind: "rank", claim: claim("paid-later"), paidAt: "2026-01-01T10:00:00.000Z" });
    expect(await alertsOf(skuId)).toEqual(["shortage open"]);
  });

  test("that the database refuses opens no alert", async () => {
    const skuId = await seedSku(db, shop, 20);
    const poisoned: StockOperation = { ...adjust(`poison-${skuId}`, -15), actorId: "not-a-uuid" } as never;
    await apply(skuId, poisoned);
    expect(await alertsOf(skuId)).toEqual([]);
  });

  test("of 40 senders at once that cross the line opens it once", async () => {
    const skuId = await seedSku(db, shop, 30);
    await Promise.all(Array.from({ length: 40 }, (_, index) => apply(skuId, reserve(`race-${index}`))));
    expect(await alertsOf(skuId)).toEqual(["low_stock open", "out_of_stock open"]);
  });

  test("asks the database no more than before when it crosses no line", async () => {
    const skuId = await seedSku(db, shop, 100);
    const statements: string[] = [];
    const watched = db.withPlugin({
      transformQuery: ({ node }) => {
        statements.push(node.kind);
        return node;
      },
      transformResult: ({ result }) => Promise.resolve(result),
    });
    const countOf = async (...operations: StockOperation[]) => {
      statements.length = 0;
      await applyStockBatch(watched, shop.tenantId, skuId, operations);
      return statements.length;
    };
    const quiet = await countOf(reserve("quiet"));
    expect(await countOf(reserve("quiet-too"))).toBe(quiet);
    // begin, levels, what is known, queue, levels' new numbers, movements, claims, answers, commit
    expect(quiet).toBeLessThanOrEqual(9);
    await countOf(adjust(`near-${skuId}`, -87));
    expect(await countOf(reserve("loud"), reserve("loud-too"))).toBe(quiet + 1);
  });
});

describe("what a person says of an alert", () => {
  const inAnHour = () => new Date(Date.now() + 3_600_000).toISOString();

  test("is written down with the person and tells the workflow", async () => {
    const skuId = await seedSku(db, shop, 11);
    await bringTo(skuId, 9);
    expect(await say(skuId, { event: "acknowledge" })).toBe("acknowledged");
    expect(await say(skuId, { event: "snooze", until: inAnHour() })).toBe("snoozed");
    expect(await say(skuId, { event: "resolve" })).toBe("resolved");
    expect(await messagesOf(skuId)).toBe(4);
    const row = await inShop((transaction) =>
      transaction.selectFrom("alerts").where("sku_id", "=", skuId).selectAll().executeTakeFirstOrThrow(),
    );
    expect(row).toMatchObject({ acknowledged_by: anna, resolved_by: anna, snoozed_until: null });
  });

  test("is refused when it comes too late, or for too long", async () => {
    const skuId = await seedSku(db, shop, 11);
    await bringTo(skuId, 9);
    const past = new Date(Date.now() - 1_000).toISOString();
    expect(await say(skuId, { event: "snooze", until: past })).toMatchObject({ refused: "snooze_is_over" });
    const far = new Date(Date.now() + 31 * 86_400_000).toISOString();
    expect(await say(skuId, { event: "snooze", until: far })).toMatchObject({ refused: "snooze_too_long" });
    await say(skuId, { event: "resolve" });
    expect(await say(skuId, { event: "acknowledge" })).toMatchObject({ refused: "already_resolved" });
  });

  test("said again by the same request changes nothing, whatever others have said meanwhile", async () => {
    const skuId = await seedSku(db, shop, 11);
    await bringTo(skuId, 9);
    const end = new Date(Date.now() + 300).toISOString();
    expect(await say(skuId, { event: "snooze", until: end }, "lost answer")).toBe("snoozed");
    await say(skuId, { event: "acknowledge" });
    const told = await messagesOf(skuId);
    expect(await say(skuId, { event: "snooze", until: end }, "lost answer")).toBe("acknowledged");
    await until("the snooze would be over", () => Date.now() > Date.parse(end));
    expect(await say(skuId, { event: "snooze", until: end }, "lost answer")).toBe("acknowledged");
    expect(await messagesOf(skuId)).toBe(told);
  });

  test("resolves no condition: below the line no second alert is opened until it was above the margin", async () => {
    const skuId = await seedSku(db, shop, 11);
    await bringTo(skuId, 9);
    await say(skuId, { event: "resolve" });
    await bringTo(skuId, 11, 8);
    expect(await alertsOf(skuId)).toEqual(["low_stock resolved"]);
    await bringTo(skuId, 30, 8);
    expect(await alertsOf(skuId)).toEqual(["low_stock rearmed", "low_stock open"]);
  });

  test("is not found in another seller's alerts", async () => {
    const skuId = await seedSku(db, shop, 11);
    await bringTo(skuId, 9);
    const alertId = await alertIdOf(skuId);
    const other = await seedShop(db);
    const said = await withTenant(db, other.tenantId, (transaction) =>
      answerAlert(transaction, other.tenantId, alertId, { event: "resolve" }, anna, "foreign"),
    );
    expect(said).toBeNull();
    expect(await alertsOf(skuId)).toEqual(["low_stock open"]);
  });
});

describe("a threshold that changes", () => {
  test("has the SKU's alerts compared with it once it is committed", async () => {
    const skuId = await seedSku(db, shop, 40);
    const set = async (threshold: number) => {
      await inShop((transaction) =>
        setThreshold(transaction, shop.tenantId, skuId, { mode: "fixed", threshold }, `to ${threshold}`),
      );
      await inShop((transaction) => checkStockAlerts(transaction, shop.tenantId, skuId));
    };
    await set(50);
    expect(await alertsOf(skuId)).toEqual(["low_stock open"]);
    await set(39);
    expect(await alertsOf(skuId)).toEqual(["low_stock open"]);
    await set(10);
    expect(await alertsOf(skuId)).toEqual(["low_stock rearmed"]);
    const due = await inShop((transaction) =>
      transaction
        .selectFrom("outbox")
        .where("kind", "=", "check_alerts")
        .where("key", "like", `${skuId}/%`)
        .select("id")
        .execute(),
    );
    expect(due).toHaveLength(3);
  });
});

describe("a sync", () => {
  const fail = (skuId: SkuId) =>
    inShop(async (transaction) => {
      const [listing] = await findListings(transaction, [skuId]);
      await noteListingFailed(transaction, shop.tenantId, listing!, "quantity outside limits");
    });
  const succeed = (skuId: SkuId) =>
    inShop(async (transaction) =>
      setListingStates(transaction, shop.tenantId, await findListings(transaction, [skuId]), "synced"),
    );

  test("that fails three times in a row is an alert with the channel's words, and one that works ends it", async () => {
    const skuId = await seedSku(db, shop, 50);
    await fail(skuId);
    await fail(skuId);
    await succeed(skuId);
    await fail(skuId);
    await fail(skuId);
    expect(await alertsOf(skuId)).toEqual([]);
    await fail(skuId);
    await fail(skuId);
    expect(await alertsOf(skuId)).toEqual(["sync_failed open"]);
    await succeed(skuId);
    expect(await alertsOf(skuId)).toEqual(["sync_failed rearmed"]);
    const { facts } = await inShop((transaction) =>
      transaction.selectFrom("alerts").where("sku_id", "=", skuId).select("facts").executeTakeFirstOrThrow(),
    );
    expect(facts).toEqual({ reason: "quantity outside limits" });
  });
});

test("a SKU has one alert of a kind for each of what it is about", async () => {
  const skuId = await seedSku(db, shop, 50);
  const open = (subjectId: string) =>
    inShop((transaction) => openAlert(transaction, shop.tenantId, { kind: "drift", skuId, subjectId }));
  await open("listing-1");
  await open("listing-2");
  await open("listing-1");
  expect(await alertsOf(skuId)).toEqual(["drift open", "drift open"]);
  await inShop((transaction) => resolveAlerts(transaction, shop.tenantId, ["drift"], "listing-1"));
  expect((await alertsOf(skuId)).toSorted()).toEqual(["drift open", "drift rearmed"]);
});

test("an alert whose first rungs were slept through is told of on the highest, and goes on from there", async () => {
  const skuId = await seedSku(db, shop, 50);
  await inShop(async (transaction) => {
    await openAlert(transaction, shop.tenantId, { kind: "drift", skuId, subjectId: "slept through" });
    const { id } = await transaction
      .selectFrom("alerts")
      .where("sku_id", "=", skuId)
      .select("id")
      .executeTakeFirstOrThrow();
    const alertId = asId<"Alert">(id);
    await planStep(transaction, { alertId, steps: 0 }, 2, [{ userId: anna, medium: "in_app" }]);
    const alert = await lockAlert(transaction, alertId);
    expect(alert).toMatchObject({ unanswered: { rungs: 3 } });
    await planStep(transaction, alert!, 0, [{ userId: anna, medium: "in_app" }]);
    const told = await transaction
      .selectFrom("alert_deliveries")
      .where("alert_id", "=", id)
      .select("rung")
      .execute();
    expect(told.map(({ rung }) => rung).toSorted()).toEqual([0, 2]);
  });
});
