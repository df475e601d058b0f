import fs from "node:fs/promises";
import path from "node:path";
import { sql } from "kysely";
import { afterAll, beforeAll, expect, test } from "vitest";
import { z } from "zod";
import type { Database } from "../../src/db/connection.ts";
import { openTestDatabase } from "../support/seed.ts";
import { until } from "../support/until.ts";
import { makePlace, type RunningStack, type StackPlace, startStack } from "./stack.ts";

/**
 * A burst through the whole stack while the channel misbehaves in every way at once. What it must come to is what it
 * comes to without faults, which is arithmetic: every unit of the stock held or shipped, the rest short, in turn.
 */
const full = process.env["CREATORFLOW_TEST_FULL"] === "yes";
const size = full ? { orders: 1_000, stock: 500, raise: 50 } : { orders: 120, stock: 60, raise: 6 };
const seed = process.env["STORM_SEED"] ?? String(Date.now());
const settleSeconds = full ? 300 : 90;

const plan = {
  seed,
  webhooks: {
    duplicate: { percent: 30, copiesMax: 3, concurrent: true },
    delay: { percent: 20, betweenMs: [0, 2_000] },
    reorder: { percent: 20, behind: 5 },
    lose: { percent: 20 },
    forge: { percent: 5 },
  },
  calls: [
    // A rush needs few calls: these make sure that some fail, whatever the seed draws.
    { fault: "server_error", next: 3 },
    { fault: "server_error", percent: 5 },
    { fault: "timeout", percent: 2, applied: true },
  ],
};

const ledgerPage = z.object({
  items: z.array(
    z.object({
      orderId: z.string(),
      status: z.string(),
      lines: z.array(z.object({ skuId: z.string() })),
      packages: z.array(
        z.object({ id: z.string(), shipCallsAccepted: z.number(), shipCallsRepeated: z.number() }),
      ),
      cancelCount: z.number(),
    }),
  ),
  nextCursor: z.string().nullable(),
});
const faultsAnswer = z.object({
  injected: z.record(z.string(), z.number()),
  forgeriesAccepted: z.number(),
});

let place: StackPlace;
let stack: RunningStack;
let db: Database;

beforeAll(async () => {
  process.stdout.write(`The storm's seed: STORM_SEED=${seed}\n`);
  place = await makePlace();
  place.environment["CREATORFLOW_DEMO"] = "off";
  stack = await startStack(place);
  const running = z
    .object({ addresses: z.object({ databaseUrl: z.string() }) })
    .parse(JSON.parse(await fs.readFile(path.join(place.home, "running.json"), "utf8")));
  db = openTestDatabase(running.addresses.databaseUrl, "cf_report");
}, 90_000);
afterAll(async () => {
  await db.destroy();
  await stack.stop("SIGTERM");
  await fs.rm(place.home, { recursive: true, force: true });
});

interface Burst {
  readonly reserved: number;
  readonly short: number;
  readonly skus: readonly { readonly code: string; readonly stock: number; readonly taken: number }[];
}

test("through a storm of faults a burst ends as it does in calm, and what was lost is recovered", async () => {
  await simulator("PUT", "/_sim/faults", plan);
  const burst = await stack.cli<Burst>(
    ...["simulate", "burst", "--orders", String(size.orders), "--skus", "3", "--stock", String(size.stock)],
  );
  expect(burst).toMatchObject({ reserved: size.stock, short: size.orders - size.stock });
  for (const sku of burst.skus) expect([sku.code, sku.taken]).toEqual([sku.code, sku.stock]);

  const { injected, forgeriesAccepted } = faultsAnswer.parse(await simulator("GET", "/_sim/faults"));
  expect(forgeriesAccepted).toBe(0);
  for (const kind of Object.keys(plan.webhooks)) expect(injected[`webhooks.${kind}`]).toBeGreaterThan(0);
  expect(injected["calls.0.server_error"]).toBeGreaterThan(0);
  await until("orders recovered by the poll", async () => (await recovered()) > 0, { seconds: 30 });

  await until(
    "every order is known here with its payment",
    async () => (await paidOrders()) === size.orders,
    {
      seconds: settleSeconds,
    },
  );
  // With everything known, what comes free goes to those who have waited longest.
  for (const { code } of burst.skus) {
    await stack.cli("stock", "adjust", code, "--quantity", String(size.raise), "--reason", "Found a box");
  }
  const held = size.stock + 3 * size.raise;
  await until("the raise is given out", async () => (await units()).taken === held, {
    seconds: settleSeconds,
  });
  await untilAllAgree(size.orders - held);
  expect(await units()).toEqual({ taken: held, short: size.orders - held });
  expect(await servedOutOfTurn()).toEqual([]);
  await expectNothingTwice();

  await simulator("PUT", "/_sim/faults", {});
  const proof = await stack.prove<{ clean: boolean; checks: readonly { violations: readonly object[] }[] }>();
  expect(proof.checks.flatMap((check) => check.violations)).toEqual([]);
  expect(proof.clean).toBe(true);
}, 900_000);

async function simulator(method: "GET" | "PUT", route: string, body?: object): Promise<unknown> {
  const response = await fetch(`http://127.0.0.1:${place.environment["SIMULATOR_PORT"]}${route}`, {
    method,
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  if (!response.ok) throw new Error(`${route} answered ${response.status}: ${await response.text()}`);
  return await response.json();
}

async function bookedOrders() {
  const orders: z.output<typeof ledgerPage>["items"] = [];
  for (let cursor: string | null = ""; cursor !== null; ) {
    const page = ledgerPage.parse(
      await simulator("GET", `/_sim/ledger?section=orders&limit=1000&cursor=${cursor}`),
    );
    orders.push(...page.items);
    cursor = page.nextCursor;
  }
  return orders;
}

/** What each status of the channel may be called here. */
const summaries: Readonly<Record<string, readonly string[]>> = {
  UNPAID: ["pending"],
  ON_HOLD: ["pending"],
  AWAITING_SHIPMENT: ["processing"],
  PARTIALLY_SHIPPING: ["processing"],
  AWAITING_COLLECTION: ["fulfilled"],
  IN_TRANSIT: ["fulfilled"],
  DELIVERED: ["delivered"],
  COMPLETED: ["delivered"],
  CANCELLED: ["cancelled"],
};

/**
 * Waits until every order of the channel's is known here and in the state that follows from the channel's: so many wait for
 * stock, and all others have arrived.
 */
async function untilAllAgree(waitForStock: number): Promise<void> {
  await until(
    "no order of the channel's is unknown or in another state here",
    async () => {
      const booked = await bookedOrders();
      const ours = new Map(
        (
          await sql<{ channel_order_id: string; status: string }>`
            select channel_order_id, status from orders`.execute(db)
        ).rows.map((order) => [order.channel_order_id, order.status]),
      );
      const astray = booked.filter(
        ({ orderId, status }) => summaries[status]?.includes(ours.get(orderId) ?? "unknown") !== true,
      );
      const arrived = booked.filter(({ status }) => ["DELIVERED", "COMPLETED"].includes(status)).length;
      const waiting = booked.filter(({ status }) => status === "AWAITING_SHIPMENT").length;
      const settled = waiting === waitForStock && arrived === size.orders - waitForStock;
      if (booked.length !== size.orders || ours.size !== size.orders || astray.length > 0 || !settled) {
        throw new Error(
          `${booked.length} there, ${ours.size} here, ${arrived} arrived, ${waiting} wait, astray: ${JSON.stringify(astray.slice(0, 3))}`,
        );
      }
      return true;
    },
    { seconds: settleSeconds },
  );
}

async function units(): Promise<{ taken: number; short: number }> {
  const { rows } = await sql<{ taken: number; short: number }>`
    select
      (select coalesce(sum(quantity), 0)::int from reservations where state in ('held', 'shipped')) as taken,
      (select coalesce(sum(quantity), 0)::int from shortages where state = 'waiting') as short`.execute(db);
  return rows[0]!;
}

async function paidOrders(): Promise<number> {
  const { rows } = await sql<{ total: number }>`
    select count(*)::int as total from orders where paid_at is not null`.execute(db);
  return rows[0]!.total;
}

async function recovered(): Promise<number> {
  const { rows } = await sql<{ total: number }>`
    select coalesce(sum(recovered_total), 0)::int as total from sync_cursors`.execute(db);
  return rows[0]!.total;
}

/** Served from the queue while somebody who paid earlier, and whose payment the queue knew of already, was passed over. */
async function servedOutOfTurn(): Promise<readonly object[]> {
  const { rows } = await sql<{ served: string; passed_over: string }>`
    select served.order_ref as served, waiting.order_ref as passed_over
    from shortages served
    join shortages waiting
      on waiting.tenant_id = served.tenant_id and waiting.sku_id = served.sku_id
     and waiting.ranked_at < served.resolved_at
     and (waiting.resolved_at is null or waiting.resolved_at > served.resolved_at)
    where served.state = 'served' and waiting.paid_at < served.paid_at
    limit 20`.execute(db);
  return rows;
}

async function expectNothingTwice(): Promise<void> {
  const booked = await bookedOrders();
  const packages = booked.flatMap((order) => order.packages);
  expect(packages.filter(({ shipCallsAccepted }) => shipCallsAccepted > 1)).toEqual([]);
  // A call whose answer was lost is looked after, not made again.
  expect(packages.filter(({ shipCallsRepeated }) => shipCallsRepeated > 0)).toEqual([]);
  const shipped = packages.filter(({ shipCallsAccepted }) => shipCallsAccepted === 1);
  expect(shipped).toHaveLength(size.stock + 3 * size.raise);
  expect(booked.filter(({ cancelCount }) => cancelCount > 0)).toEqual([]);
}
