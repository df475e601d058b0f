import type { z } from "zod";
import type { CallPriority, ShopKey } from "../ports/sales-channel.ts";
import { type Breaker, passBreaker } from "./breaker.ts";
import { describeCall } from "./failure.ts";
import { charge, type RateBudget } from "./rate-budget.ts";
import { type AppCredentials, signRequest } from "./signature.ts";
import type { Tokens } from "./tokens.ts";
import { type Answer, readData, sendAndOpen } from "./transport.ts";

/** One call of the API, without what every call carries (key, time, signature, token, cipher). */
export interface Call<Schema extends z.ZodType> {
  readonly method: "GET" | "POST";
  /** Starts with a slash; ids in it are already encoded. */
  readonly path: string;
  /** Null and empty values are not sent: TikTok Shop does not say how it signs them. */
  readonly query?: Readonly<Record<string, string | null>>;
  /** Sent as JSON, and signed as the same bytes. */
  readonly body?: object;
  /** Some calls are refused when they name a shop. */
  readonly withoutCipher?: true;
  readonly priority: CallPriority;
  /** Milliseconds that an answer is waited for; ten seconds unless told. */
  readonly answerMilliseconds?: number;
  readonly answer: Schema;
}

export interface Client {
  /** Makes one call; a rejected token is refreshed and the call made once more. @throws ChannelFailure */
  call<Schema extends z.ZodType>(shop: ShopKey, call: Call<Schema>): Promise<z.output<Schema>>;
  /** Makes a call with a token that belongs to no stored shop yet. @throws ChannelFailure */
  callWithToken<Schema extends z.ZodType>(accessToken: string, call: Call<Schema>): Promise<z.output<Schema>>;
  /** Makes sure that a token is at hand and fresh. @throws ChannelFailure */
  refreshIfDue(shop: ShopKey): Promise<void>;
}

interface Door {
  readonly accessToken: string;
  readonly cipher: string;
}

const answerMillisecondsDefault = 10_000;

export function createClient(options: {
  readonly apiUrl: string;
  readonly app: AppCredentials;
  readonly tokens: Tokens;
  readonly budget: RateBudget;
  /** Without one every call is tried. */
  readonly breaker?: Breaker;
  readonly now: () => number;
}): Client {
  const { tokens, budget, breaker, now } = options;

  async function attempt(shop: ShopKey, call: Call<z.ZodType>, door: Door): Promise<Answer> {
    const what = describeCall({ ...call, shopId: shop.shopId });
    // Before the budget is charged: a call that is not made must not use it up.
    const trialUntil = breaker === undefined ? null : await passBreaker(breaker, shop, what);
    await charge(budget, shop, call.priority, what).catch(async (error: unknown) => {
      // Kept, the trial would cost the shop another pause in which nobody asks the channel whether it is back.
      if (trialUntil !== null) await breaker?.giveBack(shop, trialUntil).catch(() => undefined);
      throw error;
    });
    const began = performance.now();
    const answer = await sendSigned(options, call, door, what);
    // The caller has the answer in any case; a breaker that could not be told learns from the next call.
    await tellBreaker(breaker, shop, answer, performance.now() - began).catch(() => undefined);
    if (answer.ok) budget.accepted(shop);
    else if (answer.failure.kind === "rate_limited") {
      // The caller is told when to come back in any case; the other processes learn it from their own next call.
      await budget.limited(shop, answer.failure.retryAt ?? now()).catch(() => undefined);
    }
    return answer;
  }

  return {
    call: async (shop, call) => {
      const door = await tokens.current(shop);
      let answer = await attempt(shop, call, door);
      if (!answer.ok && answer.failureClass === "token_rejected") {
        answer = await attempt(shop, call, await tokens.replace(shop, door.accessToken));
      }
      if (answer.ok) return readData(call.answer, answer, describeCall({ ...call, shopId: shop.shopId }));
      if (answer.failure.kind === "unauthorised") tokens.forget(shop);
      throw answer.failure;
    },
    callWithToken: async (accessToken, call) => {
      const what = describeCall({ ...call, shopId: null });
      const answer = await sendSigned(options, call, { accessToken, cipher: "" }, what);
      if (!answer.ok) throw answer.failure;
      return readData(call.answer, answer, what);
    },
    refreshIfDue: async (shop) => {
      await tokens.current(shop);
    },
  };
}

/** Any answer shows that the channel is there, also a refusal; a broken one shows nothing. */
async function tellBreaker(
  breaker: Breaker | undefined,
  shop: ShopKey,
  answer: Answer,
  milliseconds: number,
): Promise<void> {
  if (answer.ok || (answer.failureClass !== "unavailable" && answer.failureClass !== "malformed")) {
    await breaker?.answered(shop, milliseconds);
  } else if (answer.failureClass === "unavailable") await breaker?.unanswered(shop, answer.failure.message);
}

async function sendSigned(
  options: { readonly apiUrl: string; readonly app: AppCredentials; readonly now: () => number },
  call: Call<z.ZodType>,
  door: Door,
  what: string,
): Promise<Answer> {
  const { app } = options;
  const now = options.now();
  const url = new URL(call.path, options.apiUrl);
  const body = call.body === undefined ? null : Buffer.from(JSON.stringify(call.body));
  const query = withoutEmpty({
    ...call.query,
    app_key: app.key,
    timestamp: String(Math.floor(now / 1_000)),
    shop_cipher: call.withoutCipher === true ? null : door.cipher,
  });
  const sign = signRequest(app.secret, { path: url.pathname, query, body });
  for (const [name, value] of Object.entries({ ...query, sign })) url.searchParams.set(name, value);
  return await sendAndOpen(
    {
      method: call.method,
      url,
      headers: { "content-type": "application/json", "x-tts-access-token": door.accessToken },
      body,
      timeoutMilliseconds: call.answerMilliseconds ?? answerMillisecondsDefault,
    },
    { call: what, now, secrets: [door.accessToken, door.cipher, app.secret, sign] },
  );
}

function withoutEmpty(query: Readonly<Record<string, string | null>>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(query).filter((entry): entry is [string, string] => entry[1] !== null && entry[1] !== ""),
  );
}
