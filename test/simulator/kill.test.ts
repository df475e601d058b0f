import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import readline from "node:readline";
import { expect, onTestFinished, test } from "vitest";
import { until } from "../support/until.ts";
import {
  brokenStockRules,
  controlled,
  givenClient,
  givenReceiver,
  ledger,
  skusOf,
  temporaryFolder,
  untilTold,
} from "./support.ts";

/** Starts the real entry point in a process of its own. */
async function startProcess(home: string, webhookUrl: string) {
  const child = spawn(
    process.execPath,
    [
      "--import",
      "tsx",
      "src/simulator/server.ts",
      ...["--port", "0", "--home", home, "--time-scale", "100000", "--webhook-url", webhookUrl],
      ...["--orders-per-minute", "0", "--log-level", "silent"],
    ],
    { stdio: ["ignore", "pipe", "inherit"] },
  );
  onTestFinished(() => void child.kill("SIGKILL"));
  for await (const line of readline.createInterface({ input: child.stdout })) {
    const url = /listening at (\S+)/.exec(line)?.[1];
    if (url !== undefined) return { child, url };
  }
  throw new Error("the simulator ended before it listened");
}

async function end(child: ChildProcess, signal: NodeJS.Signals) {
  const ended = once(child, "exit");
  child.kill(signal);
  return await ended;
}

test("kill -9 in the middle of bursts loses nothing that was answered, and each goes on to its exact end", async () => {
  const home = await temporaryFolder();
  const { received, url: webhookUrl } = await givenReceiver();
  let { child, url } = await startProcess(home, webhookUrl);
  const skus = (await skusOf(url)).filter(({ reservedForBursts }) => reservedForBursts).slice(0, 5);
  const { credentials } = await givenClient(url);
  const ordersEach = 200;
  const burstIds: string[] = [];
  const answered = new Set<string>();
  for (const share of [0.1, 0.3, 0.6]) {
    const { burstId } = await controlled(url, "POST", "/_sim/burst", {
      orders: ordersEach,
      skuIds: skus.map(({ id }) => id),
      linesPerOrder: 2,
      oversell: true,
      durations: untilTold,
      overMs: 2_000,
    });
    burstIds.push(burstId);
    await until(`${share} of the burst is there`, async () => {
      const progress = await controlled(url, "GET", `/_sim/bursts/${burstId}`);
      for (const id of progress.orderIds) answered.add(id);
      return progress.created >= ordersEach * share;
    });
    const { orderId } = await controlled(url, "POST", "/_sim/orders", {
      lines: [{ skuId: skus[0].id, quantity: 1 }],
      oversell: true,
      durations: untilTold,
    });
    answered.add(orderId);
    expect((await controlled(url, "GET", `/_sim/bursts/${burstId}`)).done).toBe(false);
    await end(child, "SIGKILL");

    ({ child, url } = await startProcess(home, webhookUrl));
    const known = new Set((await ledger(url, "orders")).map(({ orderId: id }) => id));
    expect([...answered].filter((id) => !known.has(id))).toEqual([]);
    expect(brokenStockRules(await ledger(url, "stock"))).toEqual([]);
  }
  for (const burstId of burstIds) {
    const burst = await until("the burst is done", async () => {
      const progress = await controlled(url, "GET", `/_sim/bursts/${burstId}`);
      return progress.done ? progress : null;
    });
    expect(new Set(burst.orderIds).size).toBe(ordersEach);
  }
  expect((await givenClient(url)).credentials.accessToken).toBe(credentials.accessToken);

  const books = await ledger(url, "orders");
  const sold = books.flatMap(({ lines }) => lines).length;
  expect(sold).toBe(burstIds.length * (ordersEach * 2 + 1));
  const stock = await ledger(url, "stock");
  const cells = stock.flatMap(({ warehouses }) => warehouses);
  expect(cells.reduce((total, { committed }) => total + committed, 0)).toBe(sold);
  expect(brokenStockRules(stock)).toEqual([]);

  await until("every order was told", () => {
    const told = received.filter(({ body }) => body.type === 1).map(({ body }) => body.data.order_id);
    return new Set(told).size === books.length;
  });
  const [code] = await end(child, "SIGTERM");
  expect(code).toBe(0);
}, 90_000);

test("a due change that a kill kept from happening happens after the restart", async () => {
  const home = await temporaryFolder();
  const { url: webhookUrl } = await givenReceiver();
  const first = await startProcess(home, webhookUrl);
  const [sku] = await skusOf(first.url);
  const { orderId } = await controlled(first.url, "POST", "/_sim/orders", {
    lines: [{ skuId: sku.id, quantity: 1 }],
    durations: { ...untilTold, unpaidMs: 400 },
  });
  await end(first.child, "SIGKILL");
  const second = await startProcess(home, webhookUrl);
  await until("the order is paid", async () => {
    const [order] = await ledger(second.url, "orders");
    return order.orderId === orderId && order.status === "ON_HOLD";
  });
  const started = performance.now();
  expect((await end(second.child, "SIGTERM"))[0]).toBe(0);
  expect(performance.now() - started).toBeLessThan(2_000);
});

test("a wrong option ends the process with a message that names it", async () => {
  const child = spawn(process.execPath, ["--import", "tsx", "src/simulator/server.ts", "--port", "many"], {
    stdio: ["ignore", "ignore", "pipe"],
  });
  let message = "";
  child.stderr.on("data", (chunk: Buffer) => (message += chunk.toString()));
  const [code] = await once(child, "close");
  expect(code).toBe(2);
  expect(message).toContain("port");
});
