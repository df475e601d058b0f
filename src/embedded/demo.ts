import { hash } from "@node-rs/argon2";
import { z } from "zod";
import { type Database, openDatabase } from "../db/connection.ts";
import { saveCredentials } from "../db/shop-credentials.ts";
import { type TenantTransaction, withTenant } from "../db/tenant.ts";
import { upsertUser, type UserRole } from "../db/users.ts";
import { asId, type ShopId, type TenantId } from "../domain/ids.ts";

export interface DemoOptions {
  readonly databaseUrl: string;
  readonly simulatorUrl: string;
  readonly secretKey: Buffer;
  readonly password: string;
  readonly log: (line: string) => void;
}

/** The demo seller has the same id everywhere, so that seeding again finds them. */
const demoTenantId: TenantId = asId<"Tenant">("01980000-0000-7000-8000-000000000001");

/** The first is whom the command line logs in as: it may do everything that a demo shows. */
const accounts: readonly { readonly email: string; readonly name: string; readonly role: UserRole }[] = [
  { email: "admin@demo.local", name: "Ada Admin", role: "admin" },
  { email: "creator@demo.local", name: "Casey Creator", role: "creator" },
  { email: "support@demo.local", name: "Sam Support", role: "support" },
];

const credentialsSchema = z.object({
  shopId: z.string(),
  shopName: z.string(),
  region: z.string(),
  sellerOpenId: z.string(),
  shopCipher: z.string(),
  accessToken: z.string(),
  accessTokenExpireIn: z.number(),
  refreshToken: z.string(),
  refreshTokenExpireIn: z.number(),
});

const shopsSchema = z
  .array(z.object({ controls: z.string().max(100) }))
  .min(1)
  .max(10);

/**
 * Makes the demo seller: three people, and the simulator's shops with their credentials. The worker connects them then:
 * catalogue, opening stock, open orders. Seeding again only brings passwords and tokens up to date.
 *
 * @returns the e-mail addresses that can log in.
 */
export async function seedDemo(options: DemoOptions): Promise<{ readonly accounts: readonly string[] }> {
  const simulated = shopsSchema.parse(await ask(options.simulatorUrl, "/_sim/shops"));
  const shops = await Promise.all(
    simulated.map(async ({ controls }) =>
      credentialsSchema.parse(await ask(options.simulatorUrl, `${controls}/_sim/credentials`)),
    ),
  );
  const passwordHash = await hash(options.password);
  const db: Database = openDatabase({ url: options.databaseUrl, role: "cf_app", poolSize: 2 });
  try {
    await withTenant(db, demoTenantId, async (transaction) => {
      await transaction
        .insertInto("tenants")
        .values({ tenant_id: demoTenantId, name: "Demo seller" })
        .onConflict((conflict) => conflict.doNothing())
        .execute();
      for (const account of accounts)
        await upsertUser(transaction, demoTenantId, { ...account, passwordHash });
      for (const shop of shops) await connectShop(transaction, options.secretKey, shop);
    });
  } finally {
    await db.destroy();
  }
  return { accounts: accounts.map((account) => account.email) };
}

async function ask(simulatorUrl: string, route: string): Promise<unknown> {
  const response = await fetch(new URL(route, simulatorUrl), { signal: AbortSignal.timeout(10_000) });
  if (!response.ok)
    throw new Error(`The simulator at ${simulatorUrl} does not answer ${route} (${response.status}).`);
  return await response.json();
}

type Credentials = z.output<typeof credentialsSchema>;

async function connectShop(
  transaction: TenantTransaction,
  secretKey: Buffer,
  credentials: Credentials,
): Promise<void> {
  const shopId = await saveShop(transaction, credentials);
  await saveCredentials(
    transaction,
    secretKey,
    { tenantId: demoTenantId, shopId },
    {
      cipher: credentials.shopCipher,
      tokens: {
        accessToken: credentials.accessToken,
        accessTokenExpiresAt: fromSeconds(credentials.accessTokenExpireIn),
        refreshToken: credentials.refreshToken,
        refreshTokenExpiresAt: fromSeconds(credentials.refreshTokenExpireIn),
      },
    },
  );
}

async function saveShop(transaction: TenantTransaction, credentials: Credentials): Promise<ShopId> {
  const row = await transaction
    .insertInto("shops")
    .values({
      tenant_id: demoTenantId,
      channel: "tiktok-shop",
      channel_shop_id: credentials.shopId,
      seller_open_id: credentials.sellerOpenId,
      name: credentials.shopName,
      region: credentials.region,
      status: "connecting",
    })
    .onConflict((conflict) =>
      conflict.columns(["channel", "channel_shop_id"]).doUpdateSet({ name: credentials.shopName }),
    )
    .returning("id")
    .executeTakeFirstOrThrow();
  return asId<"Shop">(row.id);
}

/** TikTok Shop's `…_expire_in` are absolute Unix seconds, in spite of the name. */
function fromSeconds(seconds: number): string {
  return new Date(seconds * 1_000).toISOString();
}
