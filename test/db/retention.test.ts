import { beforeEach, describe, expect, test } from "vitest";
import type { Database } from "../../src/db/connection.ts";
import { findListings } from "../../src/db/listings.ts";
import { forgetSettled, type RetainedTable } from "../../src/db/retention.ts";
import { withTenant } from "../../src/db/tenant.ts";
import { type SeededShop, seedShop, seedSku } from "../support/seed.ts";
import { type UsedTestDatabase, useTestDatabase } from "../support/use-test-database.ts";

let database: UsedTestDatabase;
let dispatcherDb: Database;
let shop: SeededShop;
let listing: { readonly id: string; readonly skuId: string };

useTestDatabase(async (used) => {
  database = used;
  const db = used.open();
  dispatcherDb = used.open("cf_dispatcher");
  shop = await seedShop(db);
  const skuId = await seedSku(db, shop, 5);
  const [found] = await withTenant(db, shop.tenantId, (transaction) => findListings(transaction, [skuId]));
  listing = { id: found!.listingId, skuId };
});
beforeEach(() => database.asSuperuser("truncate outbox, push_intents, webhook_deliveries"));

const forget = (table: RetainedTable) =>
  withTenant(dispatcherDb, shop.tenantId, (transaction) => forgetSettled(transaction, table));

const age = (days: number) => `now() - interval '${days} days'`;
const idOf = (days: number) => `uuidv7(interval '-${days} days')`;

const message = (key: string, bornDays: number, doneDays: number | null) =>
  database.asSuperuser(
    `insert into outbox (id, tenant_id, kind, key, payload, created_at, done_at)
     values (${idOf(bornDays)}, $1, 'push_offer', $2, '{}', ${age(bornDays)}, ${doneDays === null ? "null" : age(doneDays)})`,
    [shop.tenantId, key],
  );
const delivery = (key: string, days: number, state: "processed" | "parked") =>
  database.asSuperuser(
    `insert into webhook_deliveries (id, channel, tenant_id, shop_id, sender, dedupe_key, body, headers, state, received_at, processed_at)
     values (${idOf(days)}, 'tiktok-shop', $1, $2, 's', $3, '', '{}', $4::text, ${age(days)}, case when $4 = 'processed' then ${age(days)} end)`,
    [shop.tenantId, shop.shopId, key, state],
  );
const observation = (available: number, days: number) =>
  database.asSuperuser(
    `insert into channel_observations (id, tenant_id, listing_id, sku_id, warehouse_id, available, committed, observed_at)
     values (${idOf(days)}, $1, $2, $3, 'w', $4, 0, ${age(days)})`,
    [shop.tenantId, listing.id, listing.skuId, available],
  );
const push = (desired: number, days: number, state: "open" | "confirmed") =>
  database.asSuperuser(
    `insert into push_intents (id, tenant_id, listing_id, sku_id, warehouse_id, desired_available, available_seen, committed_seen,
       state, created_at, closed_at)
     values (${idOf(days)}, $1, $2, $3, 'w', $4, 0, 0, $5::text, ${age(days)}, case when $5 <> 'open' then ${age(days)} end)`,
    [shop.tenantId, listing.id, listing.skuId, desired, state],
  );
const left = async (column: string, table: RetainedTable) =>
  (
    await database.asSuperuser<{ left: string | number }>(`select ${column} as left from ${table} order by 1`)
  ).map((row) => row.left);

describe("what only tells how something went is forgotten when it was kept for long enough:", () => {
  test("messages 14 days after they were worked off; one that waits stays", async () => {
    await message("long done", 20, 15);
    await message("done lately, born long ago", 20, 13);
    await message("waits for ever", 400, null);
    expect(await forget("outbox")).toBe(1);
    expect(await left("key", "outbox")).toEqual(["done lately, born long ago", "waits for ever"]);
  });

  test("deliveries 90 days after they were taken in; one that is parked stays", async () => {
    await delivery("long taken in", 91, "processed");
    await delivery("taken in", 89, "processed");
    await delivery("parked", 400, "parked");
    expect(await forget("webhook_deliveries")).toBe(1);
    expect(await left("dedupe_key", "webhook_deliveries")).toEqual(["parked", "taken in"]);
  });

  test("what a channel said after 14 days, but for the two newest of a listing at a warehouse", async () => {
    for (const [available, days] of [
      [1, 40],
      [2, 30],
      [3, 20],
      [4, 15],
    ] as const)
      await observation(available, days);
    expect(await forget("channel_observations")).toBe(2);
    expect(await left("available", "channel_observations")).toEqual([3, 4]);
    await observation(5, 1);
    await observation(6, 0);
    expect(await forget("channel_observations")).toBe(2);
    expect(await left("available", "channel_observations")).toEqual([5, 6]);
  });

  test("pushes 30 days after their end, but for the five newest, and never one under way", async () => {
    await push(1, 60, "open");
    for (const [index, days] of [50, 45, 40, 35, 34, 33, 32].entries())
      await push(index + 2, days, "confirmed");
    expect(await forget("push_intents")).toBe(2);
    expect(await left("desired_available", "push_intents")).toEqual([1, 4, 5, 6, 7, 8]);
  });

  test("nothing of another seller's", async () => {
    await message("long done", 20, 15);
    const other = await seedShop(database.open());
    const forgotten = await withTenant(dispatcherDb, other.tenantId, (transaction) =>
      forgetSettled(transaction, "outbox"),
    );
    expect([forgotten, await left("key", "outbox")]).toEqual([0, ["long done"]]);
  });
});
