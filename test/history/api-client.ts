import { setTimeout as pause } from "node:timers/promises";
import { z } from "zod";
import { adjustAnswer, productDetail } from "../../src/api/contract/inventory.ts";
import { holdAnswer, releaseAnswer } from "../../src/api/contract/holds.ts";
import { problemKindOf } from "../../src/api/problem.ts";
import { stockRefusals } from "../../src/api/stock-refusals.ts";
import type { Answer, Sight } from "./checker.ts";

/**
 * One person who calls an API that has several processes and may be away: each call goes to the next process that is not yet
 * tired of this person. What an answer means is decided here; whether to ask again is the caller's affair.
 */
export interface ApiClient {
  /** Where a SKU stands; `unclear` when no good answer came. */
  read(skuId: string): Promise<{ readonly sight: Sight; readonly level: Level } | "unclear">;
  write(write: Write): Promise<Written | "unclear">;
  /** GET of anything, until it is answered. */
  get<Schema extends z.ZodType>(route: string, schema: Schema): Promise<z.output<Schema>>;
}

/** What a count must name. */
export interface Level {
  readonly locationId: string;
  readonly etag: string;
}

export interface Write {
  readonly method: "POST" | "PUT";
  readonly route: string;
  readonly key: string;
  readonly body: object;
  readonly ifMatch?: string;
}

export interface Written {
  readonly answer: Answer;
  /** Of the hold that was made. */
  readonly holdId: string | null;
}

interface ApiClientOptions {
  readonly apiUrls: readonly string[];
  readonly email: string;
  readonly password: string;
  /** Which of them is asked first, so that not all begin at the same one. */
  readonly firstApi: number;
}

const answerMilliseconds = 12_000;
const againMilliseconds = 300;
const sessionSchema = z.object({ access_token: z.string() });
const problemSchema = z.object({ type: z.string(), detail: z.string() });
const writtenSchema = z.union([holdAnswer, adjustAnswer, releaseAnswer]);

export function createApiClient({ apiUrls, email, password, firstApi }: ApiClientOptions): ApiClient {
  const apis = apiUrls.map((url) => ({ url, freeAt: 0 }));
  let turn = firstApi;
  let token: string | null = null;

  /** Waits for a process that may be asked. */
  async function nextApi(): Promise<(typeof apis)[number]> {
    for (;;) {
      for (let tried = 0; tried < apis.length; tried += 1) {
        turn = (turn + 1) % apis.length;
        const api = apis[turn];
        if (api !== undefined && api.freeAt <= Date.now()) return api;
      }
      await pause(againMilliseconds);
    }
  }

  /** @throws what fetch throws; 429 is not an answer but makes that process wait for its turn. */
  async function call(route: string, init: RequestInit): Promise<Response> {
    for (;;) {
      const api = await nextApi();
      const response = await fetch(`${api.url}${route}`, {
        ...init,
        signal: AbortSignal.timeout(answerMilliseconds),
      });
      if (response.status !== 429) return response;
      await response.arrayBuffer();
      api.freeAt = Date.now() + 1_000 * Number(response.headers.get("retry-after") ?? 1);
    }
  }

  async function authorised(route: string, init: RequestInit): Promise<Response> {
    if (token === null) {
      const response = await call("/api/auth/login", {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: JSON.stringify({ email, password }),
      });
      if (!response.ok) throw new Error(`The log-in answered ${response.status}`);
      token = sessionSchema.parse(await response.json()).access_token;
    }
    const response = await call(route, {
      ...init,
      headers: { ...(init.headers as Record<string, string>), authorization: `Bearer ${token}` },
    });
    if (response.status === 401) token = null;
    return response;
  }

  return {
    async read(skuId) {
      try {
        const response = await authorised(`/api/inventory/products/${skuId}`, {});
        if (!response.ok) return "unclear";
        return sightOf(productDetail.parse(await response.json()));
      } catch (error) {
        return unclearIfAway(error);
      }
    },
    async write({ method, route, key, body, ifMatch }) {
      try {
        const response = await authorised(route, {
          method,
          headers: {
            "content-type": "application/json",
            "idempotency-key": key,
            ...(ifMatch === undefined ? {} : { "if-match": ifMatch }),
          },
          body: JSON.stringify(body),
        });
        return response.ok
          ? writtenOf(writtenSchema.parse(await response.json()))
          : refusalOf(response.status, problemSchema.parse(await response.json()));
      } catch (error) {
        return unclearIfAway(error);
      }
    },
    async get(route, schema) {
      for (;;) {
        const response = await authorised(route, {}).catch(() => null);
        if (response?.ok === true) return schema.parse(await response.json());
        await pause(againMilliseconds);
      }
    },
  };
}

/** What is not understood is a failure of the test, not of the network. */
function unclearIfAway(error: unknown): "unclear" {
  if (error instanceof z.ZodError) throw error;
  return "unclear";
}

function sightOf({
  current_stock: onHand,
  reserved_stock: reserved,
  available_stock: available,
  levels,
  history,
}: z.output<typeof productDetail>): { readonly sight: Sight; readonly level: Level } {
  const [level] = levels;
  const [newest] = history;
  if (level === undefined || newest === undefined || levels.length > 1) {
    throw new Error("These histories are of SKUs at one location that have been opened");
  }
  return {
    sight: { onHand, reserved, available, sequence: newest.sequence, version: level.version },
    level: { locationId: level.location_id, etag: level.etag },
  };
}

function writtenOf(body: z.output<typeof writtenSchema>): Written {
  if ("hold_id" in body) {
    const answer = { outcome: "done", onHand: null, available: body.available_stock } as const;
    return { answer, holdId: body.hold_id };
  }
  if ("released" in body) return { answer: { outcome: "done", onHand: null, available: null }, holdId: null };
  const { new_stock_level: onHand, available_stock: available } = body;
  return { answer: { outcome: "done", onHand, available }, holdId: null };
}

function refusalOf(status: number, { type, detail }: z.output<typeof problemSchema>): Written | "unclear" {
  const refused = (reason: Extract<Answer, { outcome: "refused" }>["reason"]): Written => ({
    answer: { outcome: "refused", reason },
    holdId: null,
  });
  switch (problemKindOf(type)) {
    case "refused":
      for (const reason of ["below_zero", "below_reserved", "not_enough", "others_wait"] as const) {
        if (detail === stockRefusals[reason]) return refused(reason);
      }
      throw new Error(`A refusal that nothing explains: ${detail}`);
    case "precondition-failed":
      return refused("version_changed");
    case "not-found":
      return refused("no_such_hold");
    case "idempotency-key-running":
    case "unauthenticated":
    case "unavailable":
    case "internal":
      return "unclear";
    default:
      throw new Error(`An answer that nothing explains: ${status} ${type} ${detail}`);
  }
}
