import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { readClock } from "../../src/db/connection.ts";
import { asId, type ChannelOrderId } from "../../src/domain/ids.ts";
import type { ShortagePolicy } from "../../src/domain/order/shortage.ts";
import { takeOrders } from "../../src/intake/take-orders.ts";
import { outboxClasses, workOffOutbox } from "../../src/intake/outbox.ts";
import { ChannelFailure } from "../../src/integrations/ports/failure.ts";
import type { SalesChannel } from "../../src/integrations/ports/sales-channel.ts";
import { prove } from "../../src/proof/proof.ts";
import { bundleWorkflows, type RunningWorkers } from "../../src/workers.ts";
import { orderWorkflowId, taskQueues } from "../../src/workflows/addressing.ts";
import { cancelOrder, chooseShortageCourse, orderNews } from "../../src/workflows/messages.ts";
import { createActivities } from "../../src/activities/index.ts";
import { createStockActivities } from "../../src/activities/stock.ts";
import { asActivity } from "../support/as-activity.ts";
import { fetchAndTake } from "../support/dispatch.ts";
import { type DemoShop, orderOf, startDemoShop, stockOfChannelSku } from "../support/demo-shop.ts";
import { findReplayFailures, historiesOf, recordWhenAsked } from "../support/histories.ts";
import { openTestDatabase } from "../support/seed.ts";
import { until } from "../support/until.ts";
import { pollsNothing, provesNothing, silent, startTestWorkers, tellsNobody } from "../support/workers.ts";

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

let nextSku = 0;
function freshSku() {
  const sku = demo.skus[nextSku];
  nextSku += 1;
  if (sku === undefined) throw new Error("No SKU is left that no other test uses");
  return sku;
}

/** The product's activities in this process, as a Worker would call them. */
const activitiesOf = ({ db, channel, temporal }: Pick<DemoShop, "db" | "channel" | "temporal">) =>
  createActivities({
    db,
    channel,
    client: temporal.client,
    logger: silent,
    alerting: tellsNobody,
    takeInChangedOrders: pollsNothing,
    prove: provesNothing,
    queuePrefix: temporal.taskQueuePrefix,
  });

const stockRequestsOf = ({ db, temporal }: DemoShop) =>
  createStockActivities({
    db,
    client: temporal.client,
    logger: silent,
    queuePrefix: temporal.taskQueuePrefix,
  }).requestStock;

async function syncStatusOf(channelSkuId: string): Promise<string | undefined> {
  const [row] = await demo.database.asSuperuser<{ sync_status: string }>(
    "select skus.sync_status from skus join listings on listings.sku_id = skus.id where channel_sku_id = $1",
    [channelSkuId],
  );
  return row?.sync_status;
}

/** Counts units in or out by hand, through the SKU's entity. */
async function adjust(channelSkuId: string, quantity: number): Promise<void> {
  const { skuId } = await stockOfChannelSku(demo.db, demo.shop.tenantId, channelSkuId);
  const [answer] = await stockRequestsOf(demo)({
    tenantId: demo.shop.tenantId,
    operations: [
      {
        skuId: asId<"Sku">(skuId),
        operation: {
          kind: "adjust",
          adjustmentId: crypto.randomUUID(),
          quantity,
          reason: "counted",
          actorId: null,
          locationId: null,
        },
      },
    ],
  });
  expect(answer?.outcome).toBe("adjusted");
}

/** What a webhook or a poll does: fetch, store, tell. */
async function news(...orderIds: ChannelOrderId[]): Promise<void> {
  await fetchAndTake(demo.intake, demo.shop, orderIds);
}

const move = (orderId: ChannelOrderId, how: string) =>
  demo.control("POST", `/_sim/orders/${orderId}/${how}`, {});

async function moveAndTell(orderId: ChannelOrderId, how: string): Promise<void> {
  await move(orderId, how);
  await news(orderId);
}

async function untilOrder(
  orderId: ChannelOrderId,
  what: string,
  holds: (order: NonNullable<Awaited<ReturnType<typeof orderOf>>>) => boolean,
) {
  return await until(
    what,
    async () => {
      const order = await orderOf(demo.db, demo.shop, orderId);
      return order !== null && holds(order) ? order : null;
    },
    { seconds: 20 },
  );
}

const workflowOf = (orderId: ChannelOrderId) =>
  demo.temporal.client.workflow.getHandle(orderWorkflowId(demo.shop.shopId, orderId));

/** Brings a fresh order to a state, by way of every state before it. */
async function orderIn(
  state: "unpaid" | "on_hold" | "awaiting_collection" | "in_transit",
  lines: readonly { skuId: string; quantity: number }[],
) {
  const orderId = await demo.placeOrder(lines);
  await news(orderId);
  await untilOrder(orderId, "units reserved", (order) => order.stages.every((stage) => stage === "held"));
  if (state === "unpaid") return orderId;
  await moveAndTell(orderId, "pay");
  await untilOrder(orderId, "paid", (order) => order.channel_status === "on_hold");
  if (state === "on_hold") return orderId;
  await moveAndTell(orderId, "release");
  await until("the shipment arranged with the channel", async () => {
    await news(orderId);
    const order = await orderOf(demo.db, demo.shop, orderId);
    return (
      order?.channel_status === "awaiting_collection" && order.stages.every((stage) => stage === "shipped")
    );
  });
  if (state === "awaiting_collection") return orderId;
  await moveAndTell(orderId, "collect");
  await untilOrder(orderId, "on its way", (order) => order.channel_status === "in_transit");
  return orderId;
}

async function workOff(): Promise<void> {
  await workOffOutbox(demo.intake, outboxClasses.workflows);
  await workOffOutbox(demo.intake, outboxClasses.offers);
}

describe("an order", () => {
  test("lives from unpaid to completed, and its units leave the stock once", async () => {
    const sku = freshSku();
    const orderId = await orderIn("in_transit", [{ skuId: sku.id, quantity: 2 }]);
    await moveAndTell(orderId, "deliver");
    await untilOrder(orderId, "delivered", (order) => order.channel_status === "delivered");
    await moveAndTell(orderId, "complete");
    await workflowOf(orderId).result();
    const order = await orderOf(demo.db, demo.shop, orderId);
    expect(order).toMatchObject({
      status: "delivered",
      channel_status: "completed",
      hold: null,
      touched: false,
    });
    expect(order?.lines.map(({ shipped, delivered }) => [shipped, delivered])).toEqual([
      [1, 1],
      [1, 1],
    ]);
    expect(await stockOfChannelSku(demo.db, demo.shop.tenantId, sku.id)).toMatchObject({
      onHand: sku.available - 2,
      reserved: 0,
    });
    expect(order?.events.map((event) => event.kind)).toEqual(
      expect.arrayContaining([
        "order_received",
        "lines_reserved",
        "order_paid",
        "lines_shipped",
        "status_changed",
      ]),
    );
  });

  test.each(["unpaid", "on_hold"] as const)("cancelled while %s frees its units once", async (state) => {
    const sku = freshSku();
    const orderId = await orderIn(state, [{ skuId: sku.id, quantity: 3 }]);
    expect(await stockOfChannelSku(demo.db, demo.shop.tenantId, sku.id)).toMatchObject({ reserved: 3 });
    await moveAndTell(orderId, "cancel");
    await workflowOf(orderId).result();
    await news(orderId);
    expect(await stockOfChannelSku(demo.db, demo.shop.tenantId, sku.id)).toMatchObject({
      onHand: sku.available,
      reserved: 0,
    });
    expect((await orderOf(demo.db, demo.shop, orderId))?.stages).toEqual([
      "cancelled",
      "cancelled",
      "cancelled",
    ]);
  });

  test("cancelled after its shipment was arranged brings its units back once", async () => {
    const sku = freshSku();
    const orderId = await orderIn("awaiting_collection", [{ skuId: sku.id, quantity: 1 }]);
    expect(await stockOfChannelSku(demo.db, demo.shop.tenantId, sku.id)).toMatchObject({
      onHand: sku.available - 1,
    });
    await moveAndTell(orderId, "cancel");
    await workflowOf(orderId).result();
    expect(await stockOfChannelSku(demo.db, demo.shop.tenantId, sku.id)).toMatchObject({
      onHand: sku.available,
      reserved: 0,
    });
    expect((await orderOf(demo.db, demo.shop, orderId))?.stages).toEqual(["reversed"]);
  });

  test("cancelled on its way keeps its units gone: they come back by an inspected return only", async () => {
    const sku = freshSku();
    const orderId = await orderIn("in_transit", [{ skuId: sku.id, quantity: 1 }]);
    await moveAndTell(orderId, "cancel");
    await workflowOf(orderId).result();
    expect(await stockOfChannelSku(demo.db, demo.shop.tenantId, sku.id)).toMatchObject({
      onHand: sku.available - 1,
      reserved: 0,
    });
  });

  test("cancelled at once, before anything was reserved, ends without a unit held", async () => {
    const sku = freshSku();
    const orderId = await demo.placeOrder([{ skuId: sku.id, quantity: 2 }]);
    const first = news(orderId);
    await move(orderId, "cancel");
    await first;
    await news(orderId);
    await workflowOf(orderId).result();
    expect(await stockOfChannelSku(demo.db, demo.shop.tenantId, sku.id)).toMatchObject({ reserved: 0 });
    expect((await orderOf(demo.db, demo.shop, orderId))?.channel_status).toBe("cancelled");
  });

  test("that is short is held and visible, and is served when stock comes, in the order of payment", async () => {
    const sku = freshSku();
    await adjust(sku.id, -sku.available);
    const [first, second] = [
      await demo.placeOrder([{ skuId: sku.id, quantity: 1 }], { oversell: true }),
      await demo.placeOrder([{ skuId: sku.id, quantity: 1 }], { oversell: true }),
    ];
    await move(second, "pay");
    await news(second, first);
    const short = await untilOrder(first, "short", (order) => order.hold === "shortage");
    expect(short).toMatchObject({ needs_attention: true });
    await untilOrder(second, "short", (order) => order.hold === "shortage");
    const visible = await until("the order found by what needs attention", async () => {
      for await (const found of demo.temporal.client.workflow.list({
        query: `CfNeedsAttention = true AND CfOrder = "${first}"`,
      }))
        return found;
      return null;
    });
    expect(visible.workflowId).toBe(orderWorkflowId(demo.shop.shopId, first));

    await adjust(sku.id, 1);
    await workOff();
    await untilOrder(second, "the paid order served", (order) => order.stages[0] === "held");
    expect((await orderOf(demo.db, demo.shop, first))?.stages).toEqual(["short"]);
  });

  test("takes units in that were served before its shortage was written down, as after a crash between the two", async () => {
    const sku = freshSku();
    const { skuId } = await stockOfChannelSku(demo.db, demo.shop.tenantId, sku.id);
    await adjust(sku.id, -sku.available);
    const orderId = await demo.placeOrder([{ skuId: sku.id, quantity: 1 }], { oversell: true });
    const key = { ...demo.shop, orderId };
    const untold = { ...demo.intake, client: { workflow: { signalWithStart: () => Promise.resolve() } } };
    await fetchAndTake(untold as never, demo.shop, [orderId]);
    const activities = activitiesOf(demo);
    const step = await activities.advanceOrder({ ...key, report: { news: true } });
    const [command] = step.commands;
    if (command?.kind !== "stock") throw new Error("The order should ask for units");
    const asked = {
      tenantId: demo.shop.tenantId,
      operations: [{ skuId: asId<"Sku">(skuId), operation: command.operation }],
    };
    expect(await stockRequestsOf(demo)(asked)).toEqual([{ outcome: "short" }]);
    // Here the process died. Units come, the queue is served, and its waking finds an order that does not know yet.
    await adjust(sku.id, 1);
    await workOff();
    await untilOrder(orderId, "the units taken in", (order) => order.stages[0] === "held");
  });

  describe("that is paid and short, by its seller's policy", () => {
    const setPolicy = (policy: ShortagePolicy) =>
      demo.database.asSuperuser(`update tenants set shortage_policy = '${policy}'`);
    afterAll(() => setPolicy("ask"));

    /** Of two lines the second is short. */
    async function halfServed(orderPolicy: ShortagePolicy) {
      await setPolicy(orderPolicy);
      const [there, missing] = [freshSku(), freshSku()];
      await adjust(missing.id, -missing.available);
      const orderId = await demo.placeOrder(
        [
          { skuId: there.id, quantity: 1 },
          { skuId: missing.id, quantity: 1 },
        ],
        { oversell: true },
      );
      await move(orderId, "pay");
      await news(orderId);
      return { orderId, there, missing };
    }

    const reservedOf = async (sku: { readonly id: string }) =>
      (await stockOfChannelSku(demo.db, demo.shop.tenantId, sku.id)).reserved;

    test("waits until it should have shipped, and then cancelling is proposed", async () => {
      const { orderId } = await halfServed("wait");
      const waits = await untilOrder(orderId, "waiting", (order) => order.shortage_course === "wait");
      expect(waits).toMatchObject({ hold: "shortage", needs_attention: false });
      expect([...waits.stages].sort()).toEqual(["held", "short"]);
      await demo.database.asSuperuser(
        "update orders set ship_by = clock_timestamp() + interval '2 seconds' where channel_order_id = $1",
        [orderId],
      );
      // It hears of its deadline as of any news; from then on only time passes.
      await workflowOf(orderId).signal(orderNews, { cause: "test" });
      const overdue = await untilOrder(orderId, "overdue", (order) => order.shortage_course === "overdue");
      expect(overdue).toMatchObject({ needs_attention: true });
      expect(overdue.next_step).toMatch(/cancelling is proposed/);
    });

    test("leaves the units of its other lines to other orders, and asks for them again when nothing is missing", async () => {
      const { orderId, there, missing } = await halfServed("release_others");
      await untilOrder(orderId, "set aside", (order) => order.stages.includes("set_aside"));
      expect(await reservedOf(there)).toBe(0);
      await adjust(missing.id, 1);
      await workOff();
      await untilOrder(
        orderId,
        "whole again",
        (order) => order.stages.every((stage) => stage === "held") && order.shortage_course === null,
      );
      expect(await reservedOf(there)).toBe(1);
    });

    test("is proposed to be cancelled at once, and a person may keep it waiting", async () => {
      const { orderId } = await halfServed("propose_cancelling");
      const proposed = await untilOrder(
        orderId,
        "proposed",
        (order) => order.shortage_course === "propose_cancelling",
      );
      expect(proposed).toMatchObject({ needs_attention: true });
      const [person] = await demo.database.asSuperuser<{ id: string }>("select id from users limit 1");
      const by = asId<"User">(person!.id);
      // Whoever wishes at the same time is heard, one after the other.
      const courses = ["ask", "wait", "release_others"] as const;
      const told = courses.map((course) =>
        workflowOf(orderId).executeUpdate(chooseShortageCourse, { args: [{ course, by }] }),
      );
      expect(await Promise.all(told)).toEqual(courses.map(() => ({ accepted: true })));
      const heard = (await orderOf(demo.db, demo.shop, orderId))?.events.filter(
        (event) => event.kind === "shortage_course_taken",
      );
      expect(heard).toHaveLength(1 + courses.length);
      const wish = () =>
        workflowOf(orderId).executeUpdate(chooseShortageCourse, { args: [{ course: "wait", by }] });
      // Both are answered, whichever comes first.
      expect(await Promise.all([wish(), wish()])).toEqual([{ accepted: true }, { accepted: true }]);
      expect(await orderOf(demo.db, demo.shop, orderId)).toMatchObject({
        shortage_course: "wait",
        shortage_decided_by: by,
        needs_attention: false,
        touched: true,
      });
      const whole = await orderIn("on_hold", [{ skuId: freshSku().id, quantity: 1 }]);
      expect(
        await workflowOf(whole).executeUpdate(chooseShortageCourse, { args: [{ course: "wait", by }] }),
      ).toMatchObject({ refused: "nothing_missing" });
    });
  });

  test("is cancelled once when the wish is told again, as after a crash", async () => {
    const sku = freshSku();
    const orderId = await orderIn("on_hold", [{ skuId: sku.id, quantity: 1 }]);
    const activities = activitiesOf(demo);
    const wish = { ...demo.shop, orderId, report: { cancelWish: { reason: "Damaged", by: null } } };
    const [first, again] = [await activities.advanceOrder(wish), await activities.advanceOrder(wish)];
    expect([first.cancelRefusal, again.cancelRefusal]).toEqual([null, null]);
    const events = (await orderOf(demo.db, demo.shop, orderId))?.events.filter(
      (event) => event.kind === "cancel_requested",
    );
    expect(events).toHaveLength(1);
  });

  test("is shipped although another order of the same call is refused", async () => {
    const refusing: SalesChannel = {
      ...demo.channel,
      arrangeShipments: (shop, packageIds) =>
        packageIds.length > 1 || packageIds[0] === "bad"
          ? Promise.reject(
              new ChannelFailure("refused", "package bad is invalid", { channelCode: "36009004" }),
            )
          : demo.channel.arrangeShipments(shop, packageIds),
    };
    const sku = freshSku();
    const orderId = await demo.placeOrder([{ skuId: sku.id, quantity: 1 }]);
    for (const step of ["pay", "release"]) await move(orderId, step);
    const [fetched] = await demo.channel.fetchOrders(demo.shop, [orderId], 2);
    const activities = activitiesOf({ ...demo, channel: refusing });
    const [good, bad] = await Promise.all([
      asActivity(() =>
        activities.arrangeShipment({
          ...demo.shop,
          orderId,
          packageIds: [fetched!.order.lines[0]!.packageId!],
        }),
      ),
      asActivity(() =>
        activities.arrangeShipment({
          ...demo.shop,
          orderId: asId<"ChannelOrder">("1"),
          packageIds: [asId<"ChannelPackage">("bad")],
        }),
      ),
    ]);
    expect(good).toMatchObject({ arranged: true });
    expect(bad).toMatchObject({ arranged: false, reason: expect.stringContaining("invalid") });
    await news(orderId);
  });

  test("is not moved by news that come twice, late, or in the wrong order", async () => {
    const sku = freshSku();
    const orderId = await demo.placeOrder([{ skuId: sku.id, quantity: 1 }]);
    const unpaid = await demo.channel.fetchOrders(demo.shop, [orderId], 2);
    await move(orderId, "pay");
    const paid = await demo.channel.fetchOrders(demo.shop, [orderId], 2);
    await move(orderId, "release");
    const released = await demo.channel.fetchOrders(demo.shop, [orderId], 2);
    for (const orders of [paid, released, unpaid, paid, released, unpaid, unpaid]) {
      const askedAt = await readClock(demo.db);
      await takeOrders(demo.intake, demo.shop, { askedAt, orders }, () => "test");
    }
    await until("shipped", async () => {
      await news(orderId);
      return (await orderOf(demo.db, demo.shop, orderId))?.stages[0] === "shipped";
    });
    const order = await orderOf(demo.db, demo.shop, orderId);
    expect(order?.events.filter((event) => event.kind === "order_received")).toHaveLength(1);
    expect(order?.events.filter((event) => event.kind === "lines_reserved")).toHaveLength(1);
    expect(order?.events.filter((event) => event.kind === "shipment_arranged").length).toBeLessThanOrEqual(1);
  });

  test("is cancelled by a person through its workflow, and refuses what the channel would not allow", async () => {
    const sku = freshSku();
    const unpaid = await orderIn("unpaid", [{ skuId: sku.id, quantity: 1 }]);
    const refused = await workflowOf(unpaid).executeUpdate(cancelOrder, {
      args: [{ reason: "Out of stock", by: null }],
    });
    expect(refused).toMatchObject({ refused: "not_paid_yet" });
    const paid = await orderIn("on_hold", [{ skuId: sku.id, quantity: 1 }]);
    const accepted = await workflowOf(paid).executeUpdate(cancelOrder, {
      args: [{ reason: "Out of stock", by: null }],
    });
    expect(accepted).toEqual({ accepted: true });
    await news(paid);
    await workflowOf(paid).result();
    expect(await orderOf(demo.db, demo.shop, paid)).toMatchObject({
      channel_status: "cancelled",
      touched: true,
    });
  });

  test("shipped in the channel's own screens is booked although it was short here", async () => {
    const sku = freshSku();
    await adjust(sku.id, -sku.available);
    const orderId = await demo.placeOrder([{ skuId: sku.id, quantity: 1 }], { oversell: true });
    await news(orderId);
    await untilOrder(orderId, "short", (order) => order.hold === "shortage");
    await move(orderId, "pay");
    await move(orderId, "release");
    const [fetched] = await demo.channel.fetchOrders(demo.shop, [orderId], 2);
    await demo.channel.arrangeShipments(demo.shop, [fetched!.order.lines[0]!.packageId!]);
    await news(orderId);
    await untilOrder(orderId, "booked", (order) => order.stages[0] === "shipped");
    expect(await stockOfChannelSku(demo.db, demo.shop.tenantId, sku.id)).toMatchObject({
      onHand: 0,
      reserved: 0,
    });
  });

  test("that has a long history continues as new and goes on where it was", async () => {
    const sku = freshSku();
    const orderId = await demo.placeOrder([{ skuId: sku.id, quantity: 1 }]);
    const workflowId = orderWorkflowId(demo.shop.shopId, orderId);
    const untold = { ...demo.intake, client: { workflow: { signalWithStart: () => Promise.resolve() } } };
    await fetchAndTake(untold as never, demo.shop, [orderId]);
    const first = await demo.temporal.client.workflow.start("orderLifecycle", {
      workflowId,
      taskQueue: taskQueues(demo.temporal.taskQueuePrefix).orders,
      args: [{ ...demo.shop, orderId, queuePrefix: demo.temporal.taskQueuePrefix, historyLengthMaximum: 25 }],
    });
    for (const step of ["pay", "release"]) await moveAndTell(orderId, step);
    await until("shipped, through one run or several", async () => {
      await news(orderId);
      return (await orderOf(demo.db, demo.shop, orderId))?.stages[0] === "shipped";
    });
    await until("a second run", async () => {
      await demo.temporal.client.workflow.getHandle(workflowId).signal(orderNews, { cause: "test" });
      const now = await demo.temporal.client.workflow.getHandle(workflowId).describe();
      return now.runId !== first.firstExecutionRunId;
    });
    for (const step of ["collect", "deliver", "complete"]) await moveAndTell(orderId, step);
    await workflowOf(orderId).result();
    expect(await stockOfChannelSku(demo.db, demo.shop.tenantId, sku.id)).toMatchObject({
      onHand: sku.available - 1,
      reserved: 0,
    });
  });

  describe("collected there before its offer was compared and told here after it", () => {
    const shows = async (sku: { readonly id: string }, available: number) => {
      await workOff();
      const [stock] = await demo.channel.readStock(demo.shop, [asId<"ChannelSku">(sku.id)], 3);
      return stock?.available === available;
    };

    test("leaves no unit offered that was pushed and is not there", async () => {
      const sku = freshSku();
      const orderId = await orderIn("awaiting_collection", [{ skuId: sku.id, quantity: 2 }]);
      await move(orderId, "collect");
      const sold = await demo.placeOrder([{ skuId: sku.id, quantity: 1 }]);
      await adjust(sku.id, 5);
      // Here the two units still count as under way, and the unit just sold is not known: the push cannot know better.
      await until("the push", () => shows(sku, sku.available + 5 - 2));
      await news(orderId);
      await until("the right number", () => shows(sku, sku.available + 5 - 2 - 1), { seconds: 60 });
      await news(sold);
    });

    test("leaves no unit offered that was taken away while the sums agreed by chance", async () => {
      const sku = freshSku();
      const orderId = await orderIn("awaiting_collection", [{ skuId: sku.id, quantity: 3 }]);
      await move(orderId, "collect");
      // Three fewer here, and three that have left there without being known here: one sum, and nothing to push.
      await adjust(sku.id, -3);
      await until("the comparison", async () => {
        await workOff();
        return (await syncStatusOf(sku.id)) === "synced";
      });
      expect(await shows(sku, sku.available - 3)).toBe(true);
      await news(orderId);
      await until("the right number", () => shows(sku, sku.available - 3 - 3), { seconds: 60 });
    });
  });

  test("an adjustment reaches the channel's number, and sales there in the meantime are not offered again", async () => {
    const sku = freshSku();
    await news(await demo.placeOrder([{ skuId: sku.id, quantity: 2 }]));
    await adjust(sku.id, 25);
    await until("the channel told", async () => {
      await workOff();
      const [stock] = await demo.channel.readStock(demo.shop, [asId<"ChannelSku">(sku.id)], 3);
      return stock?.available === sku.available + 25 - 2 && stock.committed === 2;
    });
  });
});

test("after all of this the proof finds nothing, here or in the channel's books", async () => {
  const report = openTestDatabase(demo.database.url, "cf_report");
  try {
    const proof = await prove({ db: report, simulatorUrl: demo.simulator.url, settleSeconds: 20 });
    expect(proof.checks.flatMap((check) => check.violations)).toEqual([]);
  } finally {
    await report.destroy();
  }
});

test("every history that these tests made replays", async () => {
  const histories = await historiesOf(demo.temporal);
  expect(histories.length).toBeGreaterThan(15);
  expect(await findReplayFailures(await bundleWorkflows(), histories)).toEqual([]);
  await recordWhenAsked(histories);
});
