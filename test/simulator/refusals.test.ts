import { expect, test } from "vitest";
import { envelope, shops as shopsShape, tokens } from "./shapes.ts";
import { type CallOptions, controlled, givenClient, givenSimulator, ledger } from "./support.ts";

const now = () => Math.floor(Date.now() / 1000);
const search = "/order/202309/orders/search";
const shops = "/authorization/202309/shops";

const refused: [string, "GET" | "POST", string, () => CallOptions, number, number, RegExp][] = [
  ["a wrong sign", "POST", search, () => ({ tampered: { sign: "0".repeat(64) } }), 401, 106001, /sign/],
  [
    "a body other than the signed one",
    "POST",
    search,
    () => ({ body: { a: 1 }, sentBody: '{"a": 1}' }),
    401,
    106001,
    /sign/,
  ],
  ["no sign", "POST", search, () => ({ tampered: { sign: undefined } }), 400, 36009004, /sign/],
  ["a foreign app_key", "POST", search, () => ({ tampered: { app_key: "x" } }), 400, 36009004, /app_key/],
  [
    "a clock 6 minutes behind",
    "POST",
    search,
    () => ({ tampered: { timestamp: `${now() - 360}` } }),
    400,
    36009004,
    /timestamp/,
  ],
  [
    "a clock 40 seconds ahead",
    "POST",
    search,
    () => ({ tampered: { timestamp: `${now() + 40}` } }),
    400,
    36009004,
    /timestamp/,
  ],
  [
    "a timestamp in milliseconds",
    "POST",
    search,
    () => ({ tampered: { timestamp: `${Date.now()}` } }),
    400,
    36009004,
    /timestamp/,
  ],
  [
    "no cipher where one is needed",
    "POST",
    search,
    () => ({ tampered: { shop_cipher: undefined } }),
    400,
    106013,
    /shop_cipher/,
  ],
  ["a cipher where none is taken", "GET", shops, () => ({}), 400, 36009004, /shop_cipher is not required/],
  [
    "another shop's cipher",
    "POST",
    search,
    () => ({ tampered: { shop_cipher: "GCP_x" } }),
    403,
    101000,
    /token/,
  ],
  [
    "no token",
    "POST",
    search,
    () => ({ tampered: { token: undefined } }),
    401,
    36009004,
    /x-tts-access-token/,
  ],
  [
    "an unknown token",
    "POST",
    search,
    () => ({ tampered: { token: "x" } }),
    401,
    36009004,
    /x-tts-access-token/,
  ],
  ["an unknown path", "GET", "/order/202309/nothing", () => ({}), 404, 36009009, /path/],
  ["a page too large", "POST", search, () => ({ query: { page_size: "101" } }), 400, 36009004, /page_size/],
  [
    "a page token that lost its plus",
    "POST",
    search,
    () => ({ query: { page_token: " /+/abc=" } }),
    400,
    36009004,
    /page_token/,
  ],
  [
    "more than 50 orders",
    "GET",
    "/order/202507/orders",
    () => ({ query: { ids: Array(51).fill("1").join(",") } }),
    400,
    36009004,
    /50/,
  ],
  [
    "a wrong type in the body",
    "POST",
    search,
    () => ({ body: { create_time_ge: "1" } }),
    400,
    36009004,
    /create_time_ge/,
  ],
  [
    "a body that is no JSON",
    "POST",
    "/product/202309/inventory/search",
    () => ({ body: "not an object" }),
    400,
    36009004,
    /body|object/,
  ],
];

test.each(refused)(
  "%s is refused as TikTok refuses it",
  async (_name, method, path, options, status, code, words) => {
    const { url } = await givenSimulator();
    const { call } = await givenClient(url);
    const answer = await call(method, path, options());
    expect(answer).toMatchObject({
      status,
      code,
      message: expect.stringMatching(words) as string,
    });
  },
);

test("a clock within the window is accepted at both ends", async () => {
  const { url } = await givenSimulator();
  const { call } = await givenClient(url);
  for (const offset of [-290, 25]) {
    const answer = await call("POST", search, { tampered: { timestamp: `${now() + offset}` } });
    expect(answer.code).toBe(0);
  }
});

/** Asks one of the token endpoints. */
async function askForTokens(url: string, action: "get" | "refresh", query: Record<string, string>) {
  const response = await fetch(`${url}/api/v2/token/${action}?${new URLSearchParams(query).toString()}`);
  return envelope.parse(await response.json());
}

test("an expired access token is refused until it is refreshed, and the old refresh token still works for a while", async () => {
  const { url } = await givenSimulator();
  const { call, credentials } = await givenClient(url);
  await controlled(url, "POST", "/_sim/tokens/expire");
  expect(await call("POST", search)).toMatchObject({ status: 401, code: 105002 });

  const refresh = (refreshToken: string, appSecret = credentials.appSecret) =>
    askForTokens(url, "refresh", {
      app_key: credentials.appKey,
      app_secret: appSecret,
      refresh_token: refreshToken,
      grant_type: "refresh_token",
    });
  const first = tokens.parse((await refresh(credentials.refreshToken)).data);
  const again = tokens.parse((await refresh(credentials.refreshToken)).data);
  expect(first.refresh_token).not.toBe(credentials.refreshToken);
  expect(first.access_token_expire_in).toBeGreaterThan(now() + 6 * 86_400);
  for (const { access_token: token } of [first, again]) {
    expect(await call("POST", search, { tampered: { token } })).toMatchObject({ code: 0 });
  }
  expect(await refresh("nonsense")).toMatchObject({ code: 36004005 });
  expect(await refresh(credentials.refreshToken, "wrong")).toMatchObject({ code: 36009004 });
});

test("an authorization code gives tokens once", async () => {
  const { url } = await givenSimulator();
  const { ask, credentials } = await givenClient(url);
  const get = () =>
    askForTokens(url, "get", {
      app_key: credentials.appKey,
      app_secret: credentials.appSecret,
      auth_code: credentials.authCode,
      grant_type: "authorized_code",
    });
  const { access_token: token } = tokens.parse((await get()).data);
  const tampered = { token, shop_cipher: undefined };
  expect(await ask(shopsShape, "GET", shops, { tampered })).toEqual({
    shops: [{ id: credentials.shopId, cipher: credentials.shopCipher, region: "GB" }],
  });
  expect(await get()).toMatchObject({ code: 36004004 });
});

test("calls above the quota are answered 429 with the time to come back, and are in the books", async () => {
  const { url } = await givenSimulator();
  const { call } = await givenClient(url);
  await controlled(url, "PUT", "/_sim/quota", { requestsPerSecond: 0.1, burst: 2 });
  const answers = [await call("POST", search), await call("POST", search), await call("POST", search)];
  expect(answers.map(({ status }) => status)).toEqual([200, 200, 429]);
  expect(answers[2]!.code).toBe(36009002);
  expect(Number(answers[2]!.retryAfter)).toBeGreaterThanOrEqual(1);
  expect(await ledger(url, "calls")).toEqual([{ endpoint: `POST ${search}`, codes: { 0: 2, 36009002: 1 } }]);
});
