import { randomBytes } from "node:crypto";
import { describe, expect, test } from "vitest";
import { decrypt, encrypt, placeOf } from "../../src/db/encryption.ts";

const key = randomBytes(32);
const place = placeOf({ tenantId: "t", table: "shop_credentials", column: "access_token", rowId: "s" });

describe("an encrypted value", () => {
  test.each(["", "secret", "ünïcode 🧨", "x".repeat(100_000)])("opens as it was sealed (%#)", (plain) => {
    expect(decrypt(key, encrypt(key, plain, place), place)).toBe(plain);
  });

  test("looks different each time and never shows its text", () => {
    const sealed = Array.from({ length: 50 }, () => encrypt(key, "secret-token", place));
    expect(new Set(sealed.map((each) => each.toString("hex"))).size).toBe(50);
    for (const each of sealed) expect(each.includes("secret-token")).toBe(false);
  });

  test("does not open in another tenant, table, column or row", () => {
    const sealed = encrypt(key, "secret", place);
    const home = { tenantId: "t", table: "shop_credentials", column: "access_token", rowId: "s" };
    for (const change of [{ tenantId: "u" }, { table: "x" }, { column: "refresh_token" }, { rowId: "z" }]) {
      expect(() => decrypt(key, sealed, placeOf({ ...home, ...change }))).toThrow();
    }
  });

  test("does not open when any byte was changed", () => {
    const sealed = encrypt(key, "secret", place);
    for (let index = 0; index < sealed.length; index += 1) {
      const changed = Buffer.from(sealed);
      changed[index] = (changed[index] ?? 0) ^ 1;
      expect(() => decrypt(key, changed, place), `byte ${index}`).toThrow();
    }
    expect(() => decrypt(key, sealed.subarray(0, 20), place)).toThrow("too short");
  });

  test("says that another key sealed it, so that a rotation is not taken for damage", () => {
    expect(() => decrypt(randomBytes(32), encrypt(key, "secret", place), place)).toThrow(
      /encrypted with key/,
    );
  });
});
