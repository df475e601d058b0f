import { beforeEach, describe, expect, test } from "vitest";
import type { Database } from "../../src/db/connection.ts";
import { claimOutbox } from "../../src/db/outbox.ts";
import { type SeededShop, seedShop } from "../support/seed.ts";
import { type UsedTestDatabase, useTestDatabase } from "../support/use-test-database.ts";
import { readBy } from "../support/read-by.ts";

let database: UsedTestDatabase;
let dispatcherDb: Database;
let paused: SeededShop;
let other: SeededShop;

useTestDatabase(async (used) => {
  database = used;
  const db = used.open();
  dispatcherDb = used.open("cf_dispatcher");
  paused = await seedShop(db);
  other = await seedShop(db);
});
beforeEach(() => database.asSuperuser("truncate outbox"));

const append = (shop: SeededShop, kind: string, count: number, waitedSeconds: number) =>
  database.asSuperuser(
    `insert into outbox (tenant_id, kind, key, payload, next_attempt_at)
     select $1, $2, uuidv4(), jsonb_build_object('orderId', uuidv4(), 'orderRef', $3 || '/' || number),
       now() - make_interval(secs => $4) + number * interval '1 millisecond'
     from generate_series(1, $5::integer) as number`,
    [shop.tenantId, kind, shop.shopId, waitedSeconds, count],
  );

const channelKinds = ["fetch_tracking", "fetch_document"] as const;

describe("a claim of messages", () => {
  test("reads past neither a paused shop's messages nor those of other kinds, however many wait", async () => {
    await append(paused, "fetch_tracking", 20_000, 1_000);
    await append(other, "fetch_tracking", 10, 10);
    await append(other, "wake_order", 10, 10);
    const forTheChannel = await readBy(dispatcherDb, "outbox", (claiming) =>
      claimOutbox(claiming, channelKinds, 4, 15, [paused.shopId]),
    );
    expect(forTheChannel).toBeLessThan(100);
    const toWorkflows = await readBy(dispatcherDb, "outbox", (claiming) =>
      claimOutbox(claiming, ["wake_order", "push_offer"], 4, 15),
    );
    expect(toWorkflows).toBeLessThan(100);
  });

  test("takes what has waited longest of all shops and kinds, and of paused shops nothing", async () => {
    await append(other, "fetch_document", 2, 50);
    await append(other, "fetch_tracking", 3, 30);
    await append(paused, "fetch_tracking", 3, 40);
    const claim = (pausedShops: readonly SeededShop[]) =>
      claimOutbox(
        dispatcherDb,
        channelKinds,
        4,
        15,
        pausedShops.map(({ shopId }) => shopId),
      );
    const first = await claim([]);
    expect(first.map(({ kind, tenantId }) => [kind, tenantId]).sort()).toEqual(
      [
        ["fetch_document", other.tenantId],
        ["fetch_document", other.tenantId],
        ["fetch_tracking", paused.tenantId],
        ["fetch_tracking", paused.tenantId],
      ].sort(),
    );
    const second = await claim([paused]);
    expect(second.map(({ tenantId }) => tenantId)).toEqual([other.tenantId, other.tenantId, other.tenantId]);
    expect(await claim([paused])).toEqual([]);
    expect(await claim([])).toHaveLength(1);
  });

  test("of many dispatchers at once never overlaps, and takes messages that are meant for no shop", async () => {
    await append(other, "wake_order", 30, 10);
    await database.asSuperuser(
      `insert into outbox (tenant_id, kind, key, payload) select $1, 'push_offer', uuidv4(), jsonb_build_object('skuId', uuidv4())
       from generate_series(1, 10)`,
      [other.tenantId],
    );
    const claims = await Promise.all(
      Array.from({ length: 8 }, () => claimOutbox(dispatcherDb, ["wake_order", "push_offer"], 40, 15)),
    );
    const ids = claims.flat().map(({ id }) => id);
    expect(ids).toHaveLength(40);
    expect(new Set(ids).size).toBe(40);
  });
});
