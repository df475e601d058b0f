import { randomUUID } from "node:crypto";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { z } from "zod";
import { deliveriesPage } from "../../src/api/contract/deliveries.ts";
import {
  claimDeliveries,
  completeDeliveries,
  failDeliveries,
  postponeDeliveries,
  retrySeconds,
} from "../../src/db/webhook-deliveries.ts";
import { until } from "../support/until.ts";
import { type ApiBed, type Seller, signedWebhook, startApiBed } from "./api-bed.ts";

let bed: ApiBed;
let seller: Seller;
let headers: { authorization: string };

beforeAll(async () => {
  bed = await startApiBed();
  seller = await bed.addSeller();
  headers = await bed.signIn(seller);
});

afterAll(async () => {
  await bed.close();
});

/** Takes a webhook of an order in. */
async function deliver(orderId: string, of: Pick<Seller, "channelShopId"> = seller, type = 1): Promise<void> {
  const body = {
    type,
    tts_notification_id: randomUUID(),
    shop_id: of.channelShopId,
    data: { order_id: orderId },
  };
  const response = await bed.app.inject(signedWebhook(JSON.stringify(body)));
  expect(response.statusCode).toBe(200);
}

async function list(query: string, as = headers): Promise<z.output<typeof deliveriesPage>> {
  const response = await bed.app.inject({ url: `/api/deliveries?${query}`, headers: as });
  expect(response.statusCode, response.body).toBe(200);
  return deliveriesPage.parse(response.json());
}

function replay(path: string, payload?: object, as = headers) {
  return bed.app.inject({
    method: "POST",
    url: `/api/deliveries/${path}`,
    headers: as,
    ...(payload === undefined ? {} : { payload }),
  });
}

/** More than any test delivers. */
const all = { inAll: 1_000, ofOneShop: 1_000 };
const orderNumber = () => String(Math.floor(Math.random() * 1e15));

describe("the deliveries of a seller", () => {
  test("are listed newest first with the body's beginning, narrow by state, topic and order, and page without gaps", async () => {
    const own = await bed.addSeller();
    const as = await bed.signIn(own, "support");
    const orders = Array.from({ length: 5 }, orderNumber);
    for (const orderId of orders) await deliver(orderId, own);
    await deliver("1", own, 5);
    const all = await list("limit=200", as);
    expect(all.deliveries.map((delivery) => delivery.order_id)).toEqual([null, ...orders.toReversed()]);
    expect(all.deliveries[1]?.body_preview).toContain(orders[4]);
    expect(all.deliveries[1]?.body_length).toBe(all.deliveries[1]?.body_preview.length);
    expect((await list("state=kept", as)).deliveries).toMatchObject([{ topic: 5, state: "kept" }]);
    expect((await list("topic=1", as)).deliveries).toHaveLength(5);
    expect((await list(`order_id=${orders[2] ?? ""}`, as)).deliveries).toHaveLength(1);
    const walked: unknown[] = [];
    let cursor: string | null = "";
    while (cursor !== null) {
      const page: z.output<typeof deliveriesPage> = await list(
        `limit=2${cursor === "" ? "" : `&cursor=${cursor}`}`,
        as,
      );
      walked.push(...page.deliveries);
      cursor = page.next_cursor;
    }
    expect(walked).toEqual(all.deliveries);
  });

  test("are nobody else's: another seller sees none, and finds none to replay", async () => {
    const orderId = orderNumber();
    await deliver(orderId);
    const [mine] = (await list(`order_id=${orderId}`)).deliveries;
    const other = await bed.addSeller();
    const as = await bed.signIn(other);
    expect((await list("limit=200", as)).deliveries).toEqual([]);
    expect((await replay(`${mine!.id}/replay`, undefined, as)).statusCode).toBe(404);
    expect((await replay("replay", { state: "kept" }, as)).json()).toEqual({ success: true, replayed: 0 });
  });

  test("of no known shop are shown to operators alone, and cannot be replayed", async () => {
    const orderId = orderNumber();
    await deliver(orderId, { channelShopId: "4711" });
    const operator = await bed.signIn(seller, "operator");
    const [unclaimed] = (await list(`order_id=${orderId}`, operator)).deliveries;
    expect(unclaimed).toMatchObject({ state: "kept", shop_id: null, sender: "4711" });
    expect((await list(`order_id=${orderId}`)).deliveries).toEqual([]);
    expect((await replay(`${unclaimed!.id}/replay`)).statusCode).toBe(404);
  });

  test("come with the refused requests of the last day, by the minute", async () => {
    const forged = signedWebhook("{}", "not the secret");
    await bed.app.inject(forged);
    await until("the refusal is written", async () => (await list("limit=1")).rejections.length > 0);
    expect((await list("limit=1")).rejections[0]).toMatchObject({ last_reason: "wrong signature" });
  });
});

describe("a delivery that cannot be worked off", () => {
  test("is tried again after growing pauses, then parked with the reason, and worked off again when a person says so", async () => {
    const orderId = orderNumber();
    await deliver(orderId);
    const state = async () => (await list(`order_id=${orderId}`)).deliveries[0]!;
    const { id } = await state();
    for (const [failed, seconds] of retrySeconds.entries()) {
      const before = Date.now();
      await failDeliveries(bed.dispatcherDb, [id], `failure ${failed + 1}`);
      const now = await state();
      expect(now).toMatchObject({ state: "waiting", attempts: failed + 1, reason: `failure ${failed + 1}` });
      const pause = (Date.parse(now.next_attempt_at!) - before) / 1_000;
      expect(pause).toBeGreaterThan(seconds - 1);
      expect(pause).toBeLessThan(seconds + 5);
    }
    await failDeliveries(bed.dispatcherDb, [id], "the last failure");
    expect(await state()).toMatchObject({
      state: "parked",
      reason: "the last failure",
      next_attempt_at: null,
    });
    const claimed = await claimDeliveries(bed.dispatcherDb, all, 30);
    expect(claimed.map((delivery) => delivery.id)).not.toContain(id);

    const response = await replay(`${id}/replay`);
    expect([response.statusCode, response.json()]).toEqual([200, { success: true, replayed: 1 }]);
    expect(await state()).toMatchObject({ state: "waiting", attempts: 0, reason: null });
    expect((await replay(`${id}/replay`)).statusCode).toBe(409);
    const { rows } = await bed.superuser.query(
      "select user_id from inventory_audit_log where event_type = 'deliveries_replay' and new_values ->> 'id' = $1",
      [id],
    );
    expect(rows).toEqual([{ user_id: seller.users.admin.id }]);
  });

  test("for a reason outside of it waits without a try being counted", async () => {
    const orderId = orderNumber();
    await deliver(orderId);
    const { id } = (await list(`order_id=${orderId}`)).deliveries[0]!;
    await postponeDeliveries(bed.dispatcherDb, [id], new Date(Date.now() + 60_000), "TikTok Shop is away");
    expect((await list(`order_id=${orderId}`)).deliveries).toMatchObject([
      { state: "waiting", attempts: 0, reason: "TikTok Shop is away" },
    ]);
    const claimed = await claimDeliveries(bed.dispatcherDb, all, 30);
    expect(claimed.map((delivery) => delivery.id)).not.toContain(id);
  });

  test("is replayed with all parked ones by one request", async () => {
    const own = await bed.addSeller();
    const as = await bed.signIn(own);
    for (const orderId of [orderNumber(), orderNumber(), orderNumber()]) await deliver(orderId, own);
    const ids = (await list("limit=10", as)).deliveries.map((delivery) => delivery.id);
    for (let attempt = 0; attempt <= retrySeconds.length; attempt += 1) {
      await failDeliveries(bed.dispatcherDb, ids.slice(0, 2), "no such order", 1e6);
    }
    expect((await list("state=parked", as)).deliveries).toHaveLength(2);
    const response = await replay("replay", { state: "parked" }, as);
    expect(response.json()).toEqual({ success: true, replayed: 2 });
    expect((await list("state=waiting", as)).deliveries).toHaveLength(3);
  });
});

describe("claims", () => {
  test("take an order that is not known yet before older news of known ones, and all of an order together", async () => {
    const own = await bed.addSeller();
    const [known, unknown] = [orderNumber(), orderNumber()];
    const claimOne = () => claimDeliveries(bed.dispatcherDb, { inAll: 1, ofOneShop: 1 }, 30);
    await claimDeliveries(bed.dispatcherDb, all, 30);
    await deliver(known, own);
    await completeDeliveries(
      bed.dispatcherDb,
      (await claimOne()).map((delivery) => delivery.id),
    );
    await deliver(known, own);
    await deliver(unknown, own);
    await deliver(unknown, own);
    expect((await claimOne()).map((delivery) => delivery.channelOrderId)).toEqual([unknown, unknown]);
    expect((await claimOne()).map((delivery) => delivery.channelOrderId)).toEqual([known]);
  });

  test("give each shop its share, however long another's queue is", async () => {
    const [busy, quiet] = [await bed.addSeller(), await bed.addSeller()];
    await claimDeliveries(bed.dispatcherDb, all, 30);
    for (let count = 0; count < 5; count += 1) await deliver(orderNumber(), busy);
    await deliver(orderNumber(), quiet);
    const claimed = await claimDeliveries(bed.dispatcherDb, { inAll: 3, ofOneShop: 2 }, 30);
    expect(claimed.map((delivery) => delivery.shopId).sort()).toEqual(
      [busy.shopId, busy.shopId, quiet.shopId].sort(),
    );
  });

  test("of many dispatchers at once never overlap, and a claim that ran out is had by the next", async () => {
    const own = await bed.addSeller();
    const orders = Array.from({ length: 30 }, orderNumber);
    for (const orderId of orders) await deliver(orderId, own);
    const isOwn = (delivery: { channelOrderId: string }) => orders.includes(delivery.channelOrderId);
    const batches = await Promise.all(
      Array.from({ length: 12 }, () => claimDeliveries(bed.dispatcherDb, { inAll: 50, ofOneShop: 50 }, 30)),
    );
    const claimed = batches.flat().filter(isOwn);
    expect(claimed).toHaveLength(30);
    expect(new Set(claimed.map((delivery) => delivery.id)).size).toBe(30);
    expect((await claimDeliveries(bed.dispatcherDb, all, 30)).filter(isOwn)).toEqual([]);
    await bed.superuser.query(
      "update webhook_deliveries set leased_until = now() - interval '1 s' where tenant_id = $1",
      [own.tenantId],
    );
    const again = (await claimDeliveries(bed.dispatcherDb, all, 30)).filter(isOwn);
    expect(again).toHaveLength(30);
    expect(again[0]).toMatchObject({ tenantId: own.tenantId, shopId: own.shopId, topic: 1, attempts: 0 });
    await completeDeliveries(
      bed.dispatcherDb,
      again.map((delivery) => delivery.id),
    );
    const { rows } = await bed.superuser.query(
      "select count(*)::integer as done from webhook_deliveries where tenant_id = $1 and state = 'processed' and processed_at is not null",
      [own.tenantId],
    );
    expect(rows[0].done).toBe(30);
  });
});
