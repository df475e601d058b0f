import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import readline from "node:readline";
import { expect, onTestFinished, test } from "vitest";
import { until } from "../support/until.ts";
import {
  brokenStockRules,
  burstOf,
  credentialsOf,
  finishedBurst,
  givenReceiver,
  ledger,
  placeOrder,
  skusOf,
  startBurst,
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
  onTestFinished(() => {
    child.kill("SIGKILL");
  });
  for await (const line of readline.createInterface({ input: child.stdout })) {
    const url = /listening at (\S+)/.exec(line)?.[1];
    if (url !== undefined) return { child, url };
  }
  throw new Error("the simulator ended before it listened");
}

async function end(child: ChildProcess, signal: NodeJS.Signals) {
  const ended = once(child, "exit");
  child.kill(signal);
  return (await ended) as [code: number | null, signal: NodeJS.Signals | null];
}

test("kill -9 in the middle of bursts loses nothing that was answered, and each goes on to its exact end", async () => {
  const home = await temporaryFolder();
  const { received, url: webhookUrl } = await givenReceiver();
  let { child, url } = await startProcess(home, webhookUrl);
  const skuIds = (await skusOf(url)).filter((sku) => sku.reservedForBursts).map(({ id }) => id);
  const credentials = await credentialsOf(url);
  const orders = 200;
  const burstIds: string[] = [];
  const answered = new Set<string>();
  for (const share of [0.1, 0.3, 0.6]) {
    const burstId = await startBurst(url, {
      orders,
      skuIds,
      linesPerOrder: 2,
      oversell: true,
      overMs: 2_000,
    });
    burstIds.push(burstId);
    const progress = await until(`${share} of the burst is there`, async () => {
      const found = await burstOf(url, burstId);
      return found.created >= orders * share ? found : null;
    });
    expect(progress.done).toBe(false);
    const line = { skuId: skuIds[0], quantity: 1 };
    const single = await placeOrder(url, { lines: [line], oversell: true });
    await end(child, "SIGKILL");
    for (const orderId of [...progress.orderIds, single.orderId]) answered.add(orderId);

    ({ child, url } = await startProcess(home, webhookUrl));
    const known = new Set((await ledger(url, "orders")).map(({ orderId }) => orderId));
    expect([...answered].filter((orderId) => !known.has(orderId))).toEqual([]);
    expect(brokenStockRules(await ledger(url, "stock"))).toEqual([]);
  }
  for (const burstId of burstIds) {
    expect(new Set((await finishedBurst(url, burstId)).orderIds).size).toBe(orders);
  }
  expect((await credentialsOf(url)).accessToken).toBe(credentials.accessToken);

  const books = await ledger(url, "orders");
  const sold = books.flatMap(({ lines }) => lines).length;
  expect(sold).toBe(burstIds.length * (orders * 2 + 1));
  const stock = await ledger(url, "stock");
  const cells = stock.flatMap(({ warehouses }) => warehouses);
  expect(cells.reduce((total, { committed }) => total + committed, 0)).toBe(sold);
  expect(brokenStockRules(stock)).toEqual([]);

  await until(
    "every order was told",
    () => {
      const told = received.flatMap(({ body }) => (body.type === 1 ? body.data.order_id : []));
      return new Set(told).size === books.length;
    },
    { seconds: 60 },
  );
  const [code] = await end(child, "SIGTERM");
  expect(code).toBe(0);
}, 90_000);

test("a change that fell due while the simulator was killed happens after its restart, and SIGTERM ends it in time", async () => {
  const home = await temporaryFolder();
  const { url: webhookUrl } = await givenReceiver();
  const first = await startProcess(home, webhookUrl);
  const [sku] = await skusOf(first.url);
  const durations = { ...untilTold, unpaidMs: 400 };
  const { orderId } = await placeOrder(first.url, { lines: [{ skuId: sku!.id, quantity: 1 }], durations });
  await end(first.child, "SIGKILL");
  const second = await startProcess(home, webhookUrl);
  await until("the order is paid", async () => {
    const [order] = await ledger(second.url, "orders");
    return order?.orderId === orderId && order.status === "ON_HOLD";
  });
  const asked = performance.now();
  const [code] = await end(second.child, "SIGTERM");
  expect(code).toBe(0);
  expect(performance.now() - asked).toBeLessThan(2_000);
});

test("a wrong option ends the process with a message that names it", async () => {
  const child = spawn(process.execPath, ["--import", "tsx", "src/simulator/server.ts", "--port", "many"], {
    stdio: ["ignore", "ignore", "pipe"],
  });
  let message = "";
  child.stderr.on("data", (chunk: Buffer) => (message += chunk.toString()));
  const [code] = (await once(child, "close")) as [number];
  expect(code).toBe(2);
  expect(message).toContain("port");
});

test("a taken port ends the process with a message that names the option", async () => {
  const { child, url } = await startProcess(await temporaryFolder(), "http://127.0.0.1:9/");
  const options = ["--port", new URL(url).port, "--home", await temporaryFolder(), "--log-level", "silent"];
  const second = spawn(process.execPath, ["--import", "tsx", "src/simulator/server.ts", ...options], {
    stdio: ["ignore", "ignore", "pipe"],
  });
  let message = "";
  second.stderr.on("data", (chunk: Buffer) => (message += chunk.toString()));
  const [code] = (await once(second, "close")) as [number];
  expect(code).toBe(1);
  expect(message).toContain("--port");
  await end(child, "SIGTERM");
});
