import { beforeEach, describe, expect, test } from "vitest";
import type { Database } from "../../src/db/connection.ts";
import { claimDeliveries } from "../../src/db/webhook-deliveries.ts";
import { storeDeliveries } from "../support/deliveries.ts";
import { type SeededShop, seedShop } from "../support/seed.ts";
import { type UsedTestDatabase, useTestDatabase } from "../support/use-test-database.ts";
import { readBy } from "../support/read-by.ts";

let database: UsedTestDatabase;
let db: Database;
let dispatcherDb: Database;
let shop: SeededShop;

useTestDatabase((used) => {
  database = used;
  db = used.open();
  dispatcherDb = used.open("cf_dispatcher");
});
beforeEach(async () => {
  await database.asSuperuser("truncate webhook_deliveries");
  shop = await seedShop(db);
});

/** Deliveries that wait, of one order each; the first of them has waited longest. */
const deliver = (
  count: number,
  waitedSeconds: number,
  {
    of = shop,
    ...options
  }: { readonly of?: SeededShop; readonly order?: string; readonly first?: boolean } = {},
) => storeDeliveries(database, of, { count, waitedSeconds, ...options });

const all = { inAll: 500, ofOneShop: 50 };

describe("a claim", () => {
  test("reads the front of a long queue and nothing behind it, and of a shop that is left out next to nothing", async () => {
    await deliver(20_000, 1_000);
    const read = await readBy(dispatcherDb, "webhook_deliveries", (claiming) =>
      claimDeliveries(claiming, all, 15),
    );
    expect(read).toBeLessThan(2_000);
    const paused = await readBy(dispatcherDb, "webhook_deliveries", (claiming) =>
      claimDeliveries(claiming, all, 15, [shop.shopId]),
    );
    expect(paused).toBeLessThan(10);
  });

  test("finds an unknown order behind a thousand older news of known ones, up to a minute older", async () => {
    await deliver(1_000, 55);
    await deliver(1, 2, { order: "unknown", first: true });
    const [claimed] = await claimDeliveries(dispatcherDb, { inAll: 1, ofOneShop: 1 }, 15);
    expect(claimed?.channelOrderId).toBe("unknown");
  });

  test("lets news of a known order that has waited a minute longer go before unknown ones", async () => {
    await deliver(1_000, 20, { first: true });
    await deliver(1, 90, { order: "known" });
    const [claimed] = await claimDeliveries(dispatcherDb, { inAll: 1, ofOneShop: 1 }, 15);
    expect(claimed?.channelOrderId).toBe("known");
  });

  test("takes all deliveries of an order, also those that are far behind the front", async () => {
    await deliver(1, 100, { order: "twice" });
    await deliver(1_000, 90);
    await deliver(1, 1, { order: "twice" });
    const claimed = await claimDeliveries(dispatcherDb, { inAll: 1, ofOneShop: 1 }, 15);
    expect(claimed.map(({ channelOrderId }) => channelOrderId)).toEqual(["twice", "twice"]);
  });

  test("comes to every shop, however many wait, those first that have waited longest", async () => {
    const shops = await Promise.all(Array.from({ length: 70 }, () => seedShop(db)));
    for (const [index, of] of shops.entries()) await deliver(2, 1_000 - index, { of });
    const served: string[] = [];
    for (let claim = 0; claim < 2; claim += 1) {
      const claimed = await claimDeliveries(dispatcherDb, all, 15);
      served.push(...new Set(claimed.map(({ shopId }) => shopId)));
    }
    expect(served.slice(0, 50).sort()).toEqual(
      shops
        .slice(0, 50)
        .map(({ shopId }) => shopId)
        .sort(),
    );
    expect([...served].sort()).toEqual(shops.map(({ shopId }) => shopId).sort());
  });

  test("leaves out a shop that it is told to, and no other", async () => {
    const other = await seedShop(db);
    await deliver(300, 100);
    await deliver(1, 1, { of: other });
    const claimed = await claimDeliveries(dispatcherDb, all, 15, [shop.shopId]);
    expect(claimed.map(({ shopId }) => shopId)).toEqual([other.shopId]);
  });

  test("leaves news of known orders to wait a minute for a shop in a rush, and no longer", async () => {
    await deliver(1, 59, { order: "known" });
    await deliver(1, 1, { order: "new", first: true });
    const claim = async () => {
      const claimed = await claimDeliveries(dispatcherDb, all, 15, [], [shop.shopId]);
      return claimed.map(({ channelOrderId }) => channelOrderId);
    };
    expect(await claim()).toEqual(["new"]);
    expect(await claim()).toEqual([]);
    await database.asSuperuser(
      "update webhook_deliveries set next_attempt_at = now() - interval '61 seconds' where channel_order_id = 'known'",
    );
    expect(await claim()).toEqual(["known"]);
  });

  test("takes news of known orders along in a rush of another shop", async () => {
    await deliver(1, 1, { order: "known" });
    const other = await seedShop(db);
    const claimed = await claimDeliveries(dispatcherDb, all, 15, [], [other.shopId]);
    expect(claimed.map(({ channelOrderId }) => channelOrderId)).toEqual(["known"]);
  });

  test("is dated after the deliveries it took, by the database's clock", async () => {
    await deliver(1, 0);
    const [claimed] = await claimDeliveries(dispatcherDb, all, 15);
    const [delivery] = await database.asSuperuser<{ received_at: Date }>(
      "select received_at from webhook_deliveries",
    );
    expect(Date.parse(claimed!.claimedAt)).toBeGreaterThanOrEqual(delivery!.received_at.getTime());
  });
});
