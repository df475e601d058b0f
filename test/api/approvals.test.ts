import { randomUUID } from "node:crypto";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { askForApproval } from "../../src/db/approvals.ts";
import { withTenant } from "../../src/db/tenant.ts";
import type { SkuId } from "../../src/domain/ids.ts";
import { bundleWorkflows } from "../../src/workers.ts";
import { approvalWorkflowId } from "../../src/workflows/addressing.ts";
import { findReplayFailures, historiesOf, recordWhenAsked } from "../support/histories.ts";
import { until } from "../support/until.ts";
import { type AdjustingBed, addPeople, type People, startAdjustingBed } from "./adjusting-bed.ts";

let adjusting: AdjustingBed;
let people: People;

beforeAll(async () => {
  adjusting = await startAdjustingBed();
  people = await addPeople(adjusting.bed);
});
afterAll(async () => {
  await recordWhenAsked(await historiesOf(adjusting.temporal));
  await adjusting.close();
});

const adjust = (skuId: SkuId, quantity: number, as = people.creator) =>
  adjusting.ask("POST", `/api/inventory/products/${skuId}/adjust`, as, { quantity, reason: "delivery" });

async function askFor(skuId: SkuId, quantity: number): Promise<string> {
  const answer = await adjust(skuId, quantity);
  expect(answer.statusCode, answer.body).toBe(202);
  return answer.json<{ approval_id: string }>().approval_id;
}

const decide = (kind: "approve" | "reject", id: string, as = people.admin, body: object = {}) =>
  adjusting.ask("POST", `/api/approvals/${id}/${kind}`, as, body);

const show = async (id: string) =>
  (await adjusting.ask("GET", `/api/approvals/${id}`, people.creator)).json<object>();

describe("a large change", () => {
  test("asked for by a creator changes nothing until an admin approves it, and then once", async () => {
    const skuId = await adjusting.bed.addSku(people.seller, { quantity: 10 });
    const id = await askFor(skuId, 250);
    expect(await adjusting.stockOf(skuId)).toEqual({ on_hand: 10, movements: 0 });
    expect(await show(id)).toMatchObject({
      state: "waiting",
      quantity: 250,
      stock_when_asked: { on_hand: 10, available: 10 },
      stock_now: { on_hand: 10, available: 10 },
      requested_by_name: "creator",
    });
    const answers = [await decide("approve", id), await decide("approve", id)];
    for (const answer of answers) {
      expect(answer.statusCode, answer.body).toBe(200);
      expect(answer.json()).toMatchObject({
        state: "approved",
        stock_after: { on_hand: 260, available: 260 },
      });
    }
    expect(await adjusting.stockOf(skuId)).toEqual({ on_hand: 260, movements: 1 });
    const { rows } = await adjusting.bed.superuser.query(
      "select operation_id, created_by from inventory_transactions where sku_id = $1 and kind = 'adjust'",
      [skuId],
    );
    expect(rows).toEqual([{ operation_id: `adjust/${id}`, created_by: people.seller.users.creator.id }]);
  });

  test("that the stock cannot take any more when it is approved fails with the reason, for good", async () => {
    const skuId = await adjusting.bed.addSku(people.seller, { quantity: 200 });
    const id = await askFor(skuId, -150);
    expect((await adjust(skuId, -100)).statusCode).toBe(200);
    const answer = await decide("approve", id);
    expect(answer.json()).toMatchObject({ state: "failed", stock_now: { on_hand: 100 }, stock_after: null });
    expect(answer.json<{ refusal: string }>().refusal).toContain("Fewer than no units");
    await adjust(skuId, 100);
    expect((await decide("approve", id)).json()).toMatchObject({ state: "failed" });
    expect(await adjusting.stockOf(skuId)).toMatchObject({ on_hand: 200 });
  });

  test("that was rejected is not applied, and cannot be approved any more", async () => {
    const skuId = await adjusting.bed.addSku(people.seller, { quantity: 10 });
    const id = await askFor(skuId, 101);
    const rejected = await decide("reject", id, people.admin, { note: "counted wrongly" });
    expect(rejected.json()).toMatchObject({
      state: "rejected",
      note: "counted wrongly",
      decided_by_name: "admin",
    });
    const approved = await decide("approve", id);
    expect([approved.statusCode, approved.body]).toEqual([409, expect.stringContaining("rejected already")]);
    expect(await adjusting.stockOf(skuId)).toEqual({ on_hand: 10, movements: 0 });
  });

  test("is approved neither by a creator nor by who has asked for it", async () => {
    const skuId = await adjusting.bed.addSku(people.seller, { quantity: 10 });
    const id = await askFor(skuId, 101);
    expect((await decide("approve", id, people.creator)).statusCode).toBe(403);
    const { tenantId, users } = people.seller;
    const own = await withTenant(adjusting.bed.db, tenantId, (transaction) =>
      askForApproval(transaction, tenantId, {
        ...{
          kind: "adjust" as const,
          effectId: randomUUID(),
          skuId,
          locationId: null,
          quantity: 101,
          counted: null,
          reason: "mine",
        },
        ...{ requestedBy: users.admin.id, onHand: 10, available: 10 },
      }),
    );
    const answer = await decide("approve", own);
    expect([answer.statusCode, answer.body]).toEqual([409, expect.stringContaining("asked for himself")]);
    expect(await adjusting.stockOf(skuId)).toEqual({ on_hand: 10, movements: 0 });
  });

  test("that nobody decides on expires by itself and can be approved no more", async () => {
    const skuId = await adjusting.bed.addSku(people.seller, { quantity: 10 });
    const { tenantId, users } = people.seller;
    const id = await withTenant(adjusting.bed.db, tenantId, (transaction) =>
      askForApproval(transaction, tenantId, {
        ...{
          kind: "adjust" as const,
          effectId: randomUUID(),
          skuId,
          locationId: null,
          quantity: 101,
          counted: null,
          reason: "short",
        },
        ...{ requestedBy: users.creator.id, onHand: 10, available: 10, lifeHours: 2 / 3_600 },
      }),
    );
    await until("it has expired", async () => ((await show(id)) as { state: string }).state === "expired");
    const answer = await decide("approve", id);
    expect([answer.statusCode, answer.body]).toEqual([
      409,
      expect.stringContaining("ask for the change anew"),
    ]);
    expect(await adjusting.stockOf(skuId)).toEqual({ on_hand: 10, movements: 0 });
    await adjusting.temporal.client.workflow.getHandle(approvalWorkflowId(id)).result();
  });

  test("is listed by state, newest first, page by page", async () => {
    const own = await addPeople(adjusting.bed);
    const skuId = await adjusting.bed.addSku(own.seller);
    const ids: string[] = [];
    for (let count = 0; count < 3; count += 1) {
      const answer = await adjust(skuId, 101 + count, own.creator);
      ids.push(answer.json<{ approval_id: string }>().approval_id);
    }
    type Page = { approvals: { id: string }[]; next_cursor: string | null };
    const list = async (query: string) =>
      (await adjusting.ask("GET", `/api/approvals?${query}`, own.creator)).json<Page>();
    const first = await list("state=waiting&limit=2");
    const second = await list(`state=waiting&limit=2&cursor=${first.next_cursor ?? ""}`);
    expect([...first.approvals, ...second.approvals].map(({ id }) => id)).toEqual(ids.toReversed());
    expect((await list("state=approved")).approvals).toEqual([]);
  });
});

describe("an absolute count", () => {
  const count = (
    skuId: SkuId,
    onHand: number,
    etag: string | null,
    as = people.creator,
    key: string = randomUUID(),
  ) =>
    adjusting.ask(
      "PUT",
      `/api/inventory/products/${skuId}/levels/${people.seller.locationId}`,
      etag === null ? as : { ...as, "if-match": etag },
      { on_hand: onHand, reason: "counted" },
      key,
    );
  const etagOf = async (skuId: SkuId) =>
    String((await adjusting.ask("GET", `/api/inventory/products/${skuId}`, people.creator)).headers["etag"]);

  test("needs to say what it is based on, and holds only while nothing has moved", async () => {
    const skuId = await adjusting.bed.addSku(people.seller, { quantity: 10 });
    const etag = await etagOf(skuId);
    expect((await count(skuId, 12, null)).statusCode).toBe(428);
    const counted = await count(skuId, 12, etag);
    expect([counted.statusCode, counted.json()]).toEqual([
      200,
      { success: true, new_stock_level: 12, available_stock: 12 },
    ]);
    expect((await count(skuId, 11, etag)).statusCode).toBe(412);
    expect(await adjusting.stockOf(skuId)).toMatchObject({ on_hand: 12 });
    expect((await count(skuId, 11, await etagOf(skuId))).statusCode).toBe(200);
  });

  test("whose answer was lost answers the same when it is sent again, done or waiting for an approval", async () => {
    const skuId = await adjusting.bed.addSku(people.seller, { quantity: 10 });
    const etag = await etagOf(skuId);
    for (const [onHand, status] of [
      [300, 202],
      [12, 200],
    ] as const) {
      const key = randomUUID();
      const ask = () => count(skuId, onHand, etag, people.creator, key);
      const first = await ask();
      expect(first.statusCode, first.body).toBe(status);
      // As it was before the answer was stored. The database itself allows no such step.
      await adjusting.bed.superuser.query(
        `begin; set local session_replication_role = replica;
         update idempotency_keys set state = 'running', status = null, body = null, leased_until = now() - interval '1 s'
         where key = '${key}'; commit`,
      );
      const again = await ask();
      expect([again.statusCode, again.json()]).toEqual([status, first.json()]);
    }
    expect(await adjusting.stockOf(skuId)).toMatchObject({ on_hand: 12 });
  });

  test("that finds more than 100 units too few or too many waits for an approval of the difference", async () => {
    const skuId = await adjusting.bed.addSku(people.seller, { quantity: 10 });
    const waits = await count(skuId, 300, await etagOf(skuId));
    expect(waits.statusCode, waits.body).toBe(202);
    await adjust(skuId, 5);
    const id = waits.json<{ approval_id: string }>().approval_id;
    expect(await show(id)).toMatchObject({ quantity: 290, counted: 300, stock_now: { on_hand: 15 } });
    expect((await decide("approve", id)).json()).toMatchObject({ stock_after: { on_hand: 305 } });
  });
});

describe("what a SKU is set to", () => {
  test("its threshold goes from 0 to 10,000, and the old and new value are on record", async () => {
    const skuId = await adjusting.bed.addSku(people.seller);
    const set = (threshold: number) =>
      adjusting.ask("PUT", `/api/inventory/products/${skuId}/threshold`, people.creator, { threshold });
    expect((await set(10_001)).statusCode).toBe(400);
    expect((await set(-1)).statusCode).toBe(400);
    expect((await set(0)).json()).toMatchObject({ low_stock_threshold: 0, status: "in_stock" });
    expect((await set(10_000)).json()).toMatchObject({ low_stock_threshold: 10_000, status: "low_stock" });
    const { rows } = await adjusting.bed.superuser.query(
      "select old_values, new_values, user_id from inventory_audit_log where sku_id = $1 and event_type = 'threshold_set' order by created_at desc limit 1",
      [skuId],
    );
    expect(rows).toEqual([
      {
        old_values: { low_stock_threshold: 0 },
        new_values: { low_stock_threshold: 10_000 },
        user_id: people.seller.users.creator.id,
      },
    ]);
  });

  test("its barcode is found by a scanner, belongs to one SKU, and a code is found as well", async () => {
    const [first, second] = [
      await adjusting.bed.addSku(people.seller, { code: "MUG-RED" }),
      await adjusting.bed.addSku(people.seller),
    ];
    const set = (skuId: SkuId, barcode: string | null) =>
      adjusting.ask("PUT", `/api/inventory/products/${skuId}/barcode`, people.creator, { barcode });
    const scan = async (text: string) => {
      const answer = await adjusting.ask("GET", `/api/inventory/barcodes/${text}`, people.creator);
      return answer.statusCode === 200 ? answer.json<{ id: string }>().id : answer.statusCode;
    };
    expect((await set(first, "4006381333931")).json()).toMatchObject({ barcode: "4006381333931" });
    expect((await set(second, "4006381333931")).statusCode).toBe(409);
    expect((await set(second, "a b")).statusCode).toBe(400);
    expect([await scan("4006381333931"), await scan("MUG-RED"), await scan("unknown")]).toEqual([
      first,
      first,
      404,
    ]);
    await set(first, null);
    expect(await scan("4006381333931")).toBe(404);
    expect((await set(second, "4006381333931")).statusCode).toBe(200);
  });
});

test("every history of this file replays", async () => {
  const histories = await historiesOf(adjusting.temporal);
  expect(histories.some(({ path }) => path.startsWith("stockApproval"))).toBe(true);
  expect(await findReplayFailures(await bundleWorkflows(), histories)).toEqual([]);
});
