import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { measurePushDelay } from "../../src/db/read-models/channel.ts";
import { withTenant } from "../../src/db/tenant.ts";
import { asId, type ChannelOrderId } from "../../src/domain/ids.ts";
import { startDispatcher } from "../../src/intake/dispatcher.ts";
import type { Loop } from "../../src/intake/loop.ts";
import { ChannelFailure } from "../../src/integrations/ports/failure.ts";
import type { ShopKey } from "../../src/integrations/ports/sales-channel.ts";
import type { RunningWorkers } from "../../src/workers.ts";
import { skuWorkflowId, taskQueues } from "../../src/workflows/addressing.ts";
import { applyOperations } from "../../src/workflows/messages.ts";
import { WithStartWorkflowOperation } from "@temporalio/client";
import { type DemoShop, startDemoShop } from "../support/demo-shop.ts";
import { fetchAndTake } from "../support/dispatch.ts";
import { until } from "../support/until.ts";
import { startTestWorkers } from "../support/workers.ts";

/** One seller, one shelf, two shops that sell from it; the whole way from a change to the number in each shop's books. */

let demo: DemoShop;
let workers: RunningWorkers;
let dispatcher: Loop;
beforeAll(async () => {
  demo = await startDemoShop({ secondShop: true });
  await demo.control("PUT", "/second/_sim/quota", { requestsPerSecond: 1_000, burst: 1_000 });
  workers = await startTestWorkers(demo.temporal, demo.db, demo.channel, {
    takeInChangedOrders: () => Promise.resolve({ seen: 0, recovered: 0, awaited: 0, refused: 0, next: null }),
  });
  dispatcher = startDispatcher(demo.intake);
  await everyListingIsRight();
}, 120_000);
afterAll(async () => {
  await dispatcher.stop();
  await workers.stop();
  await demo.close();
});

interface Booked {
  readonly skuId: string;
  readonly sellerSku: string;
  readonly warehouses: readonly { readonly available: number; readonly committed: number }[];
}

async function booksOf(prefix: "" | "/second"): Promise<ReadonlyMap<string, Booked>> {
  const { items } = await demo.control<{ items: Booked[] }>(
    "GET",
    `${prefix}/_sim/ledger?section=stock&limit=1000`,
  );
  return new Map(items.map((item) => [item.sellerSku, item]));
}

/** What both may offer: what is available here, less what is kept back for what the other will sell meanwhile. */
async function offeredHere(): Promise<ReadonlyMap<string, number>> {
  const rows = await demo.database.asSuperuser<{ code: string; available: number }>(
    `select sku.code, greatest(0, level.available_stock - coalesce(demand.adaptive_buffer, 0)) as available
     from skus as sku join stock_levels as level on level.sku_id = sku.id
     left join sku_demand as demand on demand.sku_id = sku.id`,
  );
  return new Map(rows.map((row) => [row.code, row.available]));
}

/** Waits until both shops offer what they may. */
async function everyListingIsRight(seconds = 60): Promise<void> {
  await until(
    "both shops offer what they may",
    async () => {
      const [here, first, second] = await Promise.all([offeredHere(), booksOf(""), booksOf("/second")]);
      const wrong = [...here].filter(([code, available]) =>
        [first, second].some((books) => books.get(code)?.warehouses[0]?.available !== available),
      );
      if (wrong.length > 0)
        throw new Error(`${wrong.length} are wrong, the first: ${JSON.stringify(wrong[0])}`);
      return true;
    },
    { seconds },
  );
}

let changes = 0;
async function adjust(skuId: string, quantity: number): Promise<void> {
  changes += 1;
  const adjustmentId = `two shops ${changes}`;
  await demo.temporal.client.workflow.executeUpdateWithStart(applyOperations, {
    args: [[{ kind: "adjust", adjustmentId, quantity, reason: "counted", actorId: null, locationId: null }]],
    startWorkflowOperation: new WithStartWorkflowOperation("skuInventory", {
      workflowId: skuWorkflowId(asId<"Sku">(skuId)),
      taskQueue: taskQueues(demo.temporal.taskQueuePrefix).inventory,
      args: [
        {
          tenantId: demo.shop.tenantId,
          skuId: asId<"Sku">(skuId),
          queuePrefix: demo.temporal.taskQueuePrefix,
        },
      ],
      workflowIdConflictPolicy: "USE_EXISTING",
    }),
  });
}

/** A sale in one of the shops, whose news come at once. */
async function sell(shop: ShopKey, prefix: "" | "/second", skuId: string, quantity: number): Promise<void> {
  await fetchAndTake(demo.intake, shop, [await order(prefix, skuId, quantity)]);
}

async function order(prefix: "" | "/second", skuId: string, quantity: number): Promise<ChannelOrderId> {
  const { orderId } = await demo.control<{ orderId: ChannelOrderId }>("POST", `${prefix}/_sim/orders`, {
    lines: [{ skuId, quantity }],
    durations: { unpaidMs: null, onHoldMs: null, shipmentMs: null, collectionMs: null, transitMs: null },
  });
  return orderId;
}

const skuRows = () =>
  demo.database.asSuperuser<{ id: string; code: string; several: boolean }>(
    "select id, code, sold_in_several_shops as several from skus order by code",
  );

const pushesTo = async (shop: ShopKey) => {
  const [row] = await demo.database.asSuperuser<{ pushes: number }>(
    `select count(*)::integer as pushes from push_intents join listings on listings.id = listing_id where shop_id = $1`,
    [shop.shopId],
  );
  return row!.pushes;
};

describe("one shelf behind two shops", () => {
  test("is counted once, and both shops offer all of it", async () => {
    const rows = await skuRows();
    expect(rows).toHaveLength(200);
    expect(rows.every(({ several }) => several)).toBe(true);
  });

  test("what one shop sells is no longer offered in the other, and the one that has sold needs no telling", async () => {
    const { sellerSku, id } = demo.skus[0]!;
    const before = { first: await pushesTo(demo.shop), second: await pushesTo(demo.secondShop!) };
    await sell(demo.shop, "", id, 3);
    await everyListingIsRight();
    const books = (await booksOf("/second")).get(sellerSku);
    expect(books?.warehouses[0]?.available).toBeLessThanOrEqual(demo.skus[0]!.available - 3);
    const kept = (await offeredHere()).get(sellerSku) !== demo.skus[0]!.available - 3;
    // What is kept back for the other shop is the one thing that the selling shop may have to be told.
    if (!kept) expect(await pushesTo(demo.shop)).toBe(before.first);
    expect(await pushesTo(demo.secondShop!)).toBeGreaterThan(before.second);
  });

  test("units that are locked for a campaign stay locked, however few are left", async () => {
    const { sellerSku, id, available } = demo.skus[1]!;
    await demo.control("POST", "/_sim/pools", { skuId: id, campaign: 5, creator: 2 });
    const [sku] = (await skuRows()).filter(({ code }) => code === sellerSku);
    await adjust(sku!.id, -(available - 3));
    await until("the shop without a campaign offers the three that are left", async () => {
      return (await booksOf("/second")).get(sellerSku)?.warehouses[0]?.available === 3;
    });
    await until("the campaign's shop offers the campaign's alone", async () => {
      return (await booksOf("")).get(sellerSku)?.warehouses[0]?.available === 7;
    });
    const [seen] = await demo.database.asSuperuser<{ campaign: number; creator: number }>(
      `select campaign, creator from channel_observations join listings on listings.id = listing_id
       where shop_id = $1 and channel_observations.sku_id = $2 order by observed_at desc limit 1`,
      [demo.shop.shopId, sku!.id],
    );
    expect(seen).toEqual({ campaign: 5, creator: 2 });
    await demo.control("POST", "/_sim/pools", { skuId: id, campaign: 0, creator: 0 });
    await adjust(sku!.id, available - 3);
    await everyListingIsRight();
  });

  test("with errors of single SKUs, lost answers and a storm of 429 every listing is right in the end", async () => {
    const update = "inventory/update";
    const plan = {
      seed: "storm",
      calls: [
        { fault: "too_many_requests", percent: 100, windowMs: [1_000, 4_000] },
        { fault: "partial", endpoint: update, percent: 10, itemPercent: 50 },
        { fault: "server_error", endpoint: update, percent: 5, status: 504, applied: true },
        { fault: "reset", endpoint: update, percent: 3, applied: true },
      ],
    };
    await demo.control("PUT", "/_sim/faults", plan);
    await demo.control("PUT", "/second/_sim/faults", plan);
    const rows = (await skuRows()).slice(0, 40);
    for (const round of [1, 2]) {
      await Promise.all(rows.map(({ id }, place) => adjust(id, ((place + round) % 5) + 1)));
    }
    const orderIds = await Promise.all(demo.skus.slice(2, 12).map(({ id }) => order("", id, 2)));
    await demo.control("PUT", "/_sim/faults", {});
    await demo.control("PUT", "/second/_sim/faults", {});
    // What was sold in the storm is heard of after it.
    await until("the shop's rate budget allows the call", async () =>
      fetchAndTake(demo.intake, demo.shop, orderIds).then(
        () => true,
        (error: unknown) => {
          // As the intake does: it comes again when the budget says so.
          if (error instanceof ChannelFailure && error.kind === "rate_limited") return null;
          throw error;
        },
      ),
    );
    await everyListingIsRight(90);
  }, 150_000);

  test("how long each change took is there to be read, by shop", async () => {
    // A push counts when it was read back, which is a little later than its number is there.
    const delays = await until("more than forty pushes to each shop are confirmed", async () => {
      const measured = await withTenant(demo.db, demo.shop.tenantId, (transaction) =>
        measurePushDelay(transaction, 60),
      );
      return measured.length === 2 && measured.every(({ pushes }) => pushes > 40) ? measured : null;
    });
    expect(delays.map(({ shop_name: name }) => name)).toEqual(["Marlow Outlet", "Studio Marlow"]);
  });
});
