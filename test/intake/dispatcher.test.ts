import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { withTenant } from "../../src/db/tenant.ts";
import { asId, type ChannelOrderId } from "../../src/domain/ids.ts";
import { dispatchDeliveries } from "../../src/intake/deliveries.ts";
import { Rushes } from "../../src/db/rushes.ts";
import { RushTellings } from "../../src/intake/rush-tellings.ts";
import { ShopPauses } from "../../src/intake/shop-pauses.ts";
import { ShopsUnderWay } from "../../src/intake/shops-under-way.ts";
import { outboxClasses, workOffOutbox } from "../../src/intake/outbox.ts";
import { takeInSkus } from "../../src/intake/catalogue.ts";
import { connectShops, sweepUnhandledOrders } from "../../src/intake/sweep.ts";
import { ChannelFailure } from "../../src/integrations/ports/failure.ts";
import type { SalesChannel, ShopKey } from "../../src/integrations/ports/sales-channel.ts";
import type { RunningWorkers } from "../../src/workers.ts";
import { orderWorkflowId } from "../../src/workflows/addressing.ts";
import { type DemoShop, orderOf, startDemoShop } from "../support/demo-shop.ts";
import { dispatchToTheEnd, fetchAndTake, onFastMachine } from "../support/dispatch.ts";
import { seedShop } from "../support/seed.ts";
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

/** A delivery as the API stores it. */
async function deliver(orderId: string, shop: ShopKey = demo.shop): Promise<string> {
  const key = crypto.randomUUID();
  return await withTenant(demo.db, shop.tenantId, async () => {
    const row = await demo.database.asSuperuser<{ id: string }>(
      `insert into webhook_deliveries (channel, tenant_id, shop_id, sender, dedupe_key, topic, channel_order_id, body, headers)
       values ('tiktok-shop', $1, $2, 'test', $3, 1, $4, '\\x7b7d', '{}') returning id`,
      [shop.tenantId, shop.shopId, key, orderId],
    );
    return row[0]!.id;
  });
}

async function deliveryOf(id: string) {
  const [row] = await demo.database.asSuperuser<{
    state: string;
    attempts: number;
    failed_fetches: number;
    reason: string | null;
    next_attempt_at: Date;
  }>(
    "select state, attempts, failed_fetches, reason, next_attempt_at from webhook_deliveries where id = $1",
    [id],
  );
  return row!;
}

const makeDue = () =>
  demo.database.asSuperuser(
    "update webhook_deliveries set next_attempt_at = now() - interval '1 second', leased_until = null",
  );

const dispatching = (rushes: Rushes) => ({ rushes, tellings: new RushTellings(demo.intake.logger) });

const withChannel = (changes: Partial<SalesChannel>) => ({
  ...demo.intake,
  channel: { ...demo.channel, ...changes },
});

describe("the dispatcher", () => {
  test("takes an order in from its delivery, and a second delivery of the same news changes nothing", async () => {
    const orderId = await demo.placeOrder([{ skuId: demo.skus[0]!.id, quantity: 1 }]);
    const [first, second] = [await deliver(orderId), await deliver(orderId)];
    expect(await dispatchToTheEnd(demo.intake)).toBe(2);
    expect([await deliveryOf(first), await deliveryOf(second)].map((each) => each.state)).toEqual([
      "processed",
      "processed",
    ]);
    const order = await until("reserved", async () => {
      const known = await orderOf(demo.db, demo.shop, orderId);
      return known?.stages[0] === "held" ? known : null;
    });
    expect(order.snapshot_version).toBe(1);
  });

  test("fetches the orders of many deliveries in few calls", async () => {
    const orderIds: ChannelOrderId[] = [];
    for (let index = 0; index < 60; index += 1) {
      orderIds.push(await demo.placeOrder([{ skuId: demo.skus[1]!.id, quantity: 1 }], { oversell: true }));
    }
    await Promise.all(orderIds.map((orderId) => deliver(orderId)));
    let calls = 0;
    const counting = withChannel({
      fetchOrders: (...given) => {
        calls += 1;
        return demo.channel.fetchOrders(...given);
      },
    });
    while ((await dispatchToTheEnd(counting)) > 0);
    expect(calls).toBe(2);
  });

  test("counts an attempt for an order that the channel does not know yet, and takes it in once it does", async () => {
    const orderId = await demo.placeOrder([{ skuId: demo.skus[2]!.id, quantity: 1 }]);
    const id = await deliver(orderId);
    await dispatchToTheEnd(withChannel({ fetchOrders: () => Promise.resolve([]) }));
    expect(await deliveryOf(id)).toMatchObject({ state: "waiting", attempts: 1 });
    await makeDue();
    await dispatchToTheEnd(demo.intake);
    expect(await deliveryOf(id)).toMatchObject({ state: "processed" });
  });

  test("parks a delivery whose order never comes to be, with the reason", async () => {
    const id = await deliver("576000000000000001");
    for (let attempt = 0; attempt < 7; attempt += 1) {
      await makeDue();
      await dispatchToTheEnd(demo.intake);
    }
    expect(await deliveryOf(id)).toMatchObject({
      state: "parked",
      reason: expect.stringContaining("does not know"),
    });
  });

  test.each(["unavailable", "rate_limited", "unauthorised"] as const)(
    "waits without counting while the channel is %s",
    async (kind) => {
      const orderId = await demo.placeOrder([{ skuId: demo.skus[3]!.id, quantity: 1 }]);
      const id = await deliver(orderId);
      for (let attempt = 0; attempt < 8; attempt += 1) {
        await makeDue();
        await dispatchToTheEnd(
          withChannel({ fetchOrders: () => Promise.reject(new ChannelFailure(kind, "not now")) }),
        );
      }
      expect(await deliveryOf(id)).toMatchObject({ state: "waiting", attempts: 0, failed_fetches: 0 });
      await makeDue();
      await dispatchToTheEnd(demo.intake);
      expect(await deliveryOf(id)).toMatchObject({ state: "processed" });
    },
  );

  test("goes on with the other shops while one's channel answers slowly, and asks that one for nothing meanwhile", async () => {
    const slow = await seedShop(demo.db);
    await deliver("slow-1", slow);
    const answers: (() => void)[] = [];
    const asked: string[] = [];
    const intake = withChannel({
      fetchOrders: (shop, ...given) => {
        if (shop.shopId !== slow.shopId) return demo.channel.fetchOrders(shop, ...given);
        asked.push(...given[0]);
        return new Promise((resolve) => answers.push(() => resolve([])));
      },
    });
    const [pauses, underWay] = [new ShopPauses(), new ShopsUnderWay()];
    const pass = () => dispatchDeliveries(intake, pauses, underWay, dispatching(new Rushes()));
    await pass();
    await deliver("slow-2", slow);
    for (let round = 0; round < 3; round += 1) {
      const id = await deliver(
        await demo.placeOrder([{ skuId: demo.skus[1]!.id, quantity: 1 }], { oversell: true }),
      );
      await until("the other shop's order is taken in", async () => {
        await pass();
        return (await deliveryOf(id)).state === "processed";
      });
    }
    expect(asked).toEqual(["slow-1"]);
    expect(underWay.list()).toEqual([slow.shopId]);
    let ended = false;
    const stopping = underWay.allEnded().then(() => (ended = true));
    await pass();
    expect(ended).toBe(false);
    answers.forEach((answer) => answer());
    await stopping;
    expect(underWay.size).toBe(0);
    await until("asked for what came meanwhile", async () => {
      await pass();
      return asked.includes("slow-2");
    });
    answers.forEach((answer) => answer());
    await underWay.allEnded();
  });

  test("stores a rush's next orders while the workflows of those before are still to be told", async () => {
    const begun: (() => void)[] = [];
    const waiting = { signalWithStart: () => new Promise<void>((resolve) => begun.push(resolve)) };
    const intake = { ...demo.intake, client: { workflow: waiting } as unknown as typeof demo.intake.client };
    const [rushes, underWay] = [new Rushes(), new ShopsUnderWay()];
    rushes.has = () => true;
    const given = dispatching(rushes);
    for (let round = 1; round <= 3; round += 1) {
      const id = await deliver(
        await demo.placeOrder([{ skuId: demo.skus[1]!.id, quantity: 1 }], { oversell: true }),
      );
      await until("the order is stored", async () => {
        await dispatchDeliveries(intake, new ShopPauses(), underWay, given);
        return (await deliveryOf(id)).state === "processed";
      });
      expect(begun).toHaveLength(round);
    }
    begun.forEach((end) => end());
    await underWay.allEnded();
    await given.tellings.stop();
  });

  test("lets an order of which the channel always fails hold back no neighbour, and asks for it alone and more seldom", async () => {
    const [bad, ...good] = await Promise.all(
      Array.from({ length: 6 }, () =>
        demo.placeOrder([{ skuId: demo.skus[1]!.id, quantity: 1 }], { oversell: true }),
      ),
    );
    const badDelivery = await deliver(bad!);
    const goodDeliveries = await Promise.all(good.map((orderId) => deliver(orderId)));
    const calls: (readonly string[])[] = [];
    const failing = withChannel({
      fetchOrders: (shop, orderIds, priority) => {
        if (shop.shopId !== demo.shop.shopId) return Promise.resolve([]);
        calls.push(orderIds);
        if (orderIds.includes(bad!))
          return Promise.reject(new ChannelFailure("unavailable", "HTTP 500", { answered: true }));
        return demo.channel.fetchOrders(shop, orderIds, priority);
      },
    });
    const pass = async () => {
      await makeDue();
      calls.length = 0;
      await dispatchToTheEnd(failing);
    };
    for (let failure = 0; failure < 7; failure += 1) {
      await pass();
      expect(calls.length).toBeLessThanOrEqual(2);
    }
    await pass();
    for (const id of goodDeliveries) expect(await deliveryOf(id)).toMatchObject({ state: "processed" });
    const shortly = await deliveryOf(badDelivery);
    expect(shortly).toMatchObject({
      state: "waiting",
      attempts: 0,
      reason: expect.stringMatching(/even alone.*HTTP 500/),
    });

    // News of the same order and of another one come: the order is known to stand alone.
    const later = await demo.placeOrder([{ skuId: demo.skus[1]!.id, quantity: 1 }], { oversell: true });
    await demo.database.asSuperuser(
      "update webhook_deliveries set next_attempt_at = now() + interval '1 hour' where id = $1",
      [badDelivery],
    );
    const [again, neighbour] = [await deliver(bad!), await deliver(later)];
    calls.length = 0;
    await dispatchToTheEnd(failing);
    expect(calls).toEqual([[later], [bad]]);
    expect(await deliveryOf(neighbour)).toMatchObject({ state: "processed" });
    expect((await deliveryOf(again)).failed_fetches).toBeGreaterThan(shortly.failed_fetches);

    await makeDue();
    await dispatchToTheEnd(demo.intake);
    expect(await deliveryOf(badDelivery)).toMatchObject({ state: "processed" });
    expect(await deliveryOf(again)).toMatchObject({ state: "processed" });
  });

  test("compares fetches by the database's clock: one that a fast machine made hides no later one", async () => {
    const orderId = await demo.placeOrder([{ skuId: demo.skus[1]!.id, quantity: 1 }], { oversell: true });
    const [found] = await demo.channel.fetchOrders(demo.shop, [asId(orderId)], 2);
    const asItWasBefore = { ...found!, order: { ...found!.order, trackingNumber: "as it was before" } };
    await deliver(orderId);
    await onFastMachine(() =>
      dispatchToTheEnd(withChannel({ fetchOrders: () => Promise.resolve([asItWasBefore]) })),
    );
    await deliver(orderId);
    await dispatchToTheEnd(demo.intake);
    expect(await orderOf(demo.db, demo.shop, orderId)).toMatchObject({ snapshot_version: 2 });
  });

  test("takes the neighbours in of an order that cannot be stored, and keeps its delivery with the reason", async () => {
    const [good, bad] = [
      await demo.placeOrder([{ skuId: demo.skus[7]!.id, quantity: 1 }]),
      await demo.placeOrder([{ skuId: demo.skus[7]!.id, quantity: 1 }]),
    ];
    const [goodDelivery, badDelivery] = [await deliver(good), await deliver(bad)];
    await dispatchToTheEnd(
      withChannel({
        fetchOrders: async (...given) =>
          (await demo.channel.fetchOrders(...given)).map((each) =>
            each.order.orderId === bad ? { ...each, order: { ...each.order, currency: "POUNDS" } } : each,
          ),
      }),
    );
    expect(await deliveryOf(goodDelivery)).toMatchObject({ state: "processed" });
    expect(await deliveryOf(badDelivery)).toMatchObject({
      state: "waiting",
      attempts: 1,
      reason: expect.stringContaining("currency"),
    });
  });

  test("lets an id that the channel refuses keep no other order waiting, and parks it alone", async () => {
    const good = await demo.placeOrder([{ skuId: demo.skus[8]!.id, quantity: 1 }]);
    const [goodDelivery, badDelivery] = [await deliver(good), await deliver("TEST_ORDER_ID")];
    await makeDue();
    await dispatchToTheEnd(demo.intake);
    expect(await deliveryOf(goodDelivery)).toMatchObject({ state: "processed" });
    expect(await deliveryOf(badDelivery)).toMatchObject({ state: "waiting", attempts: 1 });
    for (let attempt = 0; attempt < 6; attempt += 1) {
      await makeDue();
      await dispatchToTheEnd(demo.intake);
    }
    expect(await deliveryOf(badDelivery)).toMatchObject({
      state: "parked",
      reason: expect.stringContaining("refused"),
    });
  });

  test("wakes an order whose SKU was unknown once the SKU is in the catalogue", async () => {
    const sku = demo.skus[9]!;
    const orderId = await demo.placeOrder([{ skuId: sku.id, quantity: 1 }]);
    const unlist = (by: string) =>
      demo.database.asSuperuser(
        "update listings set channel_sku_id = $1 || channel_sku_id where channel_sku_id = $2",
        [by, sku.id],
      );
    await unlist("away-");
    const blind = withChannel({ findProductsBySku: () => Promise.resolve([]) });
    await fetchAndTake(blind, demo.shop, [orderId]);
    await until("held", async () => (await orderOf(demo.db, demo.shop, orderId))?.hold === "unknown_sku");
    await takeInSkus(demo.intake, demo.shop, [asId<"ChannelSku">(sku.id)]);
    await until("reserved", async () => {
      await workOffOutbox(demo.intake, outboxClasses.workflows);
      return (await orderOf(demo.db, demo.shop, orderId))?.stages[0] === "held";
    });
  });

  test("takes an order in although the channel refuses to tell of its SKU: held and seen, and its neighbours with it", async () => {
    const [sku, other] = [demo.skus[11]!, demo.skus[12]!];
    const bad = await demo.placeOrder([{ skuId: sku.id, quantity: 1 }]);
    const good = await demo.placeOrder([{ skuId: other.id, quantity: 1 }]);
    await demo.database.asSuperuser(
      "update listings set channel_sku_id = 'gone-' || channel_sku_id where channel_sku_id = $1",
      [sku.id],
    );
    const refusing = withChannel({
      findProductsBySku: () => Promise.reject(new ChannelFailure("refused", "no such product")),
    });
    await fetchAndTake(refusing, demo.shop, [bad, good]);
    await until(
      "both known",
      async () =>
        (await orderOf(demo.db, demo.shop, bad))?.hold === "unknown_sku" &&
        (await orderOf(demo.db, demo.shop, good))?.stages[0] === "held",
    );
  });

  test("connects a shop whole or not yet: a failure half-way leaves no open order behind", async () => {
    const orderId = await demo.placeOrder([{ skuId: demo.skus[10]!.id, quantity: 1 }]);
    const status = async () =>
      (
        await demo.database.asSuperuser<{ status: string; status_reason: string | null }>(
          "select status, status_reason from shops where id = $1",
          [demo.shop.shopId],
        )
      )[0];
    await demo.database.asSuperuser("update shops set status = 'connecting' where id = $1", [
      demo.shop.shopId,
    ]);
    await connectShops(
      withChannel({ searchOrders: () => Promise.reject(new ChannelFailure("unavailable", "cut off")) }),
    );
    expect(await status()).toMatchObject({
      status: "connecting",
      status_reason: expect.stringContaining("cut off"),
    });
    const withStrangeOrder = withChannel({
      searchOrders: async (...given) => ({
        ...(await demo.channel.searchOrders(...given)),
        unreadable: [
          { orderId: asId<"ChannelOrder">("strange"), updatedAt: null, reason: "unknown shape at status" },
        ],
      }),
    });
    expect(await connectShops(withStrangeOrder)).toBe(1);
    expect(
      await demo.database.asSuperuser(
        "select state from webhook_deliveries where channel_order_id = 'strange'",
      ),
    ).toEqual([{ state: "parked" }]);
    expect(await status()).toEqual({ status: "connected", status_reason: null });
    expect(await orderOf(demo.db, demo.shop, orderId)).not.toBeNull();
  });

  test("connects the shops behind one that cannot be connected", async () => {
    await demo.database.asSuperuser("update shops set status = 'connecting' where id = $1", [
      demo.shop.shopId,
    ]);
    const other = await seedShop(demo.db);
    await demo.database.asSuperuser("update shops set status = 'connecting' where id = $1", [other.shopId]);
    expect(await connectShops(demo.intake)).toBe(1);
    await demo.database.asSuperuser("update shops set status = 'disconnected' where id = $1", [other.shopId]);
  });

  test("tells an order again whose stored news no workflow has handled", async () => {
    const orderId = await demo.placeOrder([{ skuId: demo.skus[4]!.id, quantity: 1 }]);
    const broken = {
      ...demo.intake,
      client: { workflow: { signalWithStart: () => Promise.reject(new Error("Temporal is away")) } },
    };
    await expect(fetchAndTake(broken as never, demo.shop, [orderId])).rejects.toThrow("away");
    expect(await orderOf(demo.db, demo.shop, orderId)).toMatchObject({
      snapshot_version: 1,
      handled_version: 0,
    });
    await demo.database.asSuperuser(
      "set session_replication_role = replica; update order_snapshots set stored_at = now() - interval '2 minutes'; reset session_replication_role",
    );
    expect(await sweepUnhandledOrders(demo.intake)).toBe(1);
    await until("handled", async () => (await orderOf(demo.db, demo.shop, orderId))?.stages[0] === "held");
  });

  test("fetches tracking and label of a shipped order beside its workflow", async () => {
    const orderId = await demo.placeOrder([{ skuId: demo.skus[5]!.id, quantity: 1 }]);
    const tell = async () => {
      await fetchAndTake(demo.intake, demo.shop, [orderId]);
    };
    for (const move of ["pay", "release"]) await demo.control("POST", `/_sim/orders/${orderId}/${move}`, {});
    await tell();
    await until("arranged", async () => {
      await tell();
      return (await orderOf(demo.db, demo.shop, orderId))?.channel_status === "awaiting_collection";
    });
    await until(
      "the label asked for",
      async () => (await workOffOutbox(demo.intake, outboxClasses.channel)) > 0,
    );
    await demo.control("POST", `/_sim/orders/${orderId}/collect`, {});
    await tell();
    await until("tracking and label", async () => {
      await workOffOutbox(demo.intake, outboxClasses.channel);
      const order = await orderOf(demo.db, demo.shop, orderId);
      return await withTenant(demo.db, demo.shop.tenantId, async (transaction) => {
        const tracking = await transaction
          .selectFrom("tracking_events")
          .where("order_id", "=", order!.id)
          .selectAll()
          .execute();
        const [label] = await transaction
          .selectFrom("packages")
          .where("order_id", "=", order!.id)
          .selectAll()
          .execute();
        return tracking.length > 0 && label?.document_url?.startsWith("http") === true;
      });
    });
  });

  test("gives up what the channel will refuse for ever, and keeps the reason", async () => {
    const refusing = withChannel({
      tracking: () => Promise.reject(new ChannelFailure("refused", "no such order")),
      shippingDocument: () => Promise.reject(new ChannelFailure("refused", "handed over already")),
    });
    await demo.database.asSuperuser(
      `insert into outbox (tenant_id, kind, key, payload)
       select tenant_id, 'fetch_document', 'refused', jsonb_build_object('orderId', id, 'orderRef', order_ref, 'packageId', '1') from orders limit 1`,
    );
    await until("given up", async () => {
      await workOffOutbox(refusing, outboxClasses.channel);
      const [row] = await demo.database.asSuperuser<{ done_at: Date | null; last_error: string | null }>(
        "select done_at, last_error from outbox where key = 'refused'",
      );
      return row?.done_at !== null && row?.last_error === "handed over already";
    });
  });

  test("keeps who buys out of workflow histories: a recipient is stored encrypted and nowhere else", async () => {
    const orderId = await demo.placeOrder([{ skuId: demo.skus[6]!.id, quantity: 1 }]);
    for (const move of ["pay", "release"]) await demo.control("POST", `/_sim/orders/${orderId}/${move}`, {});
    const fetched = await demo.channel.fetchOrders(demo.shop, [orderId], 2);
    const name = fetched[0]?.recipient?.name;
    expect(name).toBeTruthy();
    await fetchAndTake(demo.intake, demo.shop, [orderId]);
    await until("shipped", async () => (await orderOf(demo.db, demo.shop, orderId))?.stages[0] === "shipped");
    const history = await demo.temporal.client.workflow
      .getHandle(orderWorkflowId(demo.shop.shopId, orderId))
      .fetchHistory();
    expect(Buffer.from(JSON.stringify(history)).includes(name!)).toBe(false);
    const [stored] = await demo.database.asSuperuser<{ content: object; recipient: Buffer }>(
      "select snapshot.content, orders.recipient from orders join order_snapshots snapshot on snapshot.order_id = orders.id where channel_order_id = $1",
      [orderId],
    );
    expect(JSON.stringify(stored!.content)).not.toContain(name);
    expect(stored!.recipient.includes(name!)).toBe(false);
  });
});
