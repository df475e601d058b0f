import { readFile } from "node:fs/promises";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, beforeEach } from "vitest";
import { asId } from "../../src/domain/ids.ts";
import type { IssuedTokens, RefreshOutcome, ShopCredentials } from "../../src/domain/shop/credentials.ts";
import { ChannelFailure } from "../../src/integrations/ports/failure.ts";
import type { ShopKey } from "../../src/integrations/ports/sales-channel.ts";
import { createTiktokShop, type TiktokShop } from "../../src/integrations/tiktok-shop/adapter.ts";
import type { Breaker } from "../../src/integrations/tiktok-shop/breaker.ts";
import type { RateBudget } from "../../src/integrations/tiktok-shop/rate-budget.ts";
import type { CredentialStore } from "../../src/integrations/tiktok-shop/tokens.ts";

export const shop: ShopKey = {
  tenantId: asId("0198c0de-0000-7000-8000-000000000001"),
  shopId: asId("0198c0de-0000-7000-8000-000000000002"),
};

/** One shop's credentials with the store's promise: one refresh at a time, the next one sees the first one's tokens. */
export class CredentialsInMemory implements CredentialStore {
  credentials: ShopCredentials | null;
  #turn: Promise<unknown> = Promise.resolve();

  constructor(tokens: IssuedTokens, cipher: string) {
    this.credentials = { ...tokens, cipher, refreshRefusal: null };
  }

  async load(): Promise<ShopCredentials | null> {
    return await Promise.resolve(this.credentials);
  }

  withRefreshLock(
    _shop: ShopKey,
    renew: (current: ShopCredentials) => Promise<RefreshOutcome>,
  ): Promise<ShopCredentials | null> {
    const mine = this.#turn.then(() => this.#renewAlone(renew));
    this.#turn = mine.catch(() => undefined);
    return mine;
  }

  async #renewAlone(
    renew: (current: ShopCredentials) => Promise<RefreshOutcome>,
  ): Promise<ShopCredentials | null> {
    if (this.credentials === null) return null;
    const outcome = await renew(this.credentials);
    if (outcome.kind === "renewed") {
      this.credentials = { ...outcome.tokens, cipher: this.credentials.cipher, refreshRefusal: null };
    } else if (outcome.kind === "refused") {
      const refreshRefusal = { at: new Date().toISOString(), reason: outcome.reason };
      this.credentials = { ...this.credentials, refreshRefusal };
    }
    return this.credentials;
  }
}

/** Grants every call and remembers what it was told. */
export class BudgetInMemory implements RateBudget {
  readonly taken: number[] = [];
  acceptedCalls = 0;
  readonly limitedUntil: number[] = [];

  take(_shop: ShopKey, priority: 1 | 2 | 3 | 4): ReturnType<RateBudget["take"]> {
    this.taken.push(priority);
    return Promise.resolve({ granted: true });
  }

  accepted(): void {
    this.acceptedCalls += 1;
  }

  limited(_shop: ShopKey, retryAt: number): Promise<void> {
    this.limitedUntil.push(retryAt);
    return Promise.resolve();
  }
}

export interface WireRequest {
  readonly method: string;
  readonly url: URL;
  readonly headers: IncomingMessage["headers"];
  readonly body: Buffer;
}

/** A server that answers as a test says, and keeps what it was asked. */
async function startWire(answer: (request: WireRequest, response: ServerResponse) => void) {
  const requests: WireRequest[] = [];
  const server = createServer((incoming, response) => {
    const chunks: Buffer[] = [];
    incoming.on("data", (chunk: Buffer) => chunks.push(chunk));
    incoming.on("end", () => {
      const request = {
        method: incoming.method ?? "",
        url: new URL(incoming.url ?? "", "http://wire"),
        headers: incoming.headers,
        body: Buffer.concat(chunks),
      };
      requests.push(request);
      answer(request, response);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    requests,
    stop: async (): Promise<void> => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

/** The text of a recorded answer. */
export async function wireSample(name: string): Promise<string> {
  return await readFile(new URL(`../fixtures/tiktok-shop/${name}.json`, import.meta.url), "utf8");
}

export function envelope(code: number, data: unknown = {}, message = "said by the wire"): string {
  return JSON.stringify({ code, message, request_id: "request-7", data });
}

export const app = { key: "app-key", secret: "app-secret-never-told" };
export const firstTokens: IssuedTokens = {
  accessToken: "first-access",
  accessTokenExpiresAt: "2099-12-31T00:00:00.000Z",
  refreshToken: "first-refresh",
  refreshTokenExpiresAt: "2099-12-31T00:00:00.000Z",
};

type Answering = (request: WireRequest, response: ServerResponse) => void;

/** For every test of a file anew: a server that answers as `bed.answering` says, and a client that talks to it. */
export function setUpWire() {
  const bed = {
    answering: (() => undefined) as Answering,
    requests: [] as WireRequest[],
    url: "",
    credentials: new CredentialsInMemory(firstTokens, ""),
    budget: new BudgetInMemory(),
    warnings: [] as object[],
    channel: null as unknown as TiktokShop,
    /** One more process with the same credentials. */
    connect: (options: { apiUrl?: string; now?: () => number; breaker?: Breaker } = {}): TiktokShop =>
      createTiktokShop({
        apiUrl: options.apiUrl ?? bed.url,
        authUrl: bed.url,
        app,
        credentials: bed.credentials,
        budget: bed.budget,
        ...(options.now === undefined ? {} : { now: options.now }),
        ...(options.breaker === undefined ? {} : { breaker: options.breaker }),
        logger: { warn: (fields) => void bed.warnings.push(fields) },
      }),
  };
  let stop: () => Promise<void>;
  beforeEach(async () => {
    const wire = await startWire((request, response) => bed.answering(request, response));
    stop = wire.stop;
    Object.assign(bed, {
      url: wire.url,
      requests: wire.requests,
      warnings: [],
      budget: new BudgetInMemory(),
    });
    bed.credentials = new CredentialsInMemory(firstTokens, "cipher/+=");
    bed.channel = bed.connect();
  });
  afterEach(() => stop());
  return bed;
}

export const reply =
  (status: number, body: string, headers: Record<string, string> = {}): Answering =>
  (_request, response) => {
    response.writeHead(status, headers).end(body);
  };

export async function failureOf(work: Promise<unknown>): Promise<ChannelFailure> {
  const outcome = await work.then(
    () => null,
    (error: unknown) => error,
  );
  if (!(outcome instanceof ChannelFailure)) throw new Error(`No channel failure but ${String(outcome)}`);
  return outcome;
}

export const isTokenCall = (request: WireRequest): boolean =>
  request.url.pathname.startsWith("/api/v2/token/");
