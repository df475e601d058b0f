import type { ServerResponse } from "node:http";
import { beforeEach, describe, expect, it } from "vitest";
import {
  app,
  CredentialsInMemory,
  envelope,
  failureOf,
  firstTokens,
  isTokenCall,
  reply,
  setUpWire,
  shop,
  type WireRequest,
  wireSample,
} from "./support.ts";

const bed = setUpWire();

describe("a rejected token", () => {
  /** The second access token is the one in the recorded answer. */
  async function rejectFirst(
    onRefresh: (request: WireRequest, response: ServerResponse) => void = () => undefined,
  ): Promise<void> {
    const issued = await wireSample("token-refresh");
    bed.answering = (request, response) => {
      if (isTokenCall(request)) {
        onRefresh(request, response);
        if (!response.writableEnded) reply(200, issued)(request, response);
      } else if (request.headers["x-tts-access-token"] === "GCP_second-access")
        reply(200, envelope(0, { warehouses: [] }))(request, response);
      else reply(401, envelope(105002))(request, response);
    };
  }

  it("is refreshed once and the call made again", async () => {
    await rejectFirst();
    expect(await bed.channel.listWarehouses(shop)).toEqual([]);
    expect(bed.requests.map((request) => request.url.pathname)).toEqual([
      "/logistics/202309/warehouses",
      "/api/v2/token/refresh",
      "/logistics/202309/warehouses",
    ]);
    expect(Object.fromEntries(bed.requests[1]?.url.searchParams ?? [])).toEqual({
      app_key: app.key,
      app_secret: app.secret,
      refresh_token: "first-refresh",
      grant_type: "refresh_token",
    });
    expect(bed.credentials.credentials).toMatchObject({
      accessToken: "GCP_second-access",
      accessTokenExpiresAt: "2100-01-01T00:00:00.000Z",
      refreshToken: "GCP_second-refresh",
    });
  });

  it("is refreshed once for 20 calls at the same time, also when two processes make them", async () => {
    await rejectFirst();
    const other = bed.connect();
    const calls = Array.from({ length: 20 }, (_, index) =>
      (index % 2 === 0 ? bed.channel : other).listWarehouses(shop),
    );
    expect(await Promise.all(calls)).toHaveLength(20);
    expect(bed.requests.filter(isTokenCall)).toHaveLength(1);
  });

  it("that cannot be refreshed is unauthorised, and TikTok Shop is not asked again at every call", async () => {
    await rejectFirst(reply(200, envelope(36004001, {}, "refresh token expired")));
    for (let call = 0; call < 3; call += 1) {
      const failure = await failureOf(bed.channel.listWarehouses(shop));
      expect(failure.kind).toBe("unauthorised");
      expect(failure.message).toContain("36004001");
      expect(failure.message).not.toContain("first-refresh");
    }
    expect(bed.requests.filter(isTokenCall)).toHaveLength(1);
    expect(bed.credentials.credentials?.refreshRefusal?.reason).toContain("36004001");
  });

  it("whose refresh fails for the world's reasons can be tried again", async () => {
    let outages = 1;
    await rejectFirst((request, response) => {
      outages -= 1;
      if (outages >= 0) reply(503, "")(request, response);
    });
    expect((await failureOf(bed.channel.listWarehouses(shop))).kind).toBe("unavailable");
    expect(await bed.channel.listWarehouses(shop)).toEqual([]);
  });

  it("that stays rejected after a refresh is unauthorised, not a loop", async () => {
    const issued = await wireSample("token-refresh");
    bed.answering = (request, response) =>
      isTokenCall(request)
        ? reply(200, issued)(request, response)
        : reply(401, envelope(105002))(request, response);
    expect((await failureOf(bed.channel.listWarehouses(shop))).kind).toBe("unauthorised");
    expect(bed.requests).toHaveLength(3);
  });

  it("is told by its words where the code stands for many mistakes", async () => {
    const issued = await wireSample("token-refresh");
    bed.answering = (request, response) => {
      if (isTokenCall(request)) reply(200, issued)(request, response);
      else if (request.headers["x-tts-access-token"] === "GCP_second-access")
        reply(200, envelope(0, { warehouses: [] }))(request, response);
      else
        reply(401, envelope(36009004, {}, "x-tts-access-token in the header is invalid"))(request, response);
    };
    expect(await bed.channel.listWarehouses(shop)).toEqual([]);
  });
});

describe("a token near its end", () => {
  const end = Date.parse("2026-11-21T11:00:00Z");
  const hours = (count: number): number => count * 3_600_000;

  beforeEach(() => {
    bed.credentials = new CredentialsInMemory(
      { ...firstTokens, accessTokenExpiresAt: new Date(end).toISOString() },
      "cipher",
    );
  });

  it("is left alone until a day before it, then refreshed before the call", async () => {
    const issued = await wireSample("token-refresh");
    bed.answering = (request, response) =>
      reply(200, isTokenCall(request) ? issued : envelope(0, { warehouses: [] }))(request, response);
    await bed.connect({ now: () => end - hours(25) }).listWarehouses(shop);
    expect(bed.requests.filter(isTokenCall)).toHaveLength(0);
    await bed.connect({ now: () => end - hours(23) }).listWarehouses(shop);
    expect(bed.requests.filter(isTokenCall)).toHaveLength(1);
    expect(bed.requests.at(-1)?.headers["x-tts-access-token"]).toBe("GCP_second-access");
  });

  it.each([
    ["refuses", 200, envelope(36004005)],
    ["is down", 500, ""],
  ])(
    "stays in use while it lives when the token endpoint %s, which is not asked at every call",
    async (_what, status, body) => {
      bed.answering = (request, response) =>
        (isTokenCall(request) ? reply(status, body) : reply(200, envelope(0, { warehouses: [] })))(
          request,
          response,
        );
      const near = bed.connect({ now: () => end - hours(2) });
      for (let call = 0; call < 5; call += 1) expect(await near.listWarehouses(shop)).toEqual([]);
      expect(bed.requests.filter(isTokenCall)).toHaveLength(1);
    },
  );

  it("is not used past its end when no other can be had", async () => {
    bed.answering = (request, response) =>
      reply(200, envelope(isTokenCall(request) ? 36004001 : 0))(request, response);
    expect((await failureOf(bed.connect({ now: () => end + 1 }).listWarehouses(shop))).kind).toBe(
      "unauthorised",
    );
    expect(bed.requests.filter((request) => !isTokenCall(request))).toHaveLength(0);
  });
});
