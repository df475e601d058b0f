import { createHmac, randomBytes, randomUUID } from "node:crypto";
import { Client, Connection } from "@temporalio/client";
import type { FastifyInstance } from "fastify";
import pg from "pg";
import { pino } from "pino";
import { buildApp } from "../../src/api/app.ts";
import { hashPassword } from "../../src/api/auth/passwords.ts";
import type { ApiDependencies } from "../../src/api/dependencies.ts";
import { openDatabase } from "../../src/db/connection.ts";
import { withTenant } from "../../src/db/tenant.ts";
import { upsertUser, type UserRole } from "../../src/db/users.ts";
import { asId, type ShopId, type SkuId, type TenantId, type UserId } from "../../src/domain/ids.ts";
import { takeInListing } from "../../src/db/catalogue.ts";
import { createTestDatabase, type TestDatabase } from "../support/database.ts";

export const tiktokApp = { key: "abcdef", secret: "123", previousSecret: "old secret" };
export const password = "correct horse battery staple";

/** Stored form of `password`, made once: argon2 is slow on purpose. */
let passwordHash: Promise<string> | undefined;

export interface Seller {
  readonly tenantId: TenantId;
  readonly shopId: ShopId;
  readonly channelShopId: string;
  readonly sellerOpenId: string;
  readonly locationId: string;
  readonly users: Readonly<Record<UserRole, { readonly id: UserId; readonly email: string }>>;
}

export type ApiBed = Awaited<ReturnType<typeof startApiBed>>;

/**
 * The API on a database of its own. Who needs to know the database to say what is other closes that; without a Temporal client of the test's it has one that reaches nothing.
 */
export async function startApiBed(
  overrides:
    | Partial<ApiDependencies>
    | ((database: TestDatabase) => Partial<ApiDependencies> | Promise<Partial<ApiDependencies>>) = {},
) {
  const database = await createTestDatabase();
  const db = openDatabase({ url: database.url, role: "cf_app", poolSize: 8 });
  const ingestDb = openDatabase({ url: database.url, role: "cf_ingest", poolSize: 4 });
  const dispatcherDb = openDatabase({ url: database.url, role: "cf_dispatcher", poolSize: 2 });
  const superuser = new pg.Pool({ connectionString: database.superuserUrl, max: 2 });
  superuser.on("error", () => undefined);
  const nowhere = Connection.lazy({ address: "127.0.0.1:1", connectTimeout: 300 });
  const secretKey = randomBytes(32);
  const dependencies: ApiDependencies = {
    db,
    ingestDb,
    temporal: new Client({ connection: nowhere }),
    queuePrefix: "",
    tiktokApp,
    secretKey,
    logger: pino({ level: "silent" }),
    publicUrl: "http://creatorflow.test",
    temporalUiUrl: "http://127.0.0.1:8233",
    findPendingMigrations: () => Promise.resolve([]),
    rateLimits: { globalPerMinute: 1e6, userPerMinute: 1e6, addressPerMinute: 1e6 },
    ...(typeof overrides === "function" ? await overrides(database) : overrides),
  };
  const app = await buildApp(dependencies);
  await app.ready();
  return {
    app,
    db,
    ingestDb,
    dispatcherDb,
    superuser,
    secretKey,
    dependencies,
    database,
    addSeller: () => addSeller(dependencies),
    addSku: (seller: Seller, sku: NewSku = {}) => addSku(dependencies, seller, sku),
    fingerprint: () => fingerprint(superuser),
    signIn: (seller: Seller, role: UserRole = "admin") => signIn(app, seller, role),
    close: async () => {
      await app.close();
      await nowhere.close();
      await Promise.all([db.destroy(), ingestDb.destroy(), dispatcherDb.destroy(), superuser.end()]);
      await database.drop();
    },
  };
}

/** A tenant with a shop, a location and one user a role. */
async function addSeller({ db }: Pick<ApiDependencies, "db">): Promise<Seller> {
  passwordHash ??= hashPassword(password);
  const hash = await passwordHash;
  const tenantId = asId<"Tenant">(randomUUID());
  const channelShopId = String(7_000_000_000_000_000_000n + BigInt(`0x${randomBytes(6).toString("hex")}`));
  const sellerOpenId = `seller-${randomUUID()}`;
  return await withTenant(db, tenantId, async (transaction) => {
    await transaction.insertInto("tenants").values({ tenant_id: tenantId, name: "Test seller" }).execute();
    const shop = await transaction
      .insertInto("shops")
      .values({
        tenant_id: tenantId,
        channel: "tiktok-shop",
        channel_shop_id: channelShopId,
        seller_open_id: sellerOpenId,
        name: "Test shop",
        region: "GB",
      })
      .returning("id")
      .executeTakeFirstOrThrow();
    const location = await transaction
      .insertInto("locations")
      .values({ tenant_id: tenantId, name: "Main warehouse", is_default: true })
      .returning("id")
      .executeTakeFirstOrThrow();
    const users = {} as Record<UserRole, { id: UserId; email: string }>;
    for (const role of ["creator", "admin", "support", "system", "operator"] as const) {
      const email = `${role}-${randomUUID()}@example.test`;
      const id = await upsertUser(transaction, tenantId, { email, name: role, role, passwordHash: hash });
      users[role] = { id, email };
    }
    return {
      tenantId,
      shopId: asId<"Shop">(shop.id),
      channelShopId,
      sellerOpenId,
      locationId: location.id,
      users,
    };
  });
}

export interface NewSku {
  readonly code?: string;
  readonly name?: string;
  readonly quantity?: number;
}

async function addSku({ db }: Pick<ApiDependencies, "db">, seller: Seller, sku: NewSku): Promise<SkuId> {
  const code = sku.code ?? `SKU-${randomUUID().slice(0, 8)}`;
  const { skuId } = await withTenant(db, seller.tenantId, (transaction) =>
    takeInListing(transaction, seller.tenantId, seller.shopId, {
      channelProductId: `product of ${code}`,
      channelSkuId: `channel ${code}`,
      productTitle: `Product of ${code}`,
      code,
      name: sku.name ?? `Name of ${code}`,
      warehouseIds: ["warehouse-1"],
      opening: [{ locationId: asId<"Location">(seller.locationId), quantity: sku.quantity ?? 10 }],
    }),
  );
  return skuId;
}

/** What every table holds, besides the record of who signed in or was refused. */
async function fingerprint(superuser: pg.Pool): Promise<ReadonlyMap<string, string>> {
  const { rows } = await superuser.query<{ name: string }>(
    `select relname as name from pg_class where relnamespace = 'public'::regnamespace and relkind in ('r', 'p')
       and not relispartition and relname not in ('inventory_audit_log', 'webhook_rejections') order by relname`,
  );
  const prints = new Map<string, string>();
  for (const { name } of rows) {
    const { rows: printed } = await superuser.query<{ print: string }>(
      `select count(*) || ' ' || coalesce(md5(string_agg(line::text, '' order by line::text)), '') as print from ${name} as line`,
    );
    prints.set(name, printed[0]?.print ?? "");
  }
  if (prints.size < 20) throw new Error(`Only ${prints.size} tables were looked at`);
  return prints;
}

/** Headers of a signed-in user. */
async function signIn(
  app: FastifyInstance,
  seller: Seller,
  role: UserRole,
): Promise<{ authorization: string }> {
  const response = await app.inject({
    method: "POST",
    url: "/api/auth/login",
    payload: { email: seller.users[role].email, password },
  });
  if (response.statusCode !== 200) throw new Error(`Signing in failed: ${response.body}`);
  return { authorization: `Bearer ${response.json<{ access_token: string }>().access_token}` };
}

/** A webhook as TikTok Shop would send it. */
export function signedWebhook(body: string | Buffer, secret = tiktokApp.secret) {
  const bytes = Buffer.isBuffer(body) ? body : Buffer.from(body);
  const signature = createHmac("sha256", secret).update(tiktokApp.key).update(bytes).digest("hex");
  return {
    method: "POST" as const,
    url: "/webhooks/tiktok-shop",
    headers: { authorization: signature, "content-type": "application/json", "user-agent": "test" },
    payload: bytes,
  };
}
