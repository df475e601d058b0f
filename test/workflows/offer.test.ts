import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Client, WorkflowNotFoundError } from "@temporalio/client";
import { createActivities } from "../../src/activities/index.ts";
import { createOffers } from "../../src/activities/offer.ts";
import { appendToOutbox } from "../../src/db/outbox.ts";
import { applyStockBatch } from "../../src/db/stock.ts";
import { withTenant } from "../../src/db/tenant.ts";
import { asId, type SkuId } from "../../src/domain/ids.ts";
import type { IntakeDependencies } from "../../src/intake/dependencies.ts";
import { outboxClasses, workOffOutbox } from "../../src/intake/outbox.ts";
import { ChannelFailure } from "../../src/integrations/ports/failure.ts";
import type { SalesChannel } from "../../src/integrations/ports/sales-channel.ts";
import { skuWorkflowId } from "../../src/workflows/addressing.ts";
import { adjust } from "../domain/stock/stock-builders.ts";
import { type DemoShop, startDemoShop, stockOfChannelSku } from "../support/demo-shop.ts";
import { until } from "../support/until.ts";
import { pollsNothing, provesNothing, silent, tellsNobody } from "../support/workers.ts";

let demo: DemoShop;
beforeAll(async () => {
  demo = await startDemoShop();
});
afterAll(() => demo.close());

const delays: number[] = [];
const activitiesWith = (changes: Partial<SalesChannel>) =>
  createActivities({
    pushConfirmed: (seconds) => delays.push(seconds),
    db: demo.db,
    channel: { ...demo.channel, ...changes },
    client: demo.temporal.client,
    logger: silent,
    alerting: tellsNobody,
    takeInChangedOrders: pollsNothing,
    prove: provesNothing,
    queuePrefix: demo.temporal.taskQueuePrefix,
  });

async function skuOf(index: number) {
  const sku = demo.skus[index]!;
  const { skuId } = await stockOfChannelSku(demo.db, demo.shop.tenantId, sku.id);
  return {
    ...sku,
    skuId: asId<"Sku">(skuId),
    key: { tenantId: demo.shop.tenantId, skuId: asId<"Sku">(skuId) },
  };
}

/** The channel shows another number than ours, as after a push that was overwritten. */
const showAtChannel = (skuId: string, available: number) =>
  demo.control("POST", "/_sim/stock", { skuId, available });

async function shownFor(channelSkuId: string): Promise<number | undefined> {
  const [stock] = await demo.channel.readStock(demo.shop, [asId<"ChannelSku">(channelSkuId)], 3);
  return stock?.available;
}

const rowsOf = (skuId: string) =>
  withTenant(demo.db, demo.shop.tenantId, async (transaction) => ({
    intents: await transaction
      .selectFrom("push_intents")
      .where("sku_id", "=", skuId)
      .orderBy("id")
      .selectAll()
      .execute(),
    status: (
      await transaction
        .selectFrom("skus")
        .where("id", "=", skuId)
        .select("sync_status")
        .executeTakeFirstOrThrow()
    ).sync_status,
  }));

test("a number that differs is pushed, read back, and its intent closed", async () => {
  const sku = await skuOf(0);
  await showAtChannel(sku.id, sku.available + 7);
  await activitiesWith({}).pushOffer(sku.key);
  expect(await shownFor(sku.id)).toBe(sku.available);
  const { intents, status } = await rowsOf(sku.skuId);
  expect(intents.map((intent) => intent.state)).toEqual(["confirmed"]);
  expect(status).toBe("synced");
  expect(delays).toHaveLength(1);
  expect(delays[0]).toBeGreaterThan(0);
});

test("a number that agrees is not pushed", async () => {
  const sku = await skuOf(1);
  const silentChannel = activitiesWith({
    setAvailable: () => Promise.reject(new Error("nothing is to be pushed")),
  });
  await silentChannel.pushOffer(sku.key);
  expect((await rowsOf(sku.skuId)).intents).toEqual([]);
});

test("a push whose outcome is unclear is read back at once, and found to have taken effect", async () => {
  const sku = await skuOf(2);
  await showAtChannel(sku.id, sku.available + 3);
  const timesOut: SalesChannel["setAvailable"] = async (...given) => {
    await demo.channel.setAvailable(...given);
    throw new ChannelFailure("unavailable", "no answer");
  };
  await activitiesWith({ setAvailable: timesOut }).pushOffer(sku.key);
  expect((await rowsOf(sku.skuId)).intents.map((intent) => intent.state)).toEqual(["confirmed"]);
  expect(await shownFor(sku.id)).toBe(sku.available);
});

test("a push that gets no clear answer three times is left to a later try, which supersedes what is open", async () => {
  const sku = await skuOf(5);
  await showAtChannel(sku.id, sku.available + 3);
  const neverAnswers: SalesChannel["setAvailable"] = () =>
    Promise.reject(new ChannelFailure("unavailable", "no answer"));
  await expect(activitiesWith({ setAvailable: neverAnswers }).pushOffer(sku.key)).rejects.toThrow(
    "no answer",
  );
  const states = async () => (await rowsOf(sku.skuId)).intents.map((intent) => intent.state);
  expect(await states()).toEqual(["superseded", "superseded", "open"]);
  await activitiesWith({}).pushOffer(sku.key);
  expect(await states()).toEqual(["superseded", "superseded", "superseded", "confirmed"]);
  expect(await shownFor(sku.id)).toBe(sku.available);
});

test("a push that the channel refuses for its item is failed, with the channel's words, and comes again", async () => {
  const sku = await skuOf(3);
  await showAtChannel(sku.id, sku.available + 1);
  const refuses: SalesChannel["setAvailable"] = () =>
    Promise.resolve([
      {
        key: asId<"ChannelSku">(sku.id),
        ok: false,
        channelCode: "12052055",
        message: "quantity outside limits",
      },
    ]);
  await expect(activitiesWith({ setAvailable: refuses }).pushOffer(sku.key)).rejects.toThrow(
    "quantity outside limits",
  );
  const { intents, status } = await rowsOf(sku.skuId);
  expect(intents.map((intent) => [intent.state, intent.outcome])).toEqual([
    ["refused", "quantity outside limits (12052055)"],
    ["refused", "quantity outside limits (12052055)"],
  ]);
  expect(status).toBe("failed");
});

test("a number that never comes to be right is reported instead of pushed for ever", async () => {
  const sku = await skuOf(4);
  await showAtChannel(sku.id, sku.available + 2);
  const forgets: SalesChannel["setAvailable"] = () =>
    Promise.resolve([{ key: asId<"ChannelSku">(sku.id), ok: true }]);
  await expect(activitiesWith({ setAvailable: forgets }).pushOffer(sku.key)).rejects.toThrow(/does not show/);
});

const openMessagesOf = (skuId: string) =>
  withTenant(demo.db, demo.shop.tenantId, (transaction) =>
    transaction
      .selectFrom("outbox")
      .where("kind", "=", "push_offer")
      .where("key", "like", `${skuId}/%`)
      .where("done_at", "is", null)
      .select("next_attempt_at")
      .execute(),
  );
const isDone = async (skuId: string) => (await openMessagesOf(skuId)).length === 0;

describe("who has applied a batch", () => {
  test("pushes what it has changed, and marks the message that asks for it", async () => {
    const sku = await skuOf(6);
    await activitiesWith({}).applyStockBatch({ ...sku.key, operations: [adjust("pushed at once", 4)] });
    await until("the message is done", () => isDone(sku.skuId));
    expect(await shownFor(sku.id)).toBe(sku.available + 4);
    // A look does not take for a change on its way what was synced after it.
    const [times] = await demo.database.asSuperuser<{ in_order: boolean }>(
      `select bool_and(message.done_at < sku.last_synced_at) as in_order from outbox as message
       join skus as sku on sku.id::text = message.payload ->> 'skuId' where message.kind = 'push_offer' and sku.id = $1`,
      [sku.skuId],
    );
    expect(times).toEqual({ in_order: true });
    const { intents, status } = await rowsOf(sku.skuId);
    expect(intents.map((intent) => intent.state)).toEqual(["confirmed"]);
    expect(status).toBe("synced");
  });

  test("leaves what does not work to the SKU's entity", async () => {
    const sku = await skuOf(7);
    let asked = 0;
    const refuses: SalesChannel["readStock"] = () => {
      asked += 1;
      return Promise.reject(new ChannelFailure("refused", "no such shop"));
    };
    const activities = activitiesWith({ readStock: refuses });
    await activities.applyStockBatch({ ...sku.key, operations: [adjust("not pushed", 4)] });
    await until("the message is done", () => isDone(sku.skuId));
    expect(asked).toBe(1);
    expect((await rowsOf(sku.skuId)).status).toBe("failed");
    expect(await signalsTo(sku.skuId)).toEqual(["offerChanged"]);
  });

  test("leaves the message open, to come due again, when nobody can be told", async () => {
    const sku = await skuOf(9);
    let told = 0;
    const offers = createOffers({
      db: demo.db,
      channel: { ...demo.channel, readStock: () => Promise.reject(new Error("cut off")) },
      client: {
        workflow: {
          signalWithStart: () => {
            told += 1;
            return Promise.reject(new Error("cut off as well"));
          },
        },
      } as unknown as Client,
      queuePrefix: demo.temporal.taskQueuePrefix,
      logger: silent,
    });
    const { pushes } = await applyStockBatch(demo.db, demo.shop.tenantId, sku.skuId, [
      adjust("told nobody", 1),
    ]);
    expect(offers.beginPush(demo.shop.tenantId, sku.skuId, pushes)).toBe(true);
    await offers.allEnded(10_000);
    expect(told).toBe(1);
    expect(await openMessagesOf(sku.skuId)).toHaveLength(1);
  });

  test("tries a listing that has failed no more often than Temporal does, and tells its other shops all the same", async () => {
    const sku = await skuOf(14);
    let refused = 0;
    const refuses: SalesChannel["setAvailable"] = () => {
      refused += 1;
      return Promise.resolve([
        { key: asId<"ChannelSku">(sku.id), ok: false, channelCode: "12052055", message: "outside limits" },
      ]);
    };
    const activities = activitiesWith({ setAvailable: refuses });
    for (let number = 1; number <= 5; number += 1) {
      await activities.applyStockBatch({ ...sku.key, operations: [adjust(`refused ${number}`, 1)] });
      await until("the message is done", () => isDone(sku.skuId));
    }
    // Two in the first push, which says it twice; and what was asked for later was left to the entity.
    expect(refused).toBe(2);
    expect(await signalsTo(sku.skuId)).toHaveLength(5);
    await expect(activities.pushOffer(sku.key)).rejects.toThrow("outside limits");
    expect(refused).toBe(4);
  });

  test("asks a shop nothing of its own sales, which it counts itself, unless something else has changed as well", async () => {
    const sku = await skuOf(15);
    const { tenantId, shopId } = demo.shop;
    let read = 0;
    const offers = createOffers({
      ...demo,
      channel: {
        ...demo.channel,
        readStock: (...asked) => {
          read += 1;
          return demo.channel.readStock(...asked);
        },
      },
      client: demo.temporal.client,
      queuePrefix: demo.temporal.taskQueuePrefix,
      logger: silent,
    });
    const sold = { key: `${sku.skuId}/sold`, soldBy: shopId };
    offers.beginPush(tenantId, sku.skuId, [sold]);
    await offers.allEnded(10_000);
    expect(read).toBe(0);
    offers.beginPush(tenantId, sku.skuId, [sold, { key: `${sku.skuId}/changed`, soldBy: null }]);
    await offers.allEnded(10_000);
    expect(read).toBe(1);
  });

  test("pushes one SKU by one push at a time, and all that changes meanwhile by the next", async () => {
    const sku = await skuOf(8);
    const told: number[] = [];
    let underWay = 0;
    let most = 0;
    const counts: SalesChannel["setAvailable"] = async (shop, productId, levels, priority) => {
      underWay += 1;
      most = Math.max(most, underWay);
      const answer = await demo.channel.setAvailable(shop, productId, levels, priority);
      told.push(...levels.map(({ available }) => available));
      underWay -= 1;
      return answer;
    };
    const activities = activitiesWith({ setAvailable: counts });
    for (let number = 1; number <= 10; number += 1) {
      await activities.applyStockBatch({ ...sku.key, operations: [adjust(`one of many ${number}`, 1)] });
    }
    // One that was asked for by a message is no second one beside it.
    await activities.pushOffer(sku.key);
    await until("all messages are done", () => isDone(sku.skuId));
    expect(most).toBe(1);
    expect(told.at(-1)).toBe(sku.available + 10);
    expect(told.length).toBeLessThan(10);
  });
});

describe("the dispatcher", () => {
  const ask = (skuId: SkuId, key: string, byEntity?: true) =>
    withTenant(demo.db, demo.shop.tenantId, (transaction) =>
      appendToOutbox(transaction, demo.shop.tenantId, [
        {
          kind: "push_offer",
          key: `${skuId}/${key}`,
          payload: { skuId, ...(byEntity === undefined ? {} : { byEntity }) },
        },
      ]),
    );
  const workOff = (beginPush: IntakeDependencies["beginPush"]) =>
    workOffOutbox(
      { ...demo.intake, ...(beginPush === undefined ? {} : { beginPush }) },
      outboxClasses.offers,
    );

  test("begins the push that a message asks for, which is done when that has worked", async () => {
    const sku = await skuOf(10);
    await showAtChannel(sku.id, sku.available + 7);
    await ask(sku.skuId, "asked");
    const offers = createOffers({
      ...demo,
      logger: silent,
      queuePrefix: demo.temporal.taskQueuePrefix,
      client: demo.temporal.client,
    });
    await workOff(offers.beginPush);
    await until("the message is done", () => isDone(sku.skuId));
    expect(await shownFor(sku.id)).toBe(sku.available);
    expect(await signalsTo(sku.skuId)).toEqual([]);
  });

  test("begins it anew after seconds, since the process may have been lost", async () => {
    const sku = await skuOf(11);
    await ask(sku.skuId, "lost");
    const begun: string[] = [];
    const workOffHere = () =>
      workOff((_tenantId, skuId, asked) => {
        if (skuId === sku.skuId) begun.push(...asked.map(({ key }) => key));
        return true;
      });
    await workOffHere();
    await workOffHere();
    expect(begun).toHaveLength(1);
    const due = await demo.database.asSuperuser<{ seconds: number }>(
      `update outbox set next_attempt_at = now() where key = $1
       returning (select extract(epoch from next_attempt_at - now())::double precision from outbox as before where before.id = outbox.id) as seconds`,
      [begun[0]],
    );
    expect(due[0]?.seconds).toBeGreaterThan(5);
    await workOffHere();
    expect(begun).toHaveLength(2);
  });

  test("tells the entity of what it must do itself, and when too much is under way", async () => {
    const [lost, late] = [await skuOf(12), await skuOf(13)];
    await ask(lost.skuId, "lost run", true);
    await workOff(() => true);
    await ask(late.skuId, "too many");
    await workOff(() => false);
    for (const { skuId } of [lost, late]) {
      expect(await isDone(skuId)).toBe(true);
      expect(await signalsTo(skuId)).toEqual(["offerChanged"]);
    }
  });
});

/** Signals that the SKU's entity has had; none when none was ever started. */
async function signalsTo(skuId: SkuId): Promise<readonly string[]> {
  const handle = demo.temporal.client.workflow.getHandle(skuWorkflowId(skuId));
  const isKnown = await handle.describe().then(
    () => true,
    (error: unknown) => {
      if (error instanceof WorkflowNotFoundError) return false;
      throw error;
    },
  );
  const history = isKnown ? await handle.fetchHistory() : { events: [] };
  return (history.events ?? []).flatMap(
    (event) => event.workflowExecutionSignaledEventAttributes?.signalName ?? [],
  );
}
