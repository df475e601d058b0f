import { expect, test } from "vitest";
import { signCall, signWebhook } from "../../src/simulator/signature.ts";

const text = (value: string) => new TextEncoder().encode(value);
const shops = {
  path: "/authorization/202309/shops",
  query: new Map([
    ["timestamp", "1623812664"],
    ["app_key", "29a39d"],
  ]),
  body: text(""),
  contentType: "application/json",
};

test("a call is signed as on TikTok's own page", () => {
  expect(signCall("e59af819cc", shops)).toBe(
    "b596b73e0cc6de07ac26f036364178ab16b0a907af13d43f0a0cd2345f582dc8",
  );
});

test("neither sign nor access_token are part of what is signed", () => {
  const query = new Map([...shops.query, ["sign", "abc"], ["access_token", "def"]]);
  expect(signCall("e59af819cc", { ...shops, query })).toBe(signCall("e59af819cc", shops));
});

test("the body is signed byte by byte, except in multipart requests", () => {
  const signOf = (body: string, contentType = "application/json") =>
    signCall("secret", { ...shops, body: text(body), contentType });
  expect(signOf('{"a":1}')).not.toBe(signOf('{"a": 1}'));
  expect(signOf("file", "multipart/form-data; boundary=x")).toBe(signOf("", "application/json"));
});

test("a webhook is signed as in TikTok's published sample", () => {
  const body =
    '{"type":1,"tts_notification_id":"7380066284010030890","shop_id":"7495540735365777507","timestamp":1718305585,"data":{"is_on_hold_order":true,"order_id":"576653688135258178","order_status":"UNPAID","update_time":1718305585}}';
  expect(signWebhook("abcdef", "123", body)).toBe(
    "5dec0f11ec2f6783b8deee53c9ffbf8d024302f7c7e7fa55a35d17629031ac05",
  );
});
