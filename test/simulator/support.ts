import { createHmac } from "node:crypto";
import fs from "node:fs/promises";
import http from "node:http";
import type { AddressInfo } from "node:net";
import os from "node:os";
import path from "node:path";
import { onTestFinished } from "vitest";
import { z } from "zod";
import { type Simulator, startSimulator } from "../../src/simulator/app.ts";
import { until } from "../support/until.ts";
import * as shapes from "./shapes.ts";

/** Durations under which an order moves only when told. */
export const untilTold = {
  unpaidMs: null,
  onHoldMs: null,
  shipmentMs: null,
  collectionMs: null,
  transitMs: null,
  completedMs: null,
};

export async function temporaryFolder(): Promise<string> {
  const folder = await fs.mkdtemp(path.join(os.tmpdir(), "simulator-test-"));
  onTestFinished(() => fs.rm(folder, { recursive: true, force: true }));
  return folder;
}

/** A simulator for one test, without a steady stream; ended with the test. */
export async function givenSimulator(
  options: { home?: string; timeScale?: number; webhookUrl?: string } = {},
): Promise<Simulator & { readonly home: string }> {
  const home = options.home ?? (await temporaryFolder());
  const simulator = await startSimulator({
    port: 0,
    home,
    timeScale: options.timeScale ?? 1,
    webhookUrl: options.webhookUrl ?? null,
    ordersPerMinute: 0,
  });
  let stopped: Promise<void> | null = null;
  const stop = () => (stopped ??= simulator.stop());
  onTestFinished(stop);
  return { url: simulator.url, home, stop };
}

type Method = "GET" | "POST" | "PUT";

/** Asks a control and returns its answer as it is. */
export async function control(url: string, method: Method, pathname: string, body?: unknown) {
  const response = await fetch(url + pathname, {
    method,
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  return { status: response.status, text: await response.text() };
}

/** Asks a control that must succeed. */
export async function controlled(url: string, method: Method, pathname: string, body?: unknown) {
  const { status, text } = await control(url, method, pathname, body);
  if (status !== 200) throw new Error(`${pathname} answered ${status}: ${text}`);
  return JSON.parse(text) as unknown;
}

export async function placeOrder(url: string, order: object) {
  const body = { durations: untilTold, ...order };
  return shapes.bookedOrder.parse(await controlled(url, "POST", "/_sim/orders", body));
}

/** Makes a buyer's or TikTok's move on an order. */
export async function move(url: string, orderId: string, name: string) {
  return shapes.bookedOrder.parse(await controlled(url, "POST", `/_sim/orders/${orderId}/${name}`));
}

export async function startBurst(url: string, request: object): Promise<string> {
  const body = { durations: untilTold, ...request };
  return shapes.burstStarted.parse(await controlled(url, "POST", "/_sim/burst", body)).burstId;
}

export async function burstOf(url: string, burstId: string) {
  return shapes.burst.parse(await controlled(url, "GET", `/_sim/bursts/${burstId}`));
}

export async function finishedBurst(url: string, burstId: string) {
  return await until("the burst is done", async () => {
    const burst = await burstOf(url, burstId);
    return burst.done ? burst : null;
  });
}

/** SKUs of the demo shop in the order of its catalogue. */
export async function skusOf(url: string) {
  const { products } = shapes.catalogue.parse(await controlled(url, "GET", "/_sim/catalog"));
  return products.flatMap((product) => product.skus.map((sku) => ({ ...sku, productId: product.id })));
}

const sections = {
  orders: shapes.bookedOrder,
  stock: shapes.bookedStock,
  webhooks: shapes.bookedWebhook,
  calls: shapes.bookedCall,
};

/** All items of a section of the books, page by page. */
export async function ledger<Section extends keyof typeof sections>(url: string, section: Section) {
  const page = z.object({ items: z.array(sections[section]), nextCursor: z.string().nullable() });
  const items: unknown[] = [];
  for (let cursor: string | null = ""; cursor !== null; ) {
    const query = new URLSearchParams({ section, cursor, limit: "500" });
    const found = page.parse(await controlled(url, "GET", `/_sim/ledger?${query.toString()}`));
    items.push(...found.items);
    cursor = found.nextCursor;
  }
  return items as z.output<(typeof sections)[Section]>[];
}

export async function credentialsOf(url: string) {
  return shapes.credentials.parse(await controlled(url, "GET", "/_sim/credentials"));
}

type Tampering = Partial<
  Record<"sign" | "timestamp" | "app_key" | "shop_cipher" | "token", string | undefined>
>;

export interface CallOptions {
  readonly query?: Record<string, string>;
  readonly body?: unknown;
  /** Replaces or (with undefined) removes what a correct call carries. */
  readonly tampered?: Tampering;
  /** Sent instead of the body that was signed. */
  readonly sentBody?: string;
}

/** A seller's app that signs as TikTok's page says, written anew so that no mistake is shared with the simulator. */
export async function givenClient(url: string) {
  const credentials = await credentialsOf(url);
  const { appKey, appSecret, shopCipher } = credentials;

  /** Makes a call and returns its answer as it is. */
  const call = async (method: "GET" | "POST", pathname: string, options: CallOptions = {}) => {
    const text = options.body === undefined ? "" : JSON.stringify(options.body);
    const { token, ...tampered } = { token: credentials.accessToken, ...options.tampered };
    const timestamp = String(Math.floor(Date.now() / 1000));
    const wanted = { app_key: appKey, timestamp, shop_cipher: shopCipher, ...options.query, ...tampered };
    const query = Object.entries(wanted).filter((pair): pair is [string, string] => pair[1] !== undefined);
    if (!("sign" in wanted)) query.push(["sign", signed(appSecret, pathname, query, text)]);
    const response = await fetch(`${url}${pathname}?${new URLSearchParams(query).toString()}`, {
      method,
      headers: {
        "content-type": "application/json",
        ...(token === undefined ? {} : { "x-tts-access-token": token }),
      },
      ...(method === "POST" ? { body: options.sentBody ?? text } : {}),
    });
    const envelope = shapes.envelope.parse(await response.json());
    return { ...envelope, status: response.status, retryAfter: response.headers.get("retry-after") };
  };

  /** Makes a call that must succeed, and reads its data. */
  const ask = async <Data extends z.ZodType>(
    data: Data,
    method: "GET" | "POST",
    pathname: string,
    options: CallOptions = {},
  ): Promise<z.output<Data>> => {
    const answer = await call(method, pathname, options);
    if (answer.code !== 0) throw new Error(`${pathname} answered ${answer.code}: ${answer.message}`);
    return data.parse(answer.data);
  };
  return { credentials, call, ask };
}

function signed(secret: string, pathname: string, query: readonly [string, string][], body: string): string {
  const pairs = query.map(([name, value]) => name + value).sort();
  const text = secret + pathname + pairs.join("") + body + secret;
  return createHmac("sha256", secret).update(text).digest("hex");
}

export interface ReceivedWebhook {
  readonly authorization: string | undefined;
  readonly text: string;
  readonly body: z.output<typeof shapes.webhook>;
}

/** A seller's app that notes webhooks and answers as told; 0 keeps the caller waiting for ever. */
export async function givenReceiver(answer: (webhook: ReceivedWebhook) => number = () => 200) {
  const received: ReceivedWebhook[] = [];
  const server = http.createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on("data", (chunk: Buffer) => chunks.push(chunk));
    request.on("end", () => {
      const text = Buffer.concat(chunks).toString("utf8");
      const body = shapes.webhook.parse(JSON.parse(text));
      const webhook = { authorization: request.headers.authorization, text, body };
      received.push(webhook);
      const status = answer(webhook);
      if (status !== 0) response.writeHead(status).end();
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  return { received, url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/webhooks` };
}

/** What must hold for every SKU and warehouse, whatever happened; names what does not. */
export function brokenStockRules(stock: readonly z.output<typeof shapes.bookedStock>[]): string[] {
  return stock.flatMap(({ sellerSku, warehouses }) =>
    warehouses.flatMap((cell) => {
      const available =
        cell.initial -
        (cell.sold - cell.oversold) +
        (cell.cancelled - cell.cancelledOversold) +
        cell.setByApi +
        cell.setByHand;
      const committed = cell.sold - cell.cancelled - cell.deducted;
      return [
        ...(cell.available < 0 ? [`${sellerSku}: available ${cell.available} is below 0`] : []),
        ...(cell.available !== available
          ? [`${sellerSku}: available ${cell.available}, not ${available}`]
          : []),
        ...(cell.committed !== committed
          ? [`${sellerSku}: committed ${cell.committed}, not ${committed}`]
          : []),
      ];
    }),
  );
}
