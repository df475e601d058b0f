import fs from "node:fs/promises";
import path from "node:path";
import type { Client } from "@temporalio/client";
import { sql } from "kysely";
import pMap from "p-map";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type Database, openDatabase } from "../../src/db/connection.ts";
import { connectClient } from "../../src/temporal.ts";
import { until } from "../support/until.ts";
import { makePlace, type RunningStack, type StackPlace, startStack } from "./stack.ts";

/**
 * Temporal's database is lost as a whole while orders are open. Everything that is true is in Postgres, so one command
 * brings the orders and the SKUs back to work.
 */
const full = process.env["CREATORFLOW_TEST_FULL"] === "yes";
/** Of the first SKU enough for all; of the second 10 units for 20 orders. */
const ordersOfFirst = full ? 9_980 : 20;
const ordersOfSecond = 20;
const unitsOfSecond = 10;
const ordersInAll = ordersOfFirst + ordersOfSecond;
/** Orders of the first SKU that are moved on afterwards, one call each. */
const movedOn = 20;

let place: StackPlace;
let stack: RunningStack;
let simulatorUrl: string;
let temporalAddress: string;
let report: Database;
let moved: readonly string[];
let waiting: readonly string[];

interface BurstSku {
  readonly id: string;
  readonly sellerSku: string;
  readonly reservedForBursts: boolean;
}
interface Stock {
  readonly sku: string;
  readonly available_stock: number;
}

beforeAll(async () => {
  place = await makePlace();
  place.environment["CREATORFLOW_DEMO"] = "off";
  await start();
}, 90_000);
afterAll(async () => {
  await report.destroy();
  await stack.stop("SIGTERM").catch(() => undefined);
  await fs.rm(place.home, { recursive: true, force: true });
});

async function start(): Promise<void> {
  stack = await startStack(place);
  const running = JSON.parse(await fs.readFile(path.join(place.home, "running.json"), "utf8")) as {
    addresses: { simulatorUrl: string; temporalAddress: string; databaseUrl: string };
  };
  ({ simulatorUrl, temporalAddress } = running.addresses);
  report = openDatabase({ url: running.addresses.databaseUrl, role: "cf_report", poolSize: 1 });
}

async function control<Answer>(method: "GET" | "POST", route: string, body?: object): Promise<Answer> {
  const response = await fetch(`${simulatorUrl}${route}`, {
    method,
    ...(body === undefined
      ? {}
      : { body: JSON.stringify(body), headers: { "content-type": "application/json" } }),
  });
  if (!response.ok) throw new Error(`${route} answered ${response.status}: ${await response.text()}`);
  return (await response.json()) as Answer;
}

async function withTemporal<Result>(work: (client: Client) => Promise<Result>): Promise<Result> {
  const client = await connectClient({ address: temporalAddress, namespace: "default" });
  try {
    return await work(client);
  } finally {
    await client.connection.close();
  }
}

const runningOrders = () =>
  withTemporal(
    async ({ workflow }) =>
      (await workflow.count("WorkflowType = 'orderLifecycle' AND ExecutionStatus = 'Running'")).count,
  );

/** How things stand, asked often while waiting. */
async function figures() {
  const { rows } = await sql<{
    all: number;
    fulfilled: number;
    delivered: number;
    held: number;
    short: number;
  }>`
    select count(*) as all, count(*) filter (where status = 'fulfilled') as fulfilled,
      count(*) filter (where status = 'delivered') as delivered,
      (select count(*) from reservations where state = 'held') as held,
      (select count(*) from shortages where state = 'waiting') as short
    from orders`.execute(report);
  return rows[0]!;
}

const stockOf = (code: string) => stack.cli<Stock>("stock", "show", code);

/** Paid orders in their remorse hour, which lasts until somebody ends it; so do all states after it. */
const durations = {
  unpaidMs: 0,
  onHoldMs: null,
  shipmentMs: null,
  collectionMs: null,
  transitMs: null,
  completedMs: null,
};

async function placeOrders(count: number, skuId: string): Promise<readonly string[]> {
  return await pMap(
    Array.from({ length: count }),
    async () => {
      const lines = [{ skuId, quantity: 1 }];
      const order = await control<{ orderId: string }>("POST", "/_sim/orders", {
        lines,
        durations,
        oversell: true,
      });
      return order.orderId;
    },
    { concurrency: 8 },
  );
}

async function setStock(code: string, units: number): Promise<void> {
  let missing = units - (await stockOf(code)).available_stock;
  while (missing !== 0) {
    const quantity = Math.max(-1_000, Math.min(1_000, missing));
    await stack.cli("stock", "adjust", code, "--quantity", String(quantity), "--reason", "Counted");
    missing -= quantity;
  }
}

test("open orders are there: reserved, and short in the queue", async () => {
  const { products } = await control<{ products: { skus: BurstSku[] }[] }>("GET", "/_sim/catalog");
  const [first, second] = products.flatMap(({ skus }) => skus).filter((sku) => sku.reservedForBursts);
  await until("the catalogue is taken in", () => stockOf(second!.sellerSku).then(() => true), {
    seconds: 60,
  });
  await setStock(first!.sellerSku, ordersOfFirst);
  await setStock(second!.sellerSku, unitsOfSecond);
  moved = await placeOrders(movedOn, first!.id);
  await placeOrders(ordersOfFirst - movedOn, first!.id);
  waiting = await placeOrders(ordersOfSecond, second!.id);
  await until(
    "all reserved or short",
    async () => {
      const { held, short } = await figures();
      return held === ordersOfFirst + unitsOfSecond && short === ordersOfSecond - unitsOfSecond;
    },
    { seconds: full ? 900 : 90 },
  );
  await until("all running", async () => (await runningOrders()) === ordersInAll, { seconds: 60 });
}, 1_200_000);

test("Temporal's database is lost, and nothing works on the open orders any more", async () => {
  await report.destroy();
  await stack.stop("SIGINT");
  const files = (await fs.readdir(place.home)).filter((file) => file.startsWith("temporal.db"));
  expect(files).toContain("temporal.db");
  await Promise.all(files.map((file) => fs.rm(path.join(place.home, file))));
  await start();
  expect(await runningOrders()).toBe(0);
  expect((await figures()).all).toBe(ordersInAll);
}, 120_000);

test("one command brings every open order back to work; given twice it does no harm", async () => {
  const began = performance.now();
  const first = await stack.cli<{ orders: number; skus: number; seconds: number }>("recover");
  expect(first.orders).toBe(ordersInAll);
  expect(first.skus).toBeGreaterThanOrEqual(1);
  await until("all running again", async () => (await runningOrders()) === ordersInAll, {
    seconds: full ? 1_200 : 60,
  });
  const seconds = (performance.now() - began) / 1_000;
  console.log(
    `${ordersInAll} open orders were running again ${seconds.toFixed(1)} s after the command began.`,
  );
  if (!full) expect((await stack.cli<{ orders: number }>("recover")).orders).toBe(ordersInAll);
  expect(await runningOrders()).toBe(ordersInAll);
}, 1_500_000);

test("the schedules of the polls are back by themselves", async () => {
  await until(
    "a schedule",
    () =>
      withTemporal(async ({ schedule }) => {
        for await (const { scheduleId } of schedule.list())
          if (scheduleId.startsWith("tiktok-orders/")) return true;
        return false;
      }),
    { seconds: 60 },
  );
}, 90_000);

test("the orders go on to their end, who waited is served, and the books are clean", async () => {
  const { products } = await control<{ products: { skus: BurstSku[] }[] }>("GET", "/_sim/catalog");
  const [, second] = products.flatMap(({ skus }) => skus).filter((sku) => sku.reservedForBursts);
  const lacking = ordersOfSecond - unitsOfSecond;
  await stack.cli("stock", "adjust", second!.sellerSku, "--quantity", String(lacking), "--reason", "Found");
  await until("everybody is served", async () => (await figures()).short === 0, {
    seconds: 60,
  });
  const goingOn = [...moved, ...waiting];
  const move = async (name: string) => {
    await pMap(goingOn, (orderId) => control("POST", `/_sim/orders/${orderId}/${name}`, {}), {
      concurrency: 8,
    });
  };
  await move("release");
  await until("shipped", async () => (await figures()).fulfilled === goingOn.length, {
    seconds: 90,
  });
  await move("collect");
  await move("deliver");
  await move("complete");
  await until("delivered", async () => (await figures()).delivered === goingOn.length, {
    seconds: 90,
  });
  const proof = await stack.prove<{ clean: boolean; checks: { violations: object[] }[] }>();
  expect(proof.checks.flatMap((check) => check.violations)).toEqual([]);
  expect(proof.clean).toBe(true);
  const rest = await stack.cli<{ orders: number }>("recover");
  expect(rest.orders).toBe(ordersInAll - goingOn.length);
}, 400_000);
