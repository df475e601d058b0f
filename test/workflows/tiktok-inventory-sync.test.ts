import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { beginRepair } from "../../src/db/drifts.ts";
import { saveOfferSettings, setSyncPaused } from "../../src/db/offer-settings.ts";
import {
  findDrift,
  listDrifts,
  listListingStates,
  measurePushDelay,
} from "../../src/db/read-models/channel.ts";
import { takeInDelivery } from "../../src/db/webhook-deliveries.ts";
import { type TenantTransaction, withTenant } from "../../src/db/tenant.ts";
import { asId } from "../../src/domain/ids.ts";
import { outboxClasses, workOffOutbox } from "../../src/intake/outbox.ts";
import { bundleWorkflows, type RunningWorkers } from "../../src/workers.ts";
import { taskQueues } from "../../src/workflows/addressing.ts";
import type { InventorySyncCounts } from "../../src/workflows/messages.ts";
import { type DemoShop, startDemoShop, stockOfChannelSku } from "../support/demo-shop.ts";
import { findReplayFailures, historiesOf, recordWhenAsked } from "../support/histories.ts";
import { openTestDatabase } from "../support/seed.ts";
import { until } from "../support/until.ts";
import { startTestWorkers } from "../support/workers.ts";

let demo: DemoShop;
let workers: RunningWorkers;
beforeAll(async () => {
  demo = await startDemoShop();
  workers = await startTestWorkers(demo.temporal, demo.db, demo.channel);
});
afterAll(async () => {
  await workers.stop();
  await demo.close();
});

const within = <Result>(work: (transaction: TenantTransaction) => Promise<Result>) =>
  withTenant(demo.db, demo.shop.tenantId, work);

async function skuOf(index: number) {
  const sku = demo.skus[index]!;
  const { skuId } = await stockOfChannelSku(demo.db, demo.shop.tenantId, sku.id);
  return { ...sku, skuId: asId<"Sku">(skuId) };
}

const showAtChannel = (skuId: string, available: number) =>
  demo.control("POST", "/_sim/stock", { skuId, available });

async function shownFor(channelSkuId: string): Promise<number | undefined> {
  const [stock] = await demo.channel.readStock(demo.shop, [asId<"ChannelSku">(channelSkuId)], 3);
  return stock?.available;
}

let looks = 0;
/** One look, of one SKU or of all. */
const look = (skuId?: string): Promise<InventorySyncCounts> => {
  looks += 1;
  return demo.temporal.client.workflow.execute("tiktokInventorySync", {
    workflowId: `tiktok-inventory/${demo.shop.shopId}/${looks}`,
    taskQueue: taskQueues(demo.temporal.taskQueuePrefix).orders,
    args: [
      { ...demo.shop, queuePrefix: demo.temporal.taskQueuePrefix, ...(skuId === undefined ? {} : { skuId }) },
    ],
  });
};

const driftsOf = (skuId: string) => within((transaction) => listDrifts(transaction, { skuId }, 10, null));
const statusOf = async (skuId: string) => {
  const row = await within((transaction) =>
    transaction
      .selectFrom("skus")
      .where("id", "=", skuId)
      .select(["sync_status", "last_synced_at"])
      .executeTakeFirstOrThrow(),
  );
  return row.sync_status;
};
async function workOff(): Promise<void> {
  await workOffOutbox(demo.intake, outboxClasses.workflows);
  await workOffOutbox(demo.intake, outboxClasses.offers);
}

describe("a look at a shop's listings", () => {
  test("finds all of them in one call, and that they agree", async () => {
    const calls = async () => {
      const { items } = await demo.control<{ items: { endpoint: string; codes: Record<string, number> }[] }>(
        "GET",
        "/_sim/ledger?section=calls",
      );
      return items.find(({ endpoint }) => endpoint.includes("inventory/search"))?.codes["0"] ?? 0;
    };
    const before = await calls();
    const counts = await look();
    expect(counts).toEqual({ compared: 200, agreed: 200, underWay: 0, pushed: 0, drifting: 0 });
    expect((await calls()) - before).toBe(1);
  });

  test("finds a number that somebody has set by hand, once, and asks what to do", async () => {
    const sku = await skuOf(0);
    await showAtChannel(sku.id, sku.available + 4);
    expect(await look(sku.skuId)).toMatchObject({ compared: 1, drifting: 1 });
    expect(await look(sku.skuId)).toMatchObject({ drifting: 1 });
    expect(await driftsOf(sku.skuId)).toMatchObject([
      { cause: "changed_in_seller_center", units: 4, our_total: sku.available, state: "open" },
    ]);
    expect(await statusOf(sku.skuId)).toBe("drift");
    expect(await shownFor(sku.id)).toBe(sku.available + 4);
  });

  test("a person has ours pushed again, and the comparison that agrees closes the drift", async () => {
    const sku = await skuOf(0);
    const [drift] = await driftsOf(sku.skuId);
    await within((transaction) =>
      beginRepair(transaction, demo.shop.tenantId, {
        id: drift!.id,
        skuId: sku.skuId,
        how: "push_ours",
        by: null,
        reason: "nobody has counted",
      }),
    );
    expect(await statusOf(sku.skuId)).toBe("drift");
    await workOff();
    await until("the drift is closed", async () => (await driftsOf(sku.skuId)).length === 0);
    expect(await shownFor(sku.id)).toBe(sku.available);
    expect(await statusOf(sku.skuId)).toBe("synced");
    expect(await within((transaction) => findDrift(transaction, drift!.id))).toMatchObject({
      state: "closed",
      outcome: "repaired",
      repair_reason: "nobody has counted",
    });
  });

  test("by the rule a push that was lost is made again without asking", async () => {
    const sku = await skuOf(1);
    // The number from before the last push is back.
    await showAtChannel(sku.id, sku.available + 9);
    await within((transaction) =>
      saveOfferSettings(transaction, demo.shop.tenantId, sku.skuId, { bufferUnits: 0 }, "again"),
    );
    await workOff();
    await until("pushed", async () => (await shownFor(sku.id)) === sku.available);
    await until("settled", async () => (await statusOf(sku.skuId)) === "synced");
    await showAtChannel(sku.id, sku.available + 9);
    expect(await look(sku.skuId)).toMatchObject({ drifting: 1 });
    expect(await driftsOf(sku.skuId)).toMatchObject([{ cause: "push_lost", state: "repairing" }]);
    await workOff();
    await until("repaired by itself", async () => (await driftsOf(sku.skuId)).length === 0);
    expect(await shownFor(sku.id)).toBe(sku.available);
  });

  test("a change on its way is no drift", async () => {
    const sku = await skuOf(2);
    await within((transaction) =>
      saveOfferSettings(transaction, demo.shop.tenantId, sku.skuId, { bufferUnits: 5 }, "buffered"),
    );
    expect(await statusOf(sku.skuId)).toBe("pending");
    expect(await look(sku.skuId)).toMatchObject({ underWay: 1, drifting: 0 });
    await workOff();
    await until("the buffer is kept back", async () => (await shownFor(sku.id)) === sku.available - 5);
  });

  test("a change that was told to nobody is pushed", async () => {
    const sku = await skuOf(3);
    await showAtChannel(sku.id, sku.available + 1);
    await demo.database.asSuperuser("update listings set sync_status = 'pending' where sku_id = $1", [
      sku.skuId,
    ]);
    expect(await look(sku.skuId)).toMatchObject({ pushed: 1, drifting: 0 });
    await workOff();
    await until("pushed", async () => (await shownFor(sku.id)) === sku.available);
  });

  test("of a paused SKU nothing is pushed until it is resumed", async () => {
    const sku = await skuOf(4);
    const pause = (paused: boolean) =>
      within((transaction) =>
        setSyncPaused(transaction, demo.shop.tenantId, sku.skuId, paused, `pause ${paused}`),
      );
    await pause(true);
    expect(await statusOf(sku.skuId)).toBe("paused");
    await showAtChannel(sku.id, sku.available + 2);
    expect(await look(sku.skuId)).toMatchObject({ compared: 0, drifting: 0 });
    await within((transaction) =>
      saveOfferSettings(transaction, demo.shop.tenantId, sku.skuId, { bufferUnits: 1 }, "while paused"),
    );
    await workOff();
    expect(await shownFor(sku.id)).toBe(sku.available + 2);
    await pause(false);
    await workOff();
    await until("resumed", async () => (await shownFor(sku.id)) === sku.available - 1);
    await until("settled", async () => (await statusOf(sku.skuId)) === "synced");
  });

  test("that the channel says somebody else has changed is taken within seconds, in one call for all of them", async () => {
    const [changed, alsoChanged, untold] = [await skuOf(5), await skuOf(6), await skuOf(7)];
    for (const sku of [changed, alsoChanged, untold]) await showAtChannel(sku.id, sku.available + 3);
    const { sellerOpenId } = await demo.control<{ sellerOpenId: string }>("GET", "/_sim/credentials");
    const ingest = openTestDatabase(demo.database.url, "cf_ingest");
    const tell = (channelSkuId: string, seller = sellerOpenId) =>
      takeInDelivery(ingest, {
        channel: "tiktok-shop",
        sender: seller,
        channelShopId: null,
        sellerOpenId: seller,
        dedupeKey: `event:${channelSkuId}`,
        topic: 68,
        channelOrderId: null,
        stockNewsOf: channelSkuId,
        body: Buffer.from("{}"),
        headers: {},
        state: "processed",
        reason: "stock news",
      });
    await tell(changed.id);
    await tell(alsoChanged.id);
    await tell(alsoChanged.id);
    await tell(untold.id, "somebody else");
    await tell("no listing of anybody");
    await ingest.destroy();
    await until("the news are looked at", async () => {
      await workOff();
      return (await driftsOf(changed.skuId)).length > 0;
    });
    for (const sku of [changed, alsoChanged]) {
      await until("it is known as drifting", async () => (await statusOf(sku.skuId)) === "drift");
      expect(await driftsOf(sku.skuId)).toMatchObject([{ cause: "changed_in_seller_center", units: 3 }]);
    }
    expect(await driftsOf(untold.skuId)).toEqual([]);
    expect(await demo.database.asSuperuser("select id from listings where news_at is not null")).toEqual([]);
    const told = await demo.database.asSuperuser<{ key: string }>(
      "select key from outbox where kind = 'look_at_news'",
    );
    // All within one stretch of five seconds, or at the turn of two.
    expect(told.length).toBeLessThanOrEqual(2);
  });

  test("what each listing shows and how long pushes took is there to be read", async () => {
    const sku = await skuOf(2);
    await look(sku.skuId);
    const [listing] = await within((transaction) => listListingStates(transaction, sku.skuId));
    expect(listing).toMatchObject({ state: "synced", missing_since: null, cap: 99_999 });
    expect(listing?.shown).toMatchObject([
      { available: sku.available - 5, committed: 0, campaign: 0, creator: 0 },
    ]);
    const [delay] = await within((transaction) => measurePushDelay(transaction, 15));
    expect(delay?.pushes).toBeGreaterThan(3);
    expect(delay?.p50).toBeGreaterThan(0);
    expect(delay!.p99).toBeLessThanOrEqual(delay!.slowest);
  });
});

test("every history that these tests made replays", async () => {
  const histories = await historiesOf(demo.temporal);
  expect(await findReplayFailures(await bundleWorkflows(), histories)).toEqual([]);
  await recordWhenAsked(histories.filter(({ path }) => path.startsWith("tiktokInventorySync")));
});
