import { sql } from "kysely";
import type { ShopId, TenantId } from "../domain/ids.ts";
import type { IssuedTokens, RefreshOutcome, ShopCredentials } from "../domain/shop/credentials.ts";
import type { Database } from "./connection.ts";
import { decrypt, encrypt, placeOf } from "./encryption.ts";
import { type TenantTransaction, withTenant } from "./tenant.ts";

interface Shop {
  readonly tenantId: TenantId;
  readonly shopId: ShopId;
}

/** Credentials of shops, encrypted at rest; see `CredentialStore` of the adapters for what is promised. */
export function createCredentialStore(db: Database, secretKey: Buffer) {
  return {
    load: async (shop: Shop): Promise<ShopCredentials | null> =>
      await withTenant(db, shop.tenantId, (transaction) => find(transaction, secretKey, shop)),

    /** The row stays locked while `renew` asks the channel: who waits behind it then reads what was saved. */
    withRefreshLock: async (
      shop: Shop,
      renew: (current: ShopCredentials) => Promise<RefreshOutcome>,
    ): Promise<ShopCredentials | null> =>
      await withTenant(db, shop.tenantId, async (transaction) => {
        const current = await find(transaction, secretKey, shop, "for update");
        if (current === null) return null;
        await saveOutcome(transaction, secretKey, shop, await renew(current));
        return await find(transaction, secretKey, shop);
      }),
  };
}

/** Stores what a seller's consent issued, in place of whatever the shop had. */
export async function saveCredentials(
  transaction: TenantTransaction,
  secretKey: Buffer,
  shop: Shop,
  credentials: { readonly tokens: IssuedTokens; readonly cipher: string },
): Promise<void> {
  const values = {
    ...sealTokens(secretKey, shop, credentials.tokens),
    shop_cipher: encrypt(secretKey, credentials.cipher, place(shop, "shop_cipher")),
  };
  await transaction
    .insertInto("shop_credentials")
    .values({ tenant_id: shop.tenantId, shop_id: shop.shopId, ...values })
    .onConflict((conflict) =>
      conflict.columns(["tenant_id", "shop_id"]).doUpdateSet({ ...values, ...renewedMarks }),
    )
    .execute();
}

async function find(
  transaction: TenantTransaction,
  secretKey: Buffer,
  shop: Shop,
  lock?: "for update",
): Promise<ShopCredentials | null> {
  const query = transaction
    .selectFrom("shop_credentials")
    .select([
      "access_token",
      "access_token_expires_at",
      "refresh_token",
      "refresh_token_expires_at",
      "shop_cipher",
      "refresh_refused_at",
      "refresh_refusal",
    ])
    .where("tenant_id", "=", shop.tenantId)
    .where("shop_id", "=", shop.shopId);
  const row = await (lock === undefined ? query : query.forUpdate()).executeTakeFirst();
  if (row === undefined) return null;
  return {
    accessToken: decrypt(secretKey, row.access_token, place(shop, "access_token")),
    accessTokenExpiresAt: row.access_token_expires_at,
    refreshToken: decrypt(secretKey, row.refresh_token, place(shop, "refresh_token")),
    refreshTokenExpiresAt: row.refresh_token_expires_at,
    cipher: decrypt(secretKey, row.shop_cipher, place(shop, "shop_cipher")),
    refreshRefusal:
      row.refresh_refused_at === null
        ? null
        : { at: row.refresh_refused_at, reason: row.refresh_refusal ?? "" },
  };
}

async function saveOutcome(
  transaction: TenantTransaction,
  secretKey: Buffer,
  shop: Shop,
  outcome: RefreshOutcome,
): Promise<void> {
  if (outcome.kind === "not_needed") return;
  await transaction
    .updateTable("shop_credentials")
    .set(
      outcome.kind === "renewed"
        ? { ...sealTokens(secretKey, shop, outcome.tokens), ...renewedMarks }
        : { refresh_refused_at: sql<string>`clock_timestamp()`, refresh_refusal: outcome.reason },
    )
    .where("tenant_id", "=", shop.tenantId)
    .where("shop_id", "=", shop.shopId)
    .execute();
}

const renewedMarks = {
  version: sql<number>`shop_credentials.version + 1`,
  refresh_refused_at: null,
  refresh_refusal: null,
  updated_at: sql<string>`clock_timestamp()`,
};

function sealTokens(secretKey: Buffer, shop: Shop, tokens: IssuedTokens) {
  return {
    access_token: encrypt(secretKey, tokens.accessToken, place(shop, "access_token")),
    access_token_expires_at: tokens.accessTokenExpiresAt,
    refresh_token: encrypt(secretKey, tokens.refreshToken, place(shop, "refresh_token")),
    refresh_token_expires_at: tokens.refreshTokenExpiresAt,
  };
}

function place(shop: Shop, column: string): string {
  return placeOf({ tenantId: shop.tenantId, table: "shop_credentials", column, rowId: shop.shopId });
}
