import { describe, expect, it } from "vitest";
import { createLogger } from "../../src/logger.ts";

function logged(what: object): Record<string, unknown> {
  const lines: string[] = [];
  const logger = createLogger({ level: "info", service: "test" }, { write: (line) => void lines.push(line) });
  logger.info(what, "said");
  return JSON.parse(lines.join("")) as Record<string, unknown>;
}

describe("the logger", () => {
  it.each([
    "authorization",
    "cookie",
    "set-cookie",
    "x-tts-access-token",
    "password",
    "app_secret",
    "accessToken",
    "refresh_token",
    "recipient_address",
    "buyerName",
    "phone_number",
    "email",
  ])("never writes the value of %s, however deep it lies", (key) => {
    const value = "must-not-be-read";
    for (const what of [
      { [key]: value },
      { request: { [key]: value } },
      { request: { headers: { [key]: value } } },
      { orders: [{ [key]: value }] },
      { a: { b: { c: { d: { e: [{ [key]: value }] } } } } },
    ]) {
      const line = logged(what);
      expect(JSON.stringify(line), JSON.stringify(what)).not.toContain(value);
      expect(JSON.stringify(line)).toContain("[redacted]");
    }
  });

  it("keeps ids, so that an order can be followed through the log", () => {
    expect(logged({ orderId: "o1", shopId: "s1" })).toMatchObject({
      service: "test",
      orderId: "o1",
      shopId: "s1",
      msg: "said",
    });
  });

  it("hides what a child logger is bound to and what an error carries along", () => {
    const lines: string[] = [];
    const logger = createLogger(
      { level: "info", service: "test" },
      { write: (line) => void lines.push(line) },
    );
    logger.child({ email: "must-not-be-read" }).info("said");
    logger.error(Object.assign(new Error("refused"), { request: { password: "must-not-be-read" } }));
    expect(lines.join("")).not.toContain("must-not-be-read");
    expect(lines.join("").match(/\[redacted\]/g)).toHaveLength(2);
  });

  it("writes level, time, service and operation under the names that the product documents give them", () => {
    expect(logged({ operation: "sync", duration: 12 })).toMatchObject({
      level: "INFO",
      timestamp: expect.stringMatching(/^\d{4}-\d\d-\d\dT[\d:.]+Z$/) as string,
      service: "test",
      operation: "sync",
      duration: 12,
    });
  });

  it("writes the stack of an error", () => {
    const { err } = logged({ err: new Error("broken") });
    expect(err).toMatchObject({
      type: "Error",
      message: "broken",
      stack: expect.stringContaining("logger.test.ts") as string,
    });
  });
});
