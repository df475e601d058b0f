import type { Client } from "@temporalio/client";
import { afterAll, beforeAll, expect, test } from "vitest";
import { inventoryHealth } from "../../src/api/contract/health.ts";
import { type ApiBed, type Seller, startApiBed } from "./api-bed.ts";

let bed: ApiBed;
let seller: Seller;
let headers: { authorization: string };

beforeAll(async () => {
  // One that answers at once: what its absence does is told by another test.
  const temporal = {
    withDeadline: (_deadline: number, work: () => Promise<unknown>) => work(),
    workflowService: { getSystemInfo: () => Promise.resolve({}) },
  } as unknown as Client;
  bed = await startApiBed({ temporal });
  seller = await bed.addSeller();
  headers = await bed.signIn(seller);
});
afterAll(() => bed.close());

async function health() {
  const answer = await bed.app.inject({ url: "/api/health/inventory", headers });
  expect(answer.statusCode, answer.body).toBe(200);
  return inventoryHealth.parse(answer.json());
}

test("a channel that answers is healthy, with the latency of its last calls", async () => {
  expect((await health()).checks.tiktokAPI).toEqual({ status: "healthy", latency: null });
  await bed.superuser.query(
    "insert into circuit_breakers (tenant_id, shop_id, latency_milliseconds) values ($1, $2, 119.2)",
    [seller.tenantId, seller.shopId],
  );
  expect((await health()).checks.tiktokAPI).toEqual({ status: "healthy", latency: "120ms" });
});

test("everything that answers makes a healthy whole", async () => {
  const { status, checks } = await health();
  expect([status, checks.database.status, checks.temporal.status, checks.messageQueue]).toEqual([
    "healthy",
    "healthy",
    "healthy",
    { status: "healthy", depth: 0 },
  ]);
});

test("a channel that is spared because it does not answer is unhealthy, and another seller's is not", async () => {
  const other = await bed.addSeller();
  await bed.superuser.query(
    "update circuit_breakers set opened_at = now(), retry_at = now() + interval '1 minute' where shop_id = $1",
    [seller.shopId],
  );
  const { status, checks } = await health();
  expect([status, checks.tiktokAPI.status]).toEqual(["degraded", "unhealthy"]);
  const theirs = await bed.app.inject({ url: "/api/health/inventory", headers: await bed.signIn(other) });
  expect(inventoryHealth.parse(theirs.json()).checks.tiktokAPI.status).toBe("healthy");
});

test("a shop that the channel no longer lets us act for is not healthy", async () => {
  await bed.superuser.query("update circuit_breakers set opened_at = null, retry_at = null");
  await bed.superuser.query("update shops set status = 'disconnected' where id = $1", [seller.shopId]);
  expect((await health()).checks.tiktokAPI.status).toBe("unhealthy");
  await bed.superuser.query("update shops set status = 'connected' where id = $1", [seller.shopId]);
  expect((await health()).checks.tiktokAPI.status).toBe("healthy");
});

test("the last proof is told with its time, and the newest counts", async () => {
  expect((await health()).metrics).toMatchObject({ lastProofTime: null, lastProofClean: null });
  const record = (clean: boolean) =>
    bed.superuser.query(
      `insert into proof_runs (began_at, clean, violations, under_way, compared_with_channel, checks)
       values (now(), $1, $2, 0, false, '[]')`,
      [clean, clean ? 0 : 3],
    );
  await record(true);
  expect((await health()).metrics.lastProofClean).toBe(true);
  await record(false);
  const { metrics } = await health();
  expect(metrics.lastProofClean).toBe(false);
  expect(Date.parse(metrics.lastProofTime ?? "")).toBeGreaterThan(0);
});
