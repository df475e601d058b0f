import { randomUUID } from "node:crypto";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { openDatabase, type Database } from "../../src/db/connection.ts";
import { readSystemFacts, type SystemFacts } from "../../src/db/read-models/metrics.ts";
import { createApiMetrics, createWorkerMetrics, mayReadMetrics, serveMetrics } from "../../src/metrics.ts";
import { prove } from "../../src/proof/proof.ts";
import { type ApiBed, type Seller, signedWebhook, startApiBed } from "./api-bed.ts";

const token = "a token of the operators";
let bed: ApiBed;
let report: Database;
let seller: Seller;
let factsRead = 0;
let factsAvailable = true;

function readFacts(): Promise<SystemFacts> {
  factsRead += 1;
  return factsAvailable ? readSystemFacts(report) : Promise.reject(new Error("away"));
}

/** Facts are remembered for a while; who wants them fresh asks an app of its own. */
async function freshFigures(): Promise<ReadonlyMap<string, number>> {
  return read(await createApiMetrics(readFacts).render());
}

/** Values by name and labels. */
function read(text: string): ReadonlyMap<string, number> {
  return new Map(
    text
      .split("\n")
      .filter((line) => line !== "" && !line.startsWith("#"))
      .map((line) => {
        const [, name = "", labels = "", value = ""] = /^(\w+)(\{.*\})? (\S+)$/.exec(line) ?? [];
        expect(name, line).not.toBe("");
        const own = labels
          .replaceAll(/,?service="\w+"/g, "")
          .replace("{,", "{")
          .replace("{}", "");
        return [name + own, Number(value)] as const;
      }),
  );
}

beforeAll(async () => {
  bed = await startApiBed({
    measuring: {
      metrics: createApiMetrics(readFacts),
      mayRead: (caller) => mayReadMetrics(token, caller),
    },
  });
  report = openDatabase({ url: bed.database.url, role: "cf_report", poolSize: 1 });
  seller = await bed.addSeller();
});

afterAll(async () => {
  await report.destroy();
  await bed.close();
});

function delivery(orderId: string) {
  return JSON.stringify({
    type: 1,
    tts_notification_id: randomUUID(),
    shop_id: seller.channelShopId,
    data: { order_id: orderId },
  });
}

describe("the figures", () => {
  test("are told to nobody without the token", async () => {
    for (const headers of [{}, { authorization: "Bearer wrong" }, { authorization: token }]) {
      expect((await bed.app.inject({ url: "/metrics", headers })).statusCode).toBe(401);
    }
    const answer = await bed.app.inject({ url: "/metrics", headers: { authorization: `Bearer ${token}` } });
    expect([answer.statusCode, answer.headers["content-type"]]).toEqual([
      200,
      expect.stringContaining("text/plain; version=0.0.4"),
    ]);
  });

  test.each([
    ["this machine", "127.0.0.1", {}, true],
    ["this machine by IPv6", "::1", {}, true],
    ["this machine by a mapped address", "::ffff:127.0.0.1", {}, true],
    ["another machine", "10.0.0.7", {}, false],
    ["a proxy on this machine", "127.0.0.1", { "x-forwarded-for": "10.0.0.7" }, false],
    ["an address that only begins alike", "::ffff:10.127.0.1", {}, false],
  ])("are, without a token, told to or kept from %s", (_who, peer, headers, may) => {
    expect(mayReadMetrics(null, { peer, headers })).toBe(may);
  });

  test("count requests by route and status, and what became of webhooks", async () => {
    await bed.app.inject(signedWebhook(delivery("1")));
    await bed.app.inject(signedWebhook(delivery("2"), "a wrong secret"));
    await bed.app.inject("/api/orders/some-order-id");
    const answer = await bed.app.inject({ url: "/metrics", headers: { authorization: `Bearer ${token}` } });
    const figures = read(answer.body);
    expect(figures.get('inventory_webhook_acknowledgements_total{outcome="stored"}')).toBe(1);
    expect(figures.get('inventory_webhook_acknowledgements_total{outcome="refused"}')).toBe(1);
    expect(figures.get('inventory_webhook_acknowledgements_total{outcome="failed"}')).toBe(0);
    expect(
      figures.get(
        'inventory_api_response_time_seconds_count{method="GET",route="/api/orders/:id",status="401"}',
      ),
    ).toBe(1);
    expect(answer.body).not.toContain("some-order-id");
  });

  test("tell of deliveries, how old the first is, and what is parked", async () => {
    await bed.app.inject(signedWebhook(delivery("3")));
    await bed.superuser.query(
      `update webhook_deliveries set next_attempt_at = now() - interval '1 hour' where channel_order_id = '1';
       update webhook_deliveries set state = 'parked' where channel_order_id = '3'`,
    );
    const figures = await freshFigures();
    expect(figures.get('creatorflow_deliveries{state="waiting"}')).toBe(1);
    expect(figures.get('creatorflow_deliveries{state="parked"}')).toBe(1);
    expect(figures.get('creatorflow_deliveries_age_seconds{state="waiting"}')).toBeGreaterThanOrEqual(3_600);
  });

  test("tell of the outbox by kind, of open breakers, and of SKUs that agree with their listings", async () => {
    const skuId = await bed.addSku(seller);
    await bed.superuser.query(
      `insert into outbox (tenant_id, kind, key, payload, created_at)
       values ($1, 'push_offer', 'k', $2, now() - interval '2 minutes')`,
      [seller.tenantId, { skuId }],
    );
    await bed.superuser.query(
      `insert into circuit_breakers (tenant_id, shop_id, failures, opened_at, retry_at)
       values ($1, $2, 5, now(), now() + interval '1 minute')`,
      [seller.tenantId, seller.shopId],
    );
    const figures = await freshFigures();
    expect(figures.get('creatorflow_outbox_depth{kind="push_offer"}')).toBe(1);
    expect(figures.get('creatorflow_outbox_age_seconds{kind="push_offer"}')).toBeGreaterThanOrEqual(120);
    expect(figures.get('creatorflow_circuit_breakers{state="open"}')).toBe(1);
    expect(figures.get("inventory_sync_coverage")).toBe(1);
    await bed.superuser.query("delete from circuit_breakers");
  });

  test("measure a push from its cause to its confirmation, and the share that was refused", async () => {
    const { rows } = await bed.superuser.query<{ id: string; sku_id: string }>(
      "select id, sku_id from listings limit 1",
    );
    for (const state of ["confirmed", "refused"]) {
      await bed.superuser.query(
        `insert into push_intents (tenant_id, listing_id, sku_id, warehouse_id, desired_available, available_seen,
           committed_seen, state, caused_at, created_at, closed_at)
         values ($1, $2, $3, 'w', 1, 0, 0, $4, now() - interval '2 minutes', now(), now())`,
        [seller.tenantId, rows[0]?.id, rows[0]?.sku_id, state],
      );
    }
    const figures = await freshFigures();
    expect(figures.get('inventory_sync_latency_seconds{quantile="0.95"}')).toBeGreaterThanOrEqual(120);
    expect(figures.get("inventory_sync_failure_rate")).toBe(0.5);
    expect(figures.get("inventory_sync_success_rate")).toBe(0.5);
  });

  test("tell the last proof's result and time, and nothing before there was one", async () => {
    expect((await freshFigures()).has("inventory_data_corruption")).toBe(false);
    const began = Date.now() / 1_000;
    const proof = await prove({
      db: report,
      simulatorUrl: null,
      settleSeconds: 0,
      recordIn: bed.dispatcherDb,
    });
    const figures = await freshFigures();
    const violations = proof.checks.reduce((sum, check) => sum + check.violations.length, 0);
    expect(figures.get("inventory_data_corruption")).toBe(violations);
    expect(figures.get("creatorflow_proof_time_seconds")).toBeGreaterThan(began - 60);
  });

  test("ask the database seldom, however often they are read", async () => {
    const metrics = createApiMetrics(readFacts);
    const before = factsRead;
    await Promise.all(Array.from({ length: 20 }, () => metrics.render()));
    await metrics.render();
    expect(factsRead - before).toBe(1);
  });

  test("say so when the database is away, and leave out what they do not know", async () => {
    factsAvailable = false;
    const figures = await freshFigures();
    factsAvailable = true;
    expect(figures.get("creatorflow_facts_available")).toBe(0);
    expect(figures.has("creatorflow_shortages")).toBe(false);
    expect(figures.has("inventory_sync_success_rate")).toBe(false);
  });
});

describe("a record of a proof", () => {
  test("is written by the dispatcher's role alone, and never changed", async () => {
    const insert = (clean: boolean) =>
      `insert into proof_runs (began_at, clean, violations, under_way, compared_with_channel, checks)
       values (now(), ${clean}, 0, 0, false, '[]')`;
    const as = (role: string, statement: string) =>
      bed.superuser
        .query(`begin; set local role ${role}; ${statement}; commit`)
        .catch(async (error: unknown) => {
          await bed.superuser.query("rollback");
          throw error;
        });
    for (const role of ["cf_app", "cf_ingest", "cf_report"])
      await expect(as(role, insert(true)), role).rejects.toThrow("permission denied");
    await expect(as("cf_dispatcher", insert(false))).rejects.toThrow("check constraint");
    await expect(bed.superuser.query("update proof_runs set under_way = 1")).rejects.toThrow("append only");
  });
});

describe("a worker's page", () => {
  test("adds what Temporal's core counts to its own, and does without when that is away", async () => {
    const core = await serveMetrics(
      { contentType: "text/plain", render: () => Promise.resolve("temporal_workflow_completed 7\n") },
      { host: "127.0.0.1", port: 0, token: null },
    );
    const { port } = core.address() as { port: number };
    const metrics = createWorkerMetrics(`http://127.0.0.1:${port}/metrics`);
    metrics.pushConfirmed(0.7);
    const page = await serveMetrics(metrics, {
      host: "127.0.0.1",
      port: 0,
      token,
    });
    const url = `http://127.0.0.1:${(page.address() as { port: number }).port}/metrics`;
    try {
      expect((await fetch(url)).status).toBe(401);
      const headers = { authorization: `Bearer ${token}` };
      const figures = read(await (await fetch(url, { headers })).text());
      expect(figures.get("temporal_workflow_completed")).toBe(7);
      expect(figures.get('creatorflow_push_delay_seconds_bucket{le="0.5"}')).toBe(0);
      expect(figures.get('creatorflow_push_delay_seconds_bucket{le="1"}')).toBe(1);
      expect(figures.has("process_resident_memory_bytes")).toBe(true);
      core.close();
      core.closeAllConnections();
      const without = read(await (await fetch(url, { headers })).text());
      expect(without.has("temporal_workflow_completed")).toBe(false);
      expect(without.has("process_resident_memory_bytes")).toBe(true);
    } finally {
      page.close();
      page.closeAllConnections();
    }
  });
});
