import { readFile } from "node:fs/promises";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { asId } from "../../src/domain/ids.ts";
import type { IssuedTokens, RefreshOutcome, ShopCredentials } from "../../src/domain/shop/credentials.ts";
import type { ShopKey } from "../../src/integrations/ports/sales-channel.ts";
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
export async function startWire(answer: (request: WireRequest, response: ServerResponse) => void) {
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
