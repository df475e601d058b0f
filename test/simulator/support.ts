import { createHmac } from "node:crypto";
import fs from "node:fs/promises";
import http from "node:http";
import type { AddressInfo } from "node:net";
import os from "node:os";
import path from "node:path";
import { onTestFinished } from "vitest";
import { type Simulator, startSimulator } from "../../src/simulator/app.ts";

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

export interface Answer {
  readonly status: number;
  readonly headers: Headers;
  readonly body: any;
}

/** Calls a control. */
export async function control(
  url: string,
  method: "GET" | "POST" | "PUT",
  pathname: string,
  body?: unknown,
): Promise<Answer> {
  const response = await fetch(url + pathname, {
    method,
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  return { status: response.status, headers: response.headers, body: await response.json() };
}

/** Calls a control that must succeed. */
export async function controlled(
  url: string,
  method: "GET" | "POST" | "PUT",
  pathname: string,
  body?: unknown,
): Promise<any> {
  const answer = await control(url, method, pathname, body);
  if (answer.status !== 200)
    throw new Error(`${pathname} answered ${answer.status}: ${JSON.stringify(answer.body)}`);
  return answer.body;
}

export interface CallOptions {
  readonly query?: Record<string, string>;
  readonly body?: unknown;
  /** Replaces or (with undefined) removes what a correct call carries. */
  readonly tampered?: Partial<
    Record<"sign" | "timestamp" | "app_key" | "shop_cipher" | "token", string | undefined>
  >;
  /** Sent instead of the body that was signed. */
  readonly sentBody?: string;
}

/** A seller's app that signs as TikTok's page says, written anew so that no mistake is shared with the simulator. */
export async function givenClient(url: string) {
  const credentials = await controlled(url, "GET", "/_sim/credentials");
  const call = async (
    method: "GET" | "POST",
    pathname: string,
    options: CallOptions = {},
  ): Promise<Answer> => {
    const { tampered = {} } = options;
    const text = options.body === undefined ? "" : JSON.stringify(options.body);
    const query: Record<string, string> = {
      app_key: credentials.appKey,
      timestamp: String(Math.floor(Date.now() / 1000)),
      shop_cipher: credentials.shopCipher,
      ...options.query,
    };
    let token: string | undefined = credentials.accessToken;
    for (const [name, value] of Object.entries(tampered)) {
      if (name === "token") token = value;
      else if (value === undefined) delete query[name];
      else query[name] = value;
    }
    const pairs = Object.keys(query)
      .filter((name) => name !== "sign")
      .sort()
      .map((name) => name + query[name]);
    const { appSecret } = credentials;
    const signed = appSecret + pathname + pairs.join("") + text + appSecret;
    if (!("sign" in tampered)) query["sign"] = createHmac("sha256", appSecret).update(signed).digest("hex");
    const response = await fetch(`${url}${pathname}?${new URLSearchParams(query).toString()}`, {
      method,
      headers: {
        "content-type": "application/json",
        ...(token === undefined ? {} : { "x-tts-access-token": token }),
      },
      ...(method === "POST" ? { body: options.sentBody ?? text } : {}),
    });
    return { status: response.status, headers: response.headers, body: await response.json() };
  };
  return { credentials, call };
}

/** SKUs of the demo shop. */
export async function skusOf(url: string): Promise<any[]> {
  const { products } = await controlled(url, "GET", "/_sim/catalog");
  return products.flatMap((product: any) =>
    product.skus.map((sku: any) => ({ ...sku, productId: product.id })),
  );
}

export async function placeOrder(url: string, order: object): Promise<any> {
  return await controlled(url, "POST", "/_sim/orders", { durations: untilTold, ...order });
}

/** All items of a section of the ledger. */
export async function ledger(url: string, section: string): Promise<any[]> {
  const items: any[] = [];
  for (let cursor: string | null = ""; cursor !== null; ) {
    const query = new URLSearchParams({ section, cursor, limit: "500" });
    const page = await controlled(url, "GET", `/_sim/ledger?${query.toString()}`);
    items.push(...page.items);
    cursor = page.nextCursor;
  }
  return items;
}

export interface ReceivedWebhook {
  readonly authorization: string | undefined;
  readonly text: string;
  readonly body: any;
}

/** A seller's app that notes webhooks and answers as told; 0 keeps the caller waiting for ever. */
export async function givenReceiver(answer: (webhook: ReceivedWebhook) => number = () => 200) {
  const received: ReceivedWebhook[] = [];
  const server = http.createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on("data", (chunk: Buffer) => chunks.push(chunk));
    request.on("end", () => {
      const text = Buffer.concat(chunks).toString("utf8");
      const webhook = { authorization: request.headers.authorization, text, body: JSON.parse(text) };
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

/** What must hold for every SKU and warehouse, whatever happened. */
export function brokenStockRules(stock: readonly any[]): string[] {
  return stock.flatMap((sku) =>
    sku.warehouses.flatMap((cell: any) => {
      const available =
        cell.initial -
        (cell.sold - cell.oversold) +
        (cell.cancelled - cell.cancelledOversold) +
        cell.setByApi +
        cell.setByHand;
      const committed = cell.sold - cell.cancelled - cell.deducted;
      return [
        ...(cell.available < 0 ? [`${sku.sellerSku}: available ${cell.available} below 0`] : []),
        ...(cell.available !== available
          ? [`${sku.sellerSku}: available ${cell.available}, not ${available}`]
          : []),
        ...(cell.committed !== committed
          ? [`${sku.sellerSku}: committed ${cell.committed}, not ${committed}`]
          : []),
      ];
    }),
  );
}
