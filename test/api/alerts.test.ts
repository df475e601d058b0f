import { randomUUID } from "node:crypto";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import {
  alertDetail,
  alertsPage,
  preferencesAnswer,
  replenishmentAnswer,
} from "../../src/api/contract/alerts.ts";
import { openAlert } from "../../src/db/alerts.ts";
import { withTenant } from "../../src/db/tenant.ts";
import type { AlertKind } from "../../src/domain/alert/alert.ts";
import type { SkuId } from "../../src/domain/ids.ts";
import { type ApiBed, type Seller, startApiBed } from "./api-bed.ts";

let bed: ApiBed;
let seller: Seller;
let headers: { authorization: string };
let skuId: SkuId;

beforeAll(async () => {
  bed = await startApiBed();
  seller = await bed.addSeller();
  headers = await bed.signIn(seller);
  skuId = await bed.addSku(seller, { code: "ALERTED", quantity: 9 });
});
afterAll(() => bed.close());

async function raise(kind: AlertKind, subjectId: string = randomUUID()): Promise<string> {
  await withTenant(bed.db, seller.tenantId, (transaction) =>
    openAlert(transaction, seller.tenantId, { kind, skuId, subjectId, facts: { reason: "What was found." } }),
  );
  const { rows } = await bed.superuser.query<{ id: string }>("select id from alerts where subject_id = $1", [
    subjectId,
  ]);
  return rows[0]!.id;
}

const get = (url: string) => bed.app.inject({ url, headers });
const post = (url: string, payload: object = {}, key: string = randomUUID()) =>
  bed.app.inject({ method: "POST", url, headers: { ...headers, "idempotency-key": key }, payload });
const put = (url: string, payload: object) => bed.app.inject({ method: "PUT", url, headers, payload });

describe("the list of alerts", () => {
  test("shows the newest first, page by page, and by state, kind and severity", async () => {
    const ids = [await raise("drift"), await raise("sync_failed"), await raise("drift")];
    const first = alertsPage.parse((await get("/api/alerts?limit=2")).json());
    expect(first.alerts.map(({ id }) => id)).toEqual([ids[2], ids[1]]);
    const second = alertsPage.parse((await get(`/api/alerts?limit=2&cursor=${first.next_cursor}`)).json());
    expect(second.alerts.map(({ id }) => id)).toEqual([ids[0]]);
    expect(second.next_cursor).toBeNull();
    const idsOf = async (query: string) =>
      alertsPage.parse((await get(`/api/alerts?${query}`)).json()).alerts.map(({ id }) => id);
    expect(await idsOf("kind=drift")).toEqual([ids[2], ids[0]]);
    expect(await idsOf("severity=critical")).toEqual([ids[1]]);
    expect(await idsOf("state=acknowledged")).toEqual([]);
    expect(await idsOf(`product_id=${randomUUID()}`)).toEqual([]);
    expect(first.alerts[1]).toMatchObject({ sku: "ALERTED", state: "open", reason: "What was found." });
  });
});

describe("an answer to an alert", () => {
  test("is given once, however often it is sent under its key, and is on record with who gave it", async () => {
    const id = await raise("drift");
    const key = randomUUID();
    const answers = [
      await post(`/api/alerts/${id}/acknowledge`, {}, key),
      await post(`/api/alerts/${id}/acknowledge`, {}, key),
    ];
    expect(answers.map((answer) => answer.json<object>())).toEqual([
      { success: true, state: "acknowledged" },
      { success: true, state: "acknowledged" },
    ]);
    const alert = alertDetail.parse((await get(`/api/alerts/${id}`)).json());
    expect(alert).toMatchObject({ state: "acknowledged", acknowledged_by: "admin", deliveries: [] });
    const { rows } = await bed.superuser.query(
      "select user_id from inventory_audit_log where event_type = 'alert_acknowledge'",
    );
    expect(rows).toEqual([{ user_id: seller.users.admin.id }]);
    const { rows: told } = await bed.superuser.query(
      "select from outbox where kind = 'deliver_alert' and payload ->> 'alertId' = $1",
      [id],
    );
    expect(told).toHaveLength(2);
  });

  test("that comes too late is refused with the reason", async () => {
    const id = await raise("drift");
    expect((await post(`/api/alerts/${id}/resolve`, { reason: "counted" })).json()).toEqual({
      success: true,
      state: "resolved",
    });
    const refused = await post(`/api/alerts/${id}/acknowledge`);
    expect([refused.statusCode, refused.json<{ detail: string }>().detail]).toEqual([
      409,
      "The alert has been resolved already.",
    ]);
  });

  test.each([
    ["the past", -1_000, 409],
    ["31 days ahead", 31 * 86_400_000, 409],
    ["an hour ahead", 3_600_000, 200],
  ])("to put it off until %s", async (_what, milliseconds, status) => {
    const id = await raise("drift");
    const until = new Date(Date.now() + milliseconds).toISOString();
    expect((await post(`/api/alerts/${id}/snooze`, { until })).statusCode).toBe(status);
  });
});

describe("how one is told", () => {
  test("is everything until something is said, and what is said stays", async () => {
    const before = preferencesAnswer.parse((await get("/api/notification-preferences")).json());
    expect(before).toMatchObject({ phone: null, sms_allowed: false });
    expect(before.preferences).toHaveLength(7);
    const mine = { kind: "low_stock", in_app: true, email: false, sms: false } as const;
    const said = await put("/api/notification-preferences", { preferences: [mine], phone: "+447700900123" });
    const after = preferencesAnswer.parse(said.json());
    expect(after.preferences.find(({ kind }) => kind === "low_stock")).toEqual(mine);
    expect(after.phone).toBe("…123");
    expect(preferencesAnswer.parse((await get("/api/notification-preferences")).json())).toEqual(after);
    expect(
      preferencesAnswer.parse((await put("/api/notification-preferences", { phone: null })).json()).phone,
    ).toBeNull();
  });

  test("never stores a phone number in the clear", async () => {
    await put("/api/notification-preferences", { phone: "+447700900456" });
    for (const table of ["users", "inventory_audit_log", "idempotency_keys", "notification_preferences"]) {
      const { rows } = await bed.superuser.query(`select line::text from ${table} as line`);
      expect(JSON.stringify(rows), table).not.toContain("7700900456");
    }
    const { rows } = await bed.superuser.query<{ phone: Buffer }>(
      "select phone from users where phone is not null",
    );
    expect(rows).toHaveLength(1);
    expect(rows[0]?.phone.toString("latin1")).not.toContain("7700900456");
  });

  test.each([
    ["a number without its country", { phone: "07700900123" }],
    ["words", { phone: "call me" }],
    [
      "a kind twice",
      { preferences: [1, 2].map(() => ({ kind: "drift", in_app: true, email: true, sms: true })) },
    ],
    ["a kind that does not exist", { preferences: [{ kind: "rain", in_app: true, email: true, sms: true }] }],
    ["something else", { telephone: "+447700900123" }],
  ])("is refused with %s", async (_what, body) => {
    expect((await put("/api/notification-preferences", body)).statusCode).toBe(400);
  });
});

describe("when a SKU is low", () => {
  const route = () => `/api/inventory/products/${skuId}/replenishment`;

  test("is said with its lead time, and the alerts are compared with it", async () => {
    const before = replenishmentAnswer.parse((await get(route())).json());
    expect(before).toMatchObject({
      threshold_mode: "automatic",
      low_stock_threshold: 10,
      lead_time_days: null,
    });
    const body = { threshold_mode: "fixed", low_stock_threshold: 4, lead_time_days: 5 };
    expect(replenishmentAnswer.parse((await put(route(), body)).json())).toMatchObject({
      ...body,
      recommendation: { available: 9, leadTimeDays: 5, quantity: 0 },
    });
    const { rows } = await bed.superuser.query("select from outbox where kind = 'check_alerts'");
    expect(rows).toHaveLength(1);
  });

  test.each([
    ["a fixed threshold without a number", { threshold_mode: "fixed", lead_time_days: null }],
    [
      "an automatic one with a number",
      { threshold_mode: "automatic", low_stock_threshold: 4, lead_time_days: null },
    ],
    [
      "a threshold above 10,000",
      { threshold_mode: "fixed", low_stock_threshold: 10_001, lead_time_days: null },
    ],
    ["a lead time of years", { threshold_mode: "automatic", lead_time_days: 366 }],
  ])("is refused with %s", async (_what, body) => {
    expect((await put(route(), body)).statusCode).toBe(400);
  });
});
