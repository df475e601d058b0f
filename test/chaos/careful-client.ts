import { setTimeout as pause } from "node:timers/promises";
import { z } from "zod";
import type { ChaosStack } from "./stack.ts";

/**
 * A careful client of the API: each request has an idempotency key and is sent again, the same, until its answer is definite.
 * What it was told is kept, to be compared with what is true.
 */
export interface CarefulRequest {
  readonly key: string;
  readonly route: string;
  /** Text is sent as a CSV file. */
  readonly body: object | string;
  /** Null while no definite answer has come. */
  outcome: "done" | "refused" | null;
  attempts: number;
}

export interface Adjustment extends CarefulRequest {
  readonly quantity: number;
}

export interface CarefulClient {
  readonly adjustments: readonly Adjustment[];
  readonly cancellations: readonly CarefulRequest[];
  /** All other writes. */
  readonly others: readonly CarefulRequest[];
  /** Begins and returns; it goes on until it is answered or the client gives up. */
  adjust(skuId: string, quantity: number): void;
  cancel(orderId: string): void;
  /** Any other write. */
  ask(route: string, body: object | string, as: Person): void;
  /** Waits for every answer, at most so long. */
  untilAnswered(seconds: number): Promise<void>;
  giveUp(): void;
}

const answerMilliseconds = 12_000;
const againMilliseconds = 400;
const sessionSchema = z.object({ access_token: z.string() });
const problemSchema = z.object({ type: z.string() });
/** One person may ask 100 times a minute. */
const people = ["admin@demo.local", "creator@demo.local"] as const;
type Person = (typeof people)[number];

export function createCarefulClient(
  { apiUrl, password }: Pick<ChaosStack, "apiUrl" | "password">,
  name: string,
): CarefulClient {
  const adjustments: Adjustment[] = [];
  const cancellations: CarefulRequest[] = [];
  const others: CarefulRequest[] = [];
  const underWay = new Set<Promise<void>>();
  const tokens = new Map<string, string>();
  let made = 0;
  let hasGivenUp = false;

  async function post(
    route: string,
    headers: Record<string, string>,
    body: object | string,
  ): Promise<Response> {
    const isFile = typeof body === "string";
    return await fetch(`${apiUrl}${route}`, {
      method: "POST",
      headers: { "content-type": isFile ? "text/csv" : "application/json", ...headers },
      body: isFile ? body : JSON.stringify(body),
      signal: AbortSignal.timeout(answerMilliseconds),
    });
  }

  async function tokenOf(email: string): Promise<string> {
    const known = tokens.get(email);
    if (known !== undefined) return known;
    const response = await post("/api/auth/login", {}, { email, password });
    if (!response.ok) throw new Error(`The log-in answered ${response.status}`);
    const token = sessionSchema.parse(await response.json()).access_token;
    tokens.set(email, token);
    return token;
  }

  /** Null: nobody can tell yet. */
  async function attempt(request: CarefulRequest, email: string): Promise<CarefulRequest["outcome"]> {
    const token = await tokenOf(email);
    const response = await post(
      request.route,
      { authorization: `Bearer ${token}`, "idempotency-key": request.key },
      request.body,
    );
    const answer: unknown = await response.json();
    if (response.ok) return "done";
    if (response.status === 401) tokens.delete(email);
    return problemSchema.parse(answer).type.endsWith(":refused") ? "refused" : null;
  }

  async function drive(request: CarefulRequest, email: string): Promise<void> {
    while (!hasGivenUp) {
      request.attempts += 1;
      request.outcome = await attempt(request, email).catch(() => null);
      if (request.outcome !== null) return;
      await pause(againMilliseconds * Math.min(5, request.attempts));
    }
  }

  function begin<Request extends CarefulRequest>(
    request: Request,
    as: Person = people[made % people.length] ?? people[0],
  ): Request {
    const driving: Promise<void> = drive(request, as).finally(() => underWay.delete(driving));
    underWay.add(driving);
    return request;
  }

  function newRequest(route: string, body: object | string): CarefulRequest {
    made += 1;
    return { key: `${name}-${made}`, route, body, outcome: null, attempts: 0 };
  }

  return {
    adjustments,
    cancellations,
    others,
    adjust(skuId, quantity) {
      const body = { quantity, reason: "counted anew" };
      const request = newRequest(`/api/inventory/products/${skuId}/adjust`, body);
      adjustments.push(begin(Object.assign(request, { quantity })));
    },
    cancel(orderId) {
      const request = newRequest(`/api/orders/${orderId}/cancel`, { reason: "out of stock" });
      cancellations.push(begin(request));
    },
    ask(route, body, as) {
      others.push(begin(newRequest(route, body), as));
    },
    async untilAnswered(seconds) {
      const all = Promise.all(underWay);
      await Promise.race([all, pause(seconds * 1_000, undefined, { ref: false })]);
    },
    giveUp() {
      hasGivenUp = true;
    },
  };
}

/**
 * Compares what a client was told of its adjustments with the ledger.
 *
 * @returns a line for each that was applied more or less often than its answer says.
 */
export async function findWronglyApplied(
  stack: Pick<ChaosStack, "sql">,
  adjustments: readonly Adjustment[],
): Promise<readonly string[]> {
  const rows = await stack.sql<{ key: string; times: number; quantity: number }>(
    `select split_part(reference_id, ':', 2) as key, count(*)::integer as times, sum(on_hand_effect)::integer as quantity
     from inventory_transactions where reference_type = 'adjustment' group by key`,
  );
  const inLedger = new Map(rows.map((row) => [row.key, row]));
  return adjustments.flatMap(({ key, quantity, outcome }) => {
    const found = inLedger.get(key) ?? { times: 0, quantity: 0 };
    const isRight = {
      done: found.times === 1 && found.quantity === quantity,
      refused: found.times === 0,
      unclear: found.times <= 1,
    }[outcome ?? "unclear"];
    return isRight
      ? []
      : [`${key} (${outcome ?? "never answered"}, ${quantity}): ${found.times} times, ${found.quantity}`];
  });
}
