import fs from "node:fs/promises";
import { afterAll, beforeAll, expect, test } from "vitest";
import { until } from "../support/until.ts";
import { makePlace, processesOf, type RunningStack, type StackPlace, startStack } from "./stack.ts";

/**
 * What the README promises, as a stranger would try it: one command, orders that are delivered by themselves, a burst,
 * clean books, an orderly end, and a second start that goes on.
 */
let place: StackPlace;
let stack: RunningStack;

interface OrdersPage {
  readonly orders: readonly { readonly channel_status: string; readonly hold: string | null }[];
  readonly pagination: { readonly total: number };
}
interface Burst {
  readonly reserved: number;
  readonly short: number;
  readonly skus: readonly {
    readonly code: string;
    readonly stock: number;
    readonly taken: number;
    readonly short: number;
  }[];
}
interface ProofAnswer {
  readonly clean: boolean;
  readonly comparedWithChannel: boolean;
  readonly checks: readonly {
    readonly check: string;
    readonly examined: number;
    readonly violations: readonly object[];
  }[];
}

beforeAll(async () => {
  place = await makePlace();
  stack = await startStack(place);
}, 90_000);
afterAll(async () => {
  await stack.stop("SIGTERM").catch(() => undefined);
  await fs.rm(place.home, { recursive: true, force: true });
});

const full = process.env["CREATORFLOW_TEST_FULL"] === "yes";
const burst = full ? { orders: 1_000, stock: 500, raise: 100 } : { orders: 60, stock: 30, raise: 6 };

test("one command ends with the addresses and log-ins of everything", () => {
  expect(stack.output()).toMatch(/\/docs/);
  expect(stack.output()).toMatch(/Temporal Web UI/);
  expect(stack.output()).toMatch(/admin@demo\.local/);
});

test("orders of the demo shop are taken, reserved, shipped and delivered by themselves", async () => {
  await until(
    "an order delivered",
    async () => (await stack.cli<OrdersPage>("orders", "list", "--status", "delivered")).pagination.total > 0,
    { seconds: 90 },
  );
}, 120_000);

test("a burst reserves exactly what there is, leaves the rest short and visible, and loses none", async () => {
  const result = await stack.cli<Burst>(
    ...["simulate", "burst", "--orders", String(burst.orders), "--skus", "3", "--stock", String(burst.stock)],
  );
  expect(result).toMatchObject({ reserved: burst.stock, short: burst.orders - burst.stock });
  expect(result.skus.map((sku) => [sku.stock, sku.taken])).toEqual(
    result.skus.map((sku) => [sku.stock, sku.stock]),
  );
  await expectClean();

  const [sku] = result.skus;
  await stack.cli("stock", "adjust", sku!.code, "--quantity", String(burst.raise), "--reason", "Found a box");
  await until("exactly those served", async () => {
    const now = await stack.cli<{ shortage: number; available_stock: number }>("stock", "show", sku!.code);
    return now.shortage === sku!.short - burst.raise && now.available_stock === 0;
  });
  await expectClean();
}, 400_000);

test("a signal ends everything within 10 seconds and leaves no process behind", async () => {
  expect(await stack.stop("SIGINT")).toBeLessThan(10_000);
  expect(await processesOf(place)).toEqual([]);
}, 30_000);

test("a second start goes on where the first ended", async () => {
  stack = await startStack(place);
  const before = await stack.cli<OrdersPage>("orders", "list");
  expect(before.pagination.total).toBeGreaterThanOrEqual(burst.orders);
  await until(
    "new orders taken in",
    async () => (await stack.cli<OrdersPage>("orders", "list")).pagination.total > before.pagination.total,
    { seconds: 60 },
  );
  await expectClean();
}, 180_000);

async function expectClean(): Promise<void> {
  const proof = await stack.prove<ProofAnswer>();
  expect(proof.checks.flatMap((check) => check.violations)).toEqual([]);
  expect(proof).toMatchObject({ clean: true, comparedWithChannel: true });
  expect(
    proof.checks.find((check) => check.check.startsWith("every order of the channel"))?.examined,
  ).toBeGreaterThan(0);
}
