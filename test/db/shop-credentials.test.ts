import { randomBytes } from "node:crypto";
import pg from "pg";
import { beforeEach, describe, expect, test } from "vitest";
import type { Database } from "../../src/db/connection.ts";
import { createCredentialStore, saveCredentials } from "../../src/db/shop-credentials.ts";
import { withTenant } from "../../src/db/tenant.ts";
import type { CredentialStore } from "../../src/integrations/tiktok-shop/tokens.ts";
import { type SeededShop, seedShop } from "../support/seed.ts";
import { type UsedTestDatabase, useTestDatabase } from "../support/use-test-database.ts";

const secretKey = randomBytes(32);
const tokensNamed = (name: string) => ({
  accessToken: `${name}-access`,
  accessTokenExpiresAt: "2026-11-28T11:00:00.000Z",
  refreshToken: `${name}-refresh`,
  refreshTokenExpiresAt: "2027-11-21T11:00:00.000Z",
});

let database: UsedTestDatabase;
let db: Database;
let otherProcess: Database;
let shop: SeededShop;
let store: CredentialStore;

useTestDatabase((made) => {
  database = made;
  db = database.open();
  otherProcess = database.open();
});
beforeEach(async () => {
  shop = await seedShop(db);
  store = createCredentialStore(db, secretKey);
  await connect("first");
});

const connect = (name: string) =>
  withTenant(db, shop.tenantId, (transaction) =>
    saveCredentials(transaction, secretKey, shop, { tokens: tokensNamed(name), cipher: "cipher-text" }),
  );

describe("a shop's credentials", () => {
  test("come back as they were stored", async () => {
    expect(await store.load(shop)).toEqual({
      ...tokensNamed("first"),
      cipher: "cipher-text",
      refreshRefusal: null,
    });
  });

  test("are missing for a shop that has none, also for a refresh", async () => {
    const bare = await seedShop(db);
    expect(await store.load(bare)).toBeNull();
    const refreshed = await store.withRefreshLock(bare, () => Promise.reject(new Error("must not be asked")));
    expect(refreshed).toBeNull();
  });

  test("cannot be had through another tenant", async () => {
    const stranger = await seedShop(db);
    expect(await store.load({ tenantId: stranger.tenantId, shopId: shop.shopId })).toBeNull();
  });

  test("cannot be read in the table", async () => {
    const client = new pg.Client({ connectionString: database.superuserUrl });
    await client.connect();
    const { rows } = await client.query<Record<string, unknown>>(
      "select * from shop_credentials where shop_id = $1",
      [shop.shopId],
    );
    await client.end();
    expect(rows).toHaveLength(1);
    const bytes = Object.values(rows[0]!).filter((value) => Buffer.isBuffer(value));
    expect(bytes).toHaveLength(3);
    for (const value of bytes) expect(value.toString("latin1")).not.toMatch(/first|cipher-text/);
  });

  test("are replaced as a whole when the seller connects again, and an old refusal is forgotten", async () => {
    await store.withRefreshLock(shop, () => Promise.resolve({ kind: "refused", reason: "too late" }));
    await connect("second");
    expect(await store.load(shop)).toMatchObject({ ...tokensNamed("second"), refreshRefusal: null });
  });

  test("keep their tokens after a refused refresh, and say when and why it was refused", async () => {
    const kept = await store.withRefreshLock(shop, () =>
      Promise.resolve({ kind: "refused", reason: "36004001" }),
    );
    expect(kept).toMatchObject({ ...tokensNamed("first"), refreshRefusal: { reason: "36004001" } });
    expect(Math.abs(Date.now() - Date.parse(kept!.refreshRefusal!.at))).toBeLessThan(60_000);
    expect(await store.load(shop)).toEqual(kept);
  });

  test("stay as they were when a refresh throws", async () => {
    const refresh = store.withRefreshLock(shop, () => Promise.reject(new Error("the channel is down")));
    await expect(refresh).rejects.toThrow("the channel is down");
    expect(await store.load(shop)).toMatchObject({ ...tokensNamed("first"), refreshRefusal: null });
  });

  test("are refreshed by one process at a time, and the next one finds the new tokens", async () => {
    const stores = [store, createCredentialStore(otherProcess, secretKey)];
    let underWay = 0;
    const seen: string[] = [];
    const results = await Promise.all(
      Array.from({ length: 10 }, (_, index) =>
        stores[index % 2]!.withRefreshLock(shop, async (current) => {
          underWay += 1;
          expect(underWay).toBe(1);
          seen.push(current.accessToken);
          // Give the others every chance to slip in: a query of another connection has to be answered first.
          await otherProcess.selectNoFrom((of) => of.val(1).as("one")).execute();
          underWay -= 1;
          return current.accessToken === "first-access"
            ? { kind: "renewed", tokens: tokensNamed("second") }
            : { kind: "not_needed" };
        }),
      ),
    );
    expect(seen).toEqual(["first-access", ...Array<string>(9).fill("second-access")]);
    expect(new Set(results.map((result) => result?.accessToken))).toEqual(new Set(["second-access"]));
    expect(await store.load(shop)).toMatchObject(tokensNamed("second"));
  });
});
