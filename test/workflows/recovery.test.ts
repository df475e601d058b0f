import { afterAll, beforeAll, expect, test } from "vitest";
import type { Database } from "../../src/db/connection.ts";
import { appendToOutbox } from "../../src/db/outbox.ts";
import { countUntold, queueRecovery } from "../../src/db/recovery.ts";
import { applyStockBatch } from "../../src/db/stock.ts";
import { withTenant } from "../../src/db/tenant.ts";
import type { SkuId } from "../../src/domain/ids.ts";
import type { StockOperation } from "../../src/domain/stock/operation.ts";
import { outboxClasses, workOffOutbox } from "../../src/intake/outbox.ts";
import type { RunningWorkers } from "../../src/workers.ts";
import { skuWorkflowId } from "../../src/workflows/addressing.ts";
import { type SeededShop, seedShop, seedSku, stockOf } from "../support/seed.ts";
import { type TestTemporal, testTemporal } from "../support/temporal.ts";
import { until } from "../support/until.ts";
import { type UsedTestDatabase, useTestDatabase } from "../support/use-test-database.ts";
import { noChannel, silent, startTestWorkers } from "../support/workers.ts";

/** What only the memory of a lost run knew, rebuilt from Postgres. */
let database: UsedTestDatabase;
let db: Database;
let dispatcherDb: Database;
let temporal: TestTemporal;
let workers: RunningWorkers;
let shop: SeededShop;

useTestDatabase(async (made) => {
  database = made;
  db = database.open();
  dispatcherDb = database.open("cf_dispatcher");
  shop = await seedShop(db);
});
beforeAll(async () => {
  temporal = await testTemporal();
  workers = await startTestWorkers(temporal, db, noChannel);
});
afterAll(async () => {
  await workers.stop();
  await temporal.close();
});

const reserve = (order: number): StockOperation => ({
  kind: "reserve",
  claim: { orderRef: `${shop.shopId}/${order}`, lineId: "1", generation: 1 },
  quantity: 1,
  rank: { paidAt: null, orderedAt: "2026-01-01T00:00:00.000Z" },
  locationId: null,
});

const tell = () =>
  workOffOutbox(
    {
      db: dispatcherDb,
      channel: noChannel,
      client: temporal.client,
      secretKey: Buffer.alloc(32),
      logger: silent,
      queuePrefix: temporal.taskQueuePrefix,
      timeScale: 1,
      orderSyncMilliseconds: 60_000,
      inventorySyncMilliseconds: 900_000,
    },
    outboxClasses.offers,
  );

/** Ids of what a recovery queued messages of one kind for. */
async function recovered(kind: "push_offer" | "deliver_alert"): Promise<readonly string[]> {
  const { recoveryId } = await queueRecovery(dispatcherDb);
  const rows = await database.asSuperuser<{ id: string }>(
    "select coalesce(payload ->> 'skuId', payload ->> 'alertId') as id from outbox where kind = $1 and key like $2",
    [kind, `recovery/${recoveryId}/%`],
  );
  return rows.map(({ id }) => id);
}

const setSynced = (skuId: SkuId, status: string, secondsAgo: number) =>
  database.asSuperuser(
    "update skus set sync_status = $2, last_synced_at = now() - make_interval(secs => $3) where id = $1",
    [skuId, status, secondsAgo],
  );

test("units that a lost run left free in the midst of its queue go to who waits", async () => {
  const skuId = await seedSku(db, shop, 0);
  const waiting = 2_500;
  for (let start = 0; start < waiting; start += 500) {
    const batch = Array.from({ length: 500 }, (_, index) => reserve(start + index));
    await applyStockBatch(db, shop.tenantId, skuId, batch);
  }
  const adjust: StockOperation = {
    kind: "adjust",
    adjustmentId: "found",
    quantity: waiting,
    reason: "Found",
    actorId: null,
    locationId: null,
  };
  // The entity would go on by itself; this one is lost with its memory.
  const { queueRemains } = await applyStockBatch(db, shop.tenantId, skuId, [adjust]);
  expect(queueRemains).toBe(true);
  expect((await stockOf(db, shop.tenantId, skuId)).reserved).toBeLessThan(waiting);
  await database.asSuperuser("update outbox set done_at = now()");

  const queued = await queueRecovery(dispatcherDb);
  expect(queued.skus).toBe(1);
  expect(await countUntold(dispatcherDb, queued.recoveryId)).toBe(1);
  await until("told", async () => (await tell()) === 0);
  expect(await countUntold(dispatcherDb, queued.recoveryId)).toBe(0);
  await until("all served", async () => (await stockOf(db, shop.tenantId, skuId)).reserved === waiting);
  await temporal.client.workflow.getHandle(skuWorkflowId(skuId)).terminate();
  await database.asSuperuser("update outbox set done_at = now()");
  await setSynced(skuId, "synced", -600);
});

test("a SKU is pushed again whose last push may not have ended, and no other", async () => {
  const skus: SkuId[] = [];
  for (let index = 0; index < 4; index += 1) skus.push(await seedSku(db, shop, 5));
  const [settled, lostAfterTold, refused, pushedMeanwhile] = skus as [SkuId, SkuId, SkuId, SkuId];
  await withTenant(db, shop.tenantId, (transaction) =>
    appendToOutbox(
      transaction,
      shop.tenantId,
      [settled, lostAfterTold, pushedMeanwhile].map((skuId) => ({
        kind: "push_offer",
        key: `cause/${skuId}`,
        payload: { skuId },
      })),
    ),
  );
  // Told, and marked so; whether the number reached the channel only the SKUs' own rows say.
  await database.asSuperuser("update outbox set done_at = now()");
  await setSynced(settled, "synced", -600);
  await setSynced(lostAfterTold, "synced", 600);
  await setSynced(refused, "failed", 0);
  await setSynced(pushedMeanwhile, "synced", -30);
  expect([...(await recovered("push_offer"))].sort()).toEqual(
    [lostAfterTold, refused, pushedMeanwhile].sort(),
  );
});

test("an alert that nobody has answered goes on telling people, and so does one with a message to send", async () => {
  const alertOf = async (state: "open" | "snoozed" | "acknowledged"): Promise<string> => {
    const skuId = await seedSku(db, shop, 5);
    const [alert] = await database.asSuperuser<{ id: string }>(
      `insert into alerts (tenant_id, kind, severity, sku_id, subject_id, state, snoozed_until, acknowledged_at)
       values ($1, 'drift', 'warning', $2::text::uuid, $2::text, $3::text, case when $3 = 'snoozed' then now() end,
         case when $3 = 'acknowledged' then now() end) returning id`,
      [shop.tenantId, skuId, state],
    );
    return alert!.id;
  };
  const [open, snoozed, answered, withMessage] = [
    await alertOf("open"),
    await alertOf("snoozed"),
    await alertOf("acknowledged"),
    await alertOf("acknowledged"),
  ];
  await database.asSuperuser(
    "insert into alert_deliveries (tenant_id, alert_id, medium, step, rung) values ($1, $2, 'email', 0, 0)",
    [shop.tenantId, withMessage],
  );
  const told = await recovered("deliver_alert");
  expect(told).toEqual(expect.arrayContaining([open, snoozed, withMessage]));
  expect(told).not.toContain(answered);
});
