import { createHmac, randomUUID } from "node:crypto";
import http from "node:http";
import { setTimeout as pause } from "node:timers/promises";
import { z } from "zod";
import { findFreePort } from "../src/embedded/ports.ts";
import { startOwn } from "../src/embedded/processes.ts";
import { until } from "../test/support/until.ts";
import type { Benchmark } from "./benchmark.ts";
import { repeated } from "./harness.ts";
import { clocked, processorFigures, processorSeconds, type ProcessorSeconds } from "./processor-time.ts";
import { compareTo, type Figure, quantileOf } from "./report.ts";
import { type BenchStack, onStack, openRateBudget } from "./stack.ts";

/**
 * Webhooks taken in per second by the API, signed as TikTok Shop signs, beside a bare Fastify route that makes the same
 * insert into the same table and nothing else; and how long the API's answer takes at a steady 200 a second, sent whether or
 * not the answers come, while a burst of orders is worked off.
 */
export const ingest: Benchmark = {
  name: "ingest",
  title: "webhooks taken in per second, and how soon they are acknowledged",
  async run({ runs, short }) {
    return await onStack({ timeScale: 1, demoOrders: false }, async (stack) => {
      const rateBudget = await openRateBudget(stack);
      const size = short
        ? { requests: 500, orders: 20, seconds: 2 }
        : { requests: 8_000, orders: 300, seconds: 15 };
      const found = await repeated(runs, async () => [
        ...(await measureRate(stack, size.requests)),
        ...(await measureBare(stack, size.requests)),
        ...(await measureAcknowledgement(stack, size)),
      ]);
      return {
        settings: {
          "connections, each with one request in flight": connections,
          "webhooks a second, open loop": webhooksPerSecond,
          "orders worked off beside them": size.orders,
          "rate budget": rateBudget,
        },
        runs: found,
        compare: (median) => [
          compareTo(
            "the API against the bare route",
            median("API") / median("bare route"),
            "×",
            "at least",
            0.7,
          ),
          compareTo("acknowledged, p99", median("acknowledged, p99"), "ms", "at most", 250),
        ],
      };
    });
  },
};

const connections = 32;
const webhooksPerSecond = 200;
const credentialsSchema = z.object({ appKey: z.string(), appSecret: z.string(), shopId: z.string() });

type Send = (body: string) => Promise<void>;

/** What the API is sent to see how many it takes: nobody works these off, so that only their taking in is measured. */
async function measureRate(stack: BenchStack, requests: number): Promise<Figure[]> {
  return await measureRoute(stack, "API", stack.apiUrl, requests, ["api", "postgres"], () =>
    stack.processorSeconds(),
  );
}

async function measureBare(stack: BenchStack, requests: number): Promise<Figure[]> {
  const port = await findFreePort();
  const { databaseUrl } = stack;
  const server = startOwn("bench/bare-ingest.ts", {
    name: "bare",
    args: [JSON.stringify({ port, databaseUrl })],
    graceSeconds: 2,
  });
  try {
    const url = `http://127.0.0.1:${port}`;
    await until("the bare route answers", async () => (await fetch(url)).ok, { seconds: 60 });
    return await measureRoute(stack, "bare route", url, requests, ["bare", "postgres"], () =>
      usedByBoth(stack),
    );
  } finally {
    await server.stop();
  }
}

async function measureRoute(
  stack: BenchStack,
  name: string,
  url: string,
  requests: number,
  whose: readonly string[],
  readProcessorSeconds: () => Promise<ProcessorSeconds>,
): Promise<Figure[]> {
  const { send, close, shopId } = await openSender(stack, url);
  await warmUp(stack, send, shopId, requests);
  let figures: Figure[] = [];
  const { used } = await clocked(readProcessorSeconds, async () => {
    figures = await closedLoop(name, requests, send, shopId);
  });
  close();
  await expectStored(stack, requests);
  const ofThese = new Map(
    whose.flatMap((who) => {
      const seconds = used.get(who);
      return seconds === undefined ? [] : [[who, seconds]];
    }),
  );
  return [...figures, ...processorFigures(`${name}: processor, `, ofThese, "ms for 1,000", requests)];
}

async function usedByBoth(stack: BenchStack): Promise<ProcessorSeconds> {
  return new Map([...(await stack.processorSeconds()), ...(await processorSeconds(process.pid))]);
}

/** The first requests of a process pay for its compiler. */
async function warmUp(stack: BenchStack, send: Send, shopId: string, requests: number): Promise<void> {
  await closedLoop("warm up", Math.ceil(requests / 4), send, shopId);
  await expectStored(stack, Math.ceil(requests / 4));
}

/** Of a topic that is stored and never worked off. */
const topicKept = 5;

async function closedLoop(name: string, requests: number, send: Send, shopId: string): Promise<Figure[]> {
  const bodies = Array.from({ length: requests }, () => bodyOf(topicKept, shopId, "1"));
  const milliseconds: number[] = [];
  const began = performance.now();
  const sender = async (): Promise<void> => {
    for (let body = bodies.pop(); body !== undefined; body = bodies.pop()) {
      const sent = performance.now();
      await send(body);
      milliseconds.push(performance.now() - sent);
    }
  };
  await Promise.all(Array.from({ length: connections }, sender));
  return [
    { name, unit: "a second", value: (requests * 1_000) / (performance.now() - began) },
    { name: `${name}: p99`, unit: "ms", value: quantileOf(milliseconds, 0.99) },
  ];
}

/** Each request is due at its moment, however long the ones before it take: a slow answer does not slow the sender. */
async function measureAcknowledgement(
  stack: BenchStack,
  { orders, seconds }: { readonly orders: number; readonly seconds: number },
): Promise<Figure[]> {
  const skus = await stack.simulator.quietSkus(3, orders);
  const orderIds = await stack.simulator.placeBurst({
    orders,
    skuIds: skus.map(({ id }) => id),
    durations: { unpaidMs: 200, onHoldMs: 500, collectionMs: null },
    overMs: 0,
  });
  const { send, close, shopId } = await openSender(stack, stack.apiUrl);
  const milliseconds: number[] = [];
  const sending: Promise<void>[] = [];
  const began = performance.now();
  for (let index = 0; index < seconds * webhooksPerSecond; index += 1) {
    const due = began + (index * 1_000) / webhooksPerSecond;
    const early = due - performance.now();
    if (early > 0) await pause(early);
    const body = bodyOf(1, shopId, orderIds[index % orderIds.length] ?? "");
    sending.push(send(body).then(() => void milliseconds.push(performance.now() - due)));
  }
  await Promise.all(sending);
  close();
  const [row] = await stack.query<{ reserved: number; shipped: number }>(
    `select count(*) filter (where exists (select from reservations where reservations.order_ref = orders.order_ref))::integer as reserved,
       count(*) filter (where channel_status = 'awaiting_collection')::integer as shipped
     from orders where channel_order_id = any ($1)`,
    [orderIds],
  );
  return [
    { name: "acknowledged, p50", unit: "ms", value: quantileOf(milliseconds, 0.5) },
    { name: "acknowledged, p99", unit: "ms", value: quantileOf(milliseconds, 0.99) },
    { name: "orders reserved meanwhile", unit: "orders", value: row?.reserved ?? 0 },
    { name: "orders shipped meanwhile", unit: "orders", value: row?.shipped ?? 0 },
  ];
}

function bodyOf(topic: number, shopId: string, orderId: string): string {
  const seconds = Math.floor(Date.now() / 1_000);
  return JSON.stringify({
    type: topic,
    tts_notification_id: randomUUID(),
    shop_id: shopId,
    timestamp: seconds,
    data: { order_id: orderId, order_status: "AWAITING_SHIPMENT", update_time: seconds },
  });
}

async function openSender(
  stack: BenchStack,
  url: string,
): Promise<{ readonly send: Send; readonly shopId: string; readonly close: () => void }> {
  const app = await stack.simulator.control("GET", "/_sim/credentials", credentialsSchema);
  const agent = new http.Agent({ keepAlive: true, maxSockets: 4 * connections });
  const target = new URL("/webhooks/tiktok-shop", url);
  return {
    shopId: app.shopId,
    close: () => agent.destroy(),
    send: (body) =>
      new Promise((resolve, reject) => {
        const authorization = createHmac("sha256", app.appSecret)
          .update(app.appKey)
          .update(body)
          .digest("hex");
        const headers = {
          authorization,
          "content-type": "application/json",
          "content-length": Buffer.byteLength(body),
        };
        const request = http.request(target, { method: "POST", agent, headers }, (response) => {
          response.resume();
          response.once("end", () => {
            if (response.statusCode === 200) resolve();
            else reject(new Error(`A webhook was answered ${response.statusCode ?? "nothing"}.`));
          });
        });
        request.once("error", reject);
        request.end(body);
      }),
  };
}

/** A rate of webhooks that were not all stored would be no rate. Empties the table of them for the next measurement. */
async function expectStored(stack: BenchStack, requests: number): Promise<void> {
  const stored = await stack.query("select id from webhook_deliveries where topic = $1", [topicKept]);
  // The database keeps deliveries for ninety days: its own triggers sleep meanwhile.
  await stack.query(
    `begin; set local session_replication_role = replica; delete from webhook_deliveries where topic = ${topicKept}; commit`,
  );
  if (stored.length !== requests) throw new Error(`${stored.length} of ${requests} webhooks were stored`);
}
