import { describe, expect, it } from "vitest";
import { isSignedByApp, signRequest } from "../../src/integrations/tiktok-shop/signature.ts";

describe("signing a call", () => {
  it("gives the signature of TikTok's published example", () => {
    const sign = signRequest("e59af819cc", {
      path: "/authorization/202309/shops",
      query: { timestamp: "1623812664", app_key: "29a39d", sign: "old", access_token: "never signed" },
      body: null,
    });
    expect(sign).toBe("b596b73e0cc6de07ac26f036364178ab16b0a907af13d43f0a0cd2345f582dc8");
  });

  it("covers the body byte for byte, and an empty object differs from no body", () => {
    const sign = (body: string | null): string =>
      signRequest("secret", { path: "/p", query: {}, body: body === null ? null : Buffer.from(body) });
    expect(new Set([sign(null), sign("{}"), sign("{ }"), sign('{"a":1}')]).size).toBe(4);
  });

  it("sorts parameters by name and takes their values decoded", () => {
    const query = { b: "2+/=", a: "1", "a.b": "x" };
    const reversed = Object.fromEntries(Object.entries(query).reverse());
    const sign = signRequest("secret", { path: "/p", query, body: null });
    expect(signRequest("secret", { path: "/p", query: reversed, body: null })).toBe(sign);
    expect(signRequest("secret", { path: "/p", query: { ...query, b: "2%2B%2F%3D" }, body: null })).not.toBe(
      sign,
    );
  });
});

describe("verifying a webhook", () => {
  const app = { key: "abcdef", secret: "123" };
  const body = Buffer.from(
    '{"type":1,"tts_notification_id":"7380066284010030890","shop_id":"7495540735365777507","timestamp":1718305585,"data":{"is_on_hold_order":true,"order_id":"576653688135258178","order_status":"UNPAID","update_time":1718305585}}',
  );
  const signature = "5dec0f11ec2f6783b8deee53c9ffbf8d024302f7c7e7fa55a35d17629031ac05";

  it("accepts TikTok's published example", () => {
    expect(isSignedByApp(body, signature, app)).toBe(true);
  });

  it("accepts the previous secret while a rotation is under way, and only then", () => {
    const rotating = { key: "abcdef", secret: "new", previousSecret: "123" };
    expect(isSignedByApp(body, signature, rotating)).toBe(true);
    expect(isSignedByApp(body, signature, { ...rotating, previousSecret: null })).toBe(false);
  });

  it("refuses every single changed byte", () => {
    for (let index = 0; index < body.length; index += 1) {
      const changed = Buffer.from(body);
      changed[index] = (changed[index] ?? 0) ^ 1;
      expect(isSignedByApp(changed, signature, app), `byte ${index}`).toBe(false);
    }
  });

  it.each([
    undefined,
    "",
    "Bearer 5dec0f11ec2f6783b8deee53c9ffbf8d024302f7c7e7fa55a35d17629031ac05",
    signature.slice(2),
    `${signature}00`,
    "z".repeat(64),
    "0".repeat(64),
  ])("refuses the header %s without throwing", (authorization) => {
    expect(isSignedByApp(body, authorization, app)).toBe(false);
  });
});
