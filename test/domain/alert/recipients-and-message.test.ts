import { describe, expect, test } from "vitest";
import { alertKinds } from "../../../src/domain/alert/alert.ts";
import { messageOf } from "../../../src/domain/alert/message.ts";
import { type Manager, noticesFor, preferenceDefault } from "../../../src/domain/alert/recipients.ts";
import { asId } from "../../../src/domain/ids.ts";

const person = (name: string, changes: Partial<Manager> = {}): Manager => ({
  userId: asId<"User">(name),
  role: "creator",
  preference: { in_app: true, email: true, sms: true },
  hasPhone: true,
  ...changes,
});
const anna = person("anna");
const admin = person("admin", { role: "admin" });
const inWords = (notices: ReturnType<typeof noticesFor>) =>
  notices.map(({ userId, medium }) => `${userId ?? "engineering"} ${medium}`);

describe("who is told", () => {
  test.each([
    [
      "of low stock: the creator, never by text message",
      "low_stock",
      0,
      [anna, admin],
      true,
      ["anna in_app", "anna email"],
    ],
    [
      "of no stock: the creator, by text message too",
      "out_of_stock",
      0,
      [anna, admin],
      true,
      ["anna in_app", "anna email", "anna sms"],
    ],
    ["in a plan without text messages", "out_of_stock", 0, [anna], false, ["anna in_app", "anna email"]],
    [
      "without a phone",
      "out_of_stock",
      0,
      [person("anna", { hasPhone: false })],
      true,
      ["anna in_app", "anna email"],
    ],
    [
      "when nobody answers: the admins as well",
      "low_stock",
      1,
      [anna, admin],
      true,
      ["anna in_app", "anna email", "admin in_app", "admin email"],
    ],
    [
      "where there is no creator: the admins at once",
      "low_stock",
      0,
      [admin],
      true,
      ["admin in_app", "admin email"],
    ],
    [
      "of a failed sync: engineering too",
      "sync_failed",
      0,
      [anna],
      false,
      ["anna in_app", "anna email", "engineering email"],
    ],
    [
      "of a corrupt number: engineering alone",
      "stock_corrupt",
      0,
      [anna, admin],
      true,
      ["engineering email"],
    ],
    [
      "who wants only mail",
      "out_of_stock",
      0,
      [person("anna", { preference: { in_app: false, email: true, sms: false } })],
      true,
      ["anna email"],
    ],
    [
      "when nobody wants to hear of it: all of them in the app",
      "low_stock",
      0,
      [person("anna", { preference: { in_app: false, email: false, sms: true } }), admin],
      true,
      ["anna in_app", "admin in_app"],
    ],
    ["where there is nobody", "low_stock", 0, [], true, []],
  ] as const)("%s", (_what, kind, rung, managers, smsAllowed, told) => {
    expect(inWords(noticesFor(kind, rung, managers, smsAllowed))).toEqual(told);
  });

  test("nobody is told the same twice on one rung", () => {
    for (const kind of alertKinds) {
      for (const rung of [0, 1, 2]) {
        const told = inWords(noticesFor(kind, rung, [anna, admin], true));
        expect(new Set(told).size).toBe(told.length);
      }
    }
  });

  test("who has said nothing hears of everything, by text message of what is critical", () => {
    expect(preferenceDefault("low_stock")).toEqual({ in_app: true, email: true, sms: false });
    expect(preferenceDefault("shortage")).toEqual({ in_app: true, email: true, sms: true });
  });
});

const sku = { name: "Blue shirt", code: "SHIRT-1" };
const message = (kind: (typeof alertKinds)[number], changes: Partial<Parameters<typeof messageOf>[0]> = {}) =>
  messageOf({ alertId: "a1", kind, facts: {}, sku, reorder: null, rung: 0, ...changes });

describe("what is said", () => {
  test.each([
    ["low_stock", "Low stock: 9 of Blue shirt (SHIRT-1) available"],
    ["out_of_stock", "Out of stock: Blue shirt (SHIRT-1)"],
    ["sync_failed", "The channel's stock of Blue shirt (SHIRT-1) could not be set"],
    ["drift", "The channel shows another stock of Blue shirt (SHIRT-1) than ours"],
    ["shortage", "Paid orders wait for units of Blue shirt (SHIRT-1)"],
    ["stock_corrupt", "The stock of Blue shirt (SHIRT-1) does not agree with its ledger"],
  ] as const)("of %s", (kind, subject) => {
    const said = message(kind, { facts: { available: 9, threshold: 10, reason: "The reason." } });
    expect(said.subject).toBe(subject);
    expect(said.short).toBe(`CreatorFlow: ${subject}.`);
    expect(said.paragraphs.join(" ")).toContain("The reason.");
    expect(said.paragraphs.join(" ")).toContain("a1");
  });

  test("a reminder says that it is one, and that nobody has answered", () => {
    const said = message("low_stock", { rung: 1 });
    expect(said.subject).toMatch(/^Reminder: Low stock/);
    expect(said.paragraphs).toContain("Nobody has answered this alert so far.");
  });

  test("a name that is too long or on two lines makes neither a long subject nor a second header", () => {
    const said = message("drift", {
      sku: { name: `Shirt\r\nBcc: everybody@example.com ${"x".repeat(900)}`, code: "C" },
    });
    expect(Array.from(said.subject).length).toBeLessThanOrEqual(150);
    expect(Array.from(said.short).length).toBeLessThanOrEqual(300);
    expect(said.subject + said.short).not.toMatch(/[\r\n]/);
  });
});
