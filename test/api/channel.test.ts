import { randomUUID } from "node:crypto";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { z } from "zod";
import {
  driftsPage,
  offerAnswer,
  pauseAnswer,
  pushDelayAnswer,
  repairAnswer,
  syncAnswer,
} from "../../src/api/contract/channel.ts";
import { problemSchema } from "../../src/api/contract/problem.ts";
import { asId, type SkuId } from "../../src/domain/ids.ts";
import { ChannelFailure } from "../../src/integrations/ports/failure.ts";
import type { SalesChannel } from "../../src/integrations/ports/sales-channel.ts";
import type { RunningWorkers } from "../../src/workers.ts";
import { type TestTemporal, testTemporal } from "../support/temporal.ts";
import { noChannel, startTestWorkers } from "../support/workers.ts";
import { type ApiBed, type Seller, startApiBed } from "./api-bed.ts";

let temporal: TestTemporal;
let workers: RunningWorkers;
let bed: ApiBed;
let seller: Seller;
let headers: { authorization: string };

/** What the channel shows, by its SKU number; it has committed nothing. */
const shown = new Map<string, number>();
let isAway = false;
const reading: Pick<SalesChannel, "readStock"> = {
  readStock: (_shop, skuIds) => {
    if (isAway) return Promise.reject(new ChannelFailure("refused", "the shop is closed"));
    return Promise.resolve(
      skuIds.flatMap((channelSkuId) => {
        const available = shown.get(channelSkuId);
        if (available === undefined) return [];
        const ids = {
          channelProductId: asId<"ChannelProduct">("p"),
          warehouseId: asId<"ChannelWarehouse">("warehouse-1"),
        };
        return [{ ...ids, channelSkuId, available, committed: 0, campaign: 0, creator: 0 }];
      }),
    );
  },
};
/** Whatever else is asked is an error. */
const channel = new Proxy(noChannel, {
  get: (nobody, method: keyof SalesChannel) =>
    Reflect.get(method === "readStock" ? reading : nobody, method) as unknown,
});

beforeAll(async () => {
  temporal = await testTemporal();
  bed = await startApiBed({ temporal: temporal.client, queuePrefix: temporal.taskQueuePrefix });
  workers = await startTestWorkers(temporal, bed.db, channel);
  seller = await bed.addSeller();
  await bed.superuser.query(
    "insert into shop_warehouses (tenant_id, shop_id, channel_warehouse_id, location_id) values ($1, $2, 'warehouse-1', $3) on conflict do nothing",
    [seller.tenantId, seller.shopId, seller.locationId],
  );
  headers = await bed.signIn(seller);
});

afterAll(async () => {
  await workers.stop();
  await bed.close();
  await temporal.close();
});

/** A SKU of ten units of which the channel shows so many. */
async function skuShowing(units: number | null): Promise<SkuId> {
  const code = `CH-${randomUUID().slice(0, 8)}`;
  const skuId = await bed.addSku(seller, { code, quantity: 10 });
  if (units !== null) shown.set(`channel ${code}`, units);
  return skuId;
}

function send(method: "POST" | "PUT", url: string, payload: object = {}, as = headers) {
  return bed.app.inject({ method, url, headers: { ...as, "idempotency-key": randomUUID() }, payload });
}

async function done<Schema extends z.ZodType>(
  schema: Schema,
  response: ReturnType<typeof send>,
): Promise<z.output<Schema>> {
  const { statusCode, body } = await response;
  expect(statusCode, body).toBe(200);
  return schema.parse(JSON.parse(body));
}

const look = (skuId: SkuId) => done(syncAnswer, send("POST", `/api/inventory/products/${skuId}/sync`));

async function driftsOf(skuId: SkuId) {
  const response = await bed.app.inject({ url: `/api/inventory/drifts?sku_id=${skuId}`, headers });
  return driftsPage.parse(response.json()).drifts;
}

describe("a look that a person asks for", () => {
  test("says what the listings show and that they agree", async () => {
    const answer = await look(await skuShowing(10));
    expect(answer).toMatchObject({
      success: true,
      current_stock: 10,
      inventory_sync_status: "synced",
      compared: 1,
      agreed: 1,
      drifts: [],
      demand: null,
    });
    expect(answer.listings).toMatchObject([{ state: "synced", shown: [{ available: 10, committed: 0 }] }]);
    expect(Date.now() - Date.parse(answer.last_sync ?? "")).toBeLessThan(60_000);
  });

  test("finds what nothing explains, with its probable cause", async () => {
    const answer = await look(await skuShowing(14));
    expect(answer).toMatchObject({
      inventory_sync_status: "drift",
      drifting: 1,
      drifts: [{ cause: "changed_in_seller_center", units: 4, state: "open", their_available: 14 }],
    });
  });

  test("finds a listing that the channel does not know", async () => {
    const answer = await look(await skuShowing(null));
    expect(answer).toMatchObject({ drifts: [{ cause: "missing_listing", their_available: null }] });
    expect(answer.listings[0]?.missing_since).not.toBeNull();
  });

  test("is answered 503 while the channel cannot be asked", async () => {
    const skuId = await skuShowing(10);
    isAway = true;
    const response = await send("POST", `/api/inventory/products/${skuId}/sync`);
    isAway = false;
    expect(response.statusCode).toBe(503);
    expect(problemSchema.parse(response.json()).type).toContain("unavailable");
  });
});

describe("a drift that a person repairs", () => {
  test("by taking theirs is one movement with the reason, and the next look closes it", async () => {
    const skuId = await skuShowing(7);
    await look(skuId);
    const [drift] = await driftsOf(skuId);
    const repair = { how: "take_theirs", reason: "three were broken" };
    const answer = await done(
      repairAnswer,
      send("POST", `/api/inventory/drifts/${drift!.id}/repair`, repair),
    );
    expect(answer.new_stock_level).toBe(7);
    const { rows } = await bed.superuser.query(
      "select quantity, on_hand_effect, reason, created_by from inventory_transactions where sku_id = $1 and kind = 'channel_correction'",
      [skuId],
    );
    expect(rows).toEqual([
      { quantity: 3, on_hand_effect: -3, reason: "three were broken", created_by: seller.users.admin.id },
    ]);
    const audit = await bed.superuser.query(
      "select reason, new_values from inventory_audit_log where sku_id = $1 and event_type = 'drift_repair'",
      [skuId],
    );
    expect(audit.rows).toEqual([
      {
        reason: "three were broken",
        new_values: { how: "take_theirs", cause: "changed_in_seller_center", units: -3 },
      },
    ]);
    expect(await look(skuId)).toMatchObject({ agreed: 1, drifts: [], inventory_sync_status: "synced" });
    const again = await send("POST", `/api/inventory/drifts/${drift!.id}/repair`, repair);
    expect(again.statusCode).toBe(409);
  });

  test("by taking theirs is refused when nothing is there to be taken", async () => {
    const skuId = await skuShowing(null);
    await look(skuId);
    const [drift] = await driftsOf(skuId);
    const repair = { how: "take_theirs", reason: "gone" };
    const response = await send("POST", `/api/inventory/drifts/${drift!.id}/repair`, repair);
    expect(response.statusCode).toBe(409);
    expect(problemSchema.parse(response.json()).detail).toContain("nothing that could be taken");
  });

  test("by pushing ours is noted, and asked of the entity", async () => {
    const skuId = await skuShowing(12);
    await look(skuId);
    const [drift] = await driftsOf(skuId);
    const repair = { how: "push_ours", reason: "ours was counted" };
    await done(repairAnswer, send("POST", `/api/inventory/drifts/${drift!.id}/repair`, repair));
    expect(await driftsOf(skuId)).toMatchObject([{ state: "repairing", repaired_how: "push_ours" }]);
    const { rows } = await bed.superuser.query(
      "select from outbox where kind = 'push_offer' and payload ->> 'skuId' = $1 and done_at is null",
      [skuId],
    );
    expect(rows).toHaveLength(1);
  });
});

test("a paused SKU says so, is not compared, and says otherwise when it is resumed", async () => {
  const skuId = await skuShowing(11);
  const ask = (word: string) => done(pauseAnswer, send("POST", `/api/inventory/products/${skuId}/${word}`));
  expect(await ask("pause")).toMatchObject({ inventory_sync_status: "paused" });
  expect(await look(skuId)).toMatchObject({ compared: 0, drifts: [], inventory_sync_status: "paused" });
  expect(await ask("resume")).toMatchObject({ inventory_sync_status: "pending" });
});

test("what is kept back from single listings is stored, and a foreign listing is refused", async () => {
  const skuId = await skuShowing(10);
  const { listings } = await look(skuId);
  const set = (body: object) => send("PUT", `/api/inventory/products/${skuId}/offer`, body);
  const listing = listings[0]!.listing_id;
  const wish = { listings: [{ listing_id: listing, buffer: 2, buffer_percent: 50, cap: 40 }] };
  expect((await done(offerAnswer, set(wish))).listings).toMatchObject([
    { buffer: 2, buffer_percent: 50, cap: 40 },
  ]);
  expect((await set({ listings: [{ listing_id: randomUUID(), cap: 1 }] })).statusCode).toBe(409);
  expect((await set({ buffer_percent: 101 })).statusCode).toBe(400);
});

test("the push delay of a seller who has pushed nothing is an empty list", async () => {
  const response = await bed.app.inject({ url: "/api/inventory/push-delay?minutes=5", headers });
  expect(pushDelayAnswer.parse(response.json())).toEqual({ minutes: 5, shops: [] });
});
