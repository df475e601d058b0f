import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { findUnhandledOrders } from "../../src/db/order-snapshots.ts";
import { withTenant } from "../../src/db/tenant.ts";
import { replayDeliveries } from "../../src/db/webhook-deliveries.ts";
import { asId, type ChannelOrderId } from "../../src/domain/ids.ts";
import { takeInChangedOrders } from "../../src/intake/changed-orders.ts";
import type { IntakeDependencies } from "../../src/intake/dependencies.ts";
import { keepSchedules } from "../../src/intake/schedules.ts";
import { ChannelFailure } from "../../src/integrations/ports/failure.ts";
import type { SalesChannel } from "../../src/integrations/ports/sales-channel.ts";
import { bundleWorkflows, type RunningWorkers } from "../../src/workers.ts";
import { orderSyncScheduleId, orderWorkflowId, taskQueues } from "../../src/workflows/addressing.ts";
import type { OrderSyncCounts } from "../../src/workflows/messages.ts";
import { dispatchToTheEnd, onFastMachine } from "../support/dispatch.ts";
import { type DemoShop, orderOf, startDemoShop } from "../support/demo-shop.ts";
import { findReplayFailures, historiesOf, recordWhenAsked } from "../support/histories.ts";
import { until } from "../support/until.ts";
import { startTestWorkers } from "../support/workers.ts";

/** The second path of news: this simulator sends no webhooks at all, so whatever is known was found by the poll. */
let demo: DemoShop;
let workers: RunningWorkers;
/** What the poll works with now; a test may put trouble in its way. */
let polling: IntakeDependencies;

beforeAll(async () => {
  demo = await startDemoShop();
  polling = demo.intake;
  workers = await startTestWorkers(demo.temporal, demo.db, demo.channel, {
    takeInChangedOrders: (shop, place) => takeInChangedOrders(polling, shop, place),
  });
  await connect("connected");
});
afterAll(async () => {
  await connect("disconnected");
  await keepSchedules(demo.intake);
  await workers.stop();
  await demo.close();
});

const connect = (status: "connected" | "disconnected") =>
  withTenant(demo.db, demo.shop.tenantId, (transaction) =>
    transaction.updateTable("shops").set({ status }).where("id", "=", demo.shop.shopId).execute(),
  );

/** One pass, as the schedule starts it. */
const pass = (): Promise<OrderSyncCounts> =>
  demo.temporal.client.workflow.execute("tiktokOrderSync", {
    workflowId: `${orderSyncScheduleId(demo.shop.shopId)}-${crypto.randomUUID()}`,
    taskQueue: taskQueues(demo.temporal.taskQueuePrefix).orders,
    args: [{ ...demo.shop, queuePrefix: demo.temporal.taskQueuePrefix }],
  }) as Promise<OrderSyncCounts>;

const cursor = () =>
  withTenant(demo.db, demo.shop.tenantId, (transaction) =>
    transaction
      .selectFrom("sync_cursors")
      .where("shop_id", "=", demo.shop.shopId)
      .selectAll()
      .executeTakeFirstOrThrow(),
  );

const place = (index = 0) =>
  demo.placeOrder([{ skuId: demo.skus[index]!.id, quantity: 1 }], { oversell: true });

const reserved = (orderId: ChannelOrderId) =>
  until("reserved", async () => {
    const order = await orderOf(demo.db, demo.shop, orderId);
    return order?.stages[0] === "held" ? order : null;
  });

/** The channel with one call changed, for the poll alone. */
function withTrouble(changes: Partial<SalesChannel>): void {
  polling = { ...demo.intake, channel: { ...demo.channel, ...changes } };
}

describe("the poll of a shop's orders", () => {
  test("finds an order whose webhook never came, has it reserved, and counts it as recovered", async () => {
    const orderId = await place();
    expect(await pass()).toEqual({ seen: 1, recovered: 1, awaited: 0, refused: 0 });
    const order = await reserved(orderId);
    expect(order.events[0]).toMatchObject({ cause: "poll" });
    expect(await cursor()).toMatchObject({ seen_total: 1, recovered_total: 1, last_error: null });
    expect((await cursor()).last_success_at).not.toBeNull();
  });

  test("looks behind its cursor, so that an order of the cursor's own second is found, and counts nothing twice", async () => {
    const before = await cursor();
    const orderId = await place();
    // As if the order had changed in the very second that the cursor stands at.
    const [fetched] = await demo.channel.fetchOrders(demo.shop, [orderId], 1);
    withTrouble({
      searchOrders: async (shop, window, pageToken) => {
        const found = await demo.channel.searchOrders(shop, window, pageToken);
        expect(window.updatedFrom < before.cursor!).toBe(true);
        const same = { ...fetched!, order: { ...fetched!.order, updatedAt: before.cursor! } };
        return {
          ...found,
          orders: found.orders.map((each) => (each.order.orderId === orderId ? same : each)),
        };
      },
    });
    expect(await pass()).toMatchObject({ recovered: 1 });
    polling = demo.intake;
    await reserved(orderId);
    expect(await cursor()).toMatchObject({ cursor: before.cursor });
    await pass();
    expect(await pass()).toMatchObject({ recovered: 0, refused: 0 });
  });

  test("does not count an order as recovered whose webhook is here and waits", async () => {
    const orderId = await place();
    await demo.database.asSuperuser(
      `insert into webhook_deliveries (channel, tenant_id, shop_id, sender, dedupe_key, topic, channel_order_id, body, headers)
       values ('tiktok-shop', $1, $2, 'test', $3, 1, $4, '\\x7b7d', '{}')`,
      [demo.shop.tenantId, demo.shop.shopId, crypto.randomUUID(), orderId],
    );
    expect(await pass()).toMatchObject({ recovered: 0, awaited: 1 });
    await reserved(orderId);
  });

  test("leaves its cursor where it is when taking the orders in failed, and finds them again", async () => {
    const before = await cursor();
    const orderId = await place(1);
    const { client } = demo.intake;
    const down = Object.assign(Object.create(client) as typeof client, {
      workflow: { signalWithStart: () => Promise.reject(new Error("Temporal is away")) },
    });
    await expect(takeInChangedOrders({ ...demo.intake, client: down }, demo.shop, null)).rejects.toThrow(
      "Temporal is away",
    );
    const after = await cursor();
    expect(after).toMatchObject({ cursor: before.cursor, recovered_total: before.recovered_total });
    expect(after.last_error).toContain("Temporal is away");
    // The order was stored before its workflow could not be told: the next pass tells it.
    await pass();
    await reserved(orderId);
    expect((await cursor()).cursor! >= before.cursor!).toBe(true);
    expect((await cursor()).last_error).toBeNull();
  });

  test("repeats a page without harm when it died between the page and the cursor", async () => {
    const orderId = await place(1);
    const before = await cursor();
    await demo.database.asSuperuser(
      `create function dies() returns trigger language plpgsql as $$ begin raise exception 'died'; end $$;
       create trigger dies before update of cursor on sync_cursors for each row execute function dies()`,
    );
    await expect(takeInChangedOrders(demo.intake, demo.shop, null)).rejects.toThrow("died");
    await demo.database.asSuperuser("drop trigger dies on sync_cursors");
    const order = await reserved(orderId);
    expect(await cursor()).toMatchObject({ cursor: before.cursor });
    await pass();
    const again = await orderOf(demo.db, demo.shop, orderId);
    expect(again).toMatchObject({ snapshot_version: order.snapshot_version });
    expect(again!.events).toEqual(order.events);
    expect((await cursor()).cursor! >= before.cursor!).toBe(true);
  });

  test("reads all pages, and goes on with the next page after one that failed", async () => {
    const orderIds: ChannelOrderId[] = [];
    for (let index = 0; index < 8; index += 1) orderIds.push(await place(2));
    const asked: (string | null)[] = [];
    let failed = false;
    withTrouble({
      // TikTok Shop gives 100 orders a page; three here, of the orders that this test has placed.
      searchOrders: async (shop, window, pageToken) => {
        asked.push(pageToken);
        if (pageToken === "3" && !failed) {
          failed = true;
          throw new ChannelFailure("rate_limited", "slow down", { retryAt: Date.now() });
        }
        const all = await demo.channel.searchOrders(shop, window, null);
        const orders = all.orders.filter(({ order }) => orderIds.includes(order.orderId));
        const start = Number(pageToken ?? 0);
        const next = start + 3 < orders.length ? String(start + 3) : null;
        return { orders: orders.slice(start, start + 3), unreadable: [], nextPageToken: next };
      },
    });
    expect(await pass()).toEqual({ seen: 8, recovered: 8, awaited: 0, refused: 0 });
    polling = demo.intake;
    expect(asked).toEqual([null, "3", "3", "6"]);
    for (const orderId of orderIds) await reserved(orderId);
  });

  test("parks an order that the database refuses, takes its neighbours in, and moves on", async () => {
    const [bad, good] = [await place(2), await place(2)];
    withTrouble({
      searchOrders: async (...asked) => {
        const found = await demo.channel.searchOrders(...asked);
        const orders = found.orders.map((each) =>
          each.order.orderId === bad
            ? { ...each, order: { ...each.order, currency: "not a currency" } }
            : each,
        );
        return { ...found, orders };
      },
    });
    expect(await pass()).toMatchObject({ recovered: 1, refused: 1 });
    polling = demo.intake;
    await reserved(good);
    const parked = await demo.database.asSuperuser<{ id: string; state: string; reason: string }>(
      "select id, state, reason from webhook_deliveries where channel_order_id = $1",
      [bad],
    );
    expect(parked).toMatchObject([{ state: "parked" }]);
    expect(parked[0]!.reason).toMatch(/violates/);
    // What the database accepts after all is taken in by the next pass, as long as the overlap reaches.
    expect(await pass()).toMatchObject({ recovered: 1, refused: 0 });
    const replayed = await withTenant(demo.db, demo.shop.tenantId, (transaction) =>
      replayDeliveries(transaction, { id: parked[0]!.id }),
    );
    expect(replayed).toBe(1);
  });

  test("keeps an order that cannot be read where people look, once, and takes its neighbours in", async () => {
    const [strange, good] = [await place(2), await place(2)];
    const updatedAt = "2026-11-21T11:00:00.000Z";
    withTrouble({
      searchOrders: async (...asked) => {
        const found = await demo.channel.searchOrders(...asked);
        return {
          ...found,
          orders: found.orders.filter(({ order }) => order.orderId !== strange),
          unreadable: [
            { orderId: strange, updatedAt, reason: "Order status TELEPORTED is unknown" },
            { orderId: null, updatedAt: null, reason: "unknown shape at id" },
          ],
        };
      },
    });
    expect(await pass()).toMatchObject({ recovered: 1, refused: 2 });
    expect(await pass()).toMatchObject({ recovered: 0, refused: 2 });
    polling = demo.intake;
    await reserved(good);
    const kept = () =>
      demo.database.asSuperuser<{
        id: string;
        state: string;
        channel_order_id: string | null;
        reason: string;
      }>(
        "select id, state, channel_order_id, reason from webhook_deliveries where reason like '%cannot be read%' order by state",
      );
    expect(await kept()).toMatchObject([
      { state: "kept", channel_order_id: null },
      { state: "parked", channel_order_id: strange, reason: expect.stringContaining("TELEPORTED") },
    ]);
    const replayed = await withTenant(demo.db, demo.shop.tenantId, (transaction) =>
      replayDeliveries(transaction, { state: "parked" }),
    );
    expect(replayed).toBeGreaterThan(0);
    await dispatchToTheEnd(demo.intake);
    await reserved(strange);
    expect((await cursor()).cursor! >= updatedAt).toBe(true);
  });

  test.each([
    ["5 minutes when its interval is shorter", 5_000, 1, 300_000],
    ["one interval when that is longer", 600_000, 1, 600_000],
    ["less where time is scaled", 5_000, 30, 10_000],
  ])("looks %s behind its cursor", async (_name, orderSyncMilliseconds, timeScale, overlap) => {
    await pass();
    const { cursor: from } = await cursor();
    const windows: string[] = [];
    const searchOrders: SalesChannel["searchOrders"] = (_shop, { updatedFrom }) => {
      windows.push(updatedFrom);
      return Promise.resolve({ orders: [], unreadable: [], nextPageToken: null });
    };
    const channel = { ...demo.channel, searchOrders };
    await takeInChangedOrders({ ...demo.intake, channel, orderSyncMilliseconds, timeScale }, demo.shop, null);
    expect(windows).toEqual([new Date(Date.parse(from!) - overlap).toISOString()]);
  });

  test("compares its fetches by the database's clock: one that a fast machine made hides no later one", async () => {
    const orderId = await place();
    const [found] = await demo.channel.fetchOrders(demo.shop, [asId(orderId)], 3);
    const asItWasBefore = { ...found!, order: { ...found!.order, trackingNumber: "as it was before" } };
    const page = { orders: [asItWasBefore], unreadable: [], nextPageToken: null };
    const channel = { ...demo.channel, searchOrders: () => Promise.resolve(page) };
    await onFastMachine(() => takeInChangedOrders({ ...demo.intake, channel }, demo.shop, null));
    await pass();
    expect(await orderOf(demo.db, demo.shop, orderId)).toMatchObject({ snapshot_version: 2 });
  });

  test("ends at once for a shop that is not connected", async () => {
    await connect("disconnected");
    await place();
    expect(await pass()).toEqual({ seen: 0, recovered: 0, awaited: 0, refused: 0 });
    await connect("connected");
    expect(await pass()).toMatchObject({ recovered: 1 });
  });

  test("does nothing for a shop that is not known", async () => {
    const stranger = { tenantId: demo.shop.tenantId, shopId: asId<"Shop">(crypto.randomUUID()) };
    expect(await takeInChangedOrders(demo.intake, stranger, null)).toMatchObject({ seen: 0, next: null });
  });

  test("wakes nobody for orders that are known as they are", async () => {
    await pass();
    await until("all orders of the tests before are decided about", () =>
      withTenant(demo.db, demo.shop.tenantId, async (transaction) => {
        const waiting = await findUnhandledOrders(transaction, demo.shop.shopId, 0);
        return waiting.length === 0;
      }),
    );
    const told: string[] = [];
    const { client } = demo.intake;
    const listening = Object.assign(Object.create(client) as typeof client, {
      workflow: {
        signalWithStart: (_type: string, { workflowId }: { workflowId: string }) => {
          told.push(workflowId);
          return Promise.resolve();
        },
      },
    });
    const orderId = await place();
    polling = { ...demo.intake, client: listening };
    expect(await pass()).toMatchObject({ recovered: 1 });
    polling = demo.intake;
    expect(told).toEqual([orderWorkflowId(demo.shop.shopId, orderId)]);
    await pass();
  });
});

describe("the schedule of a shop's poll", () => {
  const handle = () => demo.temporal.client.schedule.getHandle(orderSyncScheduleId(demo.shop.shopId));

  test("is made once for a connected shop, polls at once, and is brought to another interval", async () => {
    expect(await keepSchedules(demo.intake)).toBe(3);
    expect(await keepSchedules(demo.intake)).toBe(0);
    const orderId = await place();
    await handle().trigger();
    await until("found by the schedule's own workflow", () => orderOf(demo.db, demo.shop, orderId));
    const slower = { ...demo.intake, orderSyncMilliseconds: 60_000 };
    expect(await keepSchedules(slower)).toBe(1);
    const { spec, policies } = await handle().describe();
    expect(spec.intervals?.map(({ every }) => every)).toEqual([60_000]);
    expect(policies).toMatchObject({ overlap: "SKIP", catchupWindow: 60_000 });
  });

  test("comes back when Temporal has lost it", async () => {
    await handle().delete();
    expect(await keepSchedules(demo.intake)).toBe(1);
    expect((await handle().describe()).action).toMatchObject({ workflowType: "tiktokOrderSync" });
  });

  test("stays paused for whoever has paused it", async () => {
    await handle().pause("maintenance");
    await keepSchedules({ ...demo.intake, orderSyncMilliseconds: 70_000 });
    expect((await handle().describe()).state.paused).toBe(true);
  });

  test("goes with the shop's connection", async () => {
    await connect("disconnected");
    expect(await keepSchedules(demo.intake)).toBe(2);
    expect(await keepSchedules(demo.intake)).toBe(0);
    await expect(handle().describe()).rejects.toThrow();
    await connect("connected");
  });
});

test("every history that these tests made replays", async () => {
  const histories = await historiesOf(demo.temporal);
  expect(histories.length).toBeGreaterThan(3);
  expect(await findReplayFailures(await bundleWorkflows(), histories)).toEqual([]);
  await recordWhenAsked(histories);
});
