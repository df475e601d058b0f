import { type Kysely, sql } from "kysely";
import type { TenantId } from "../domain/ids.ts";
import type { Database } from "./connection.ts";
import type { DB } from "./schema.generated.ts";

/** A transaction inside one tenant. Functions that read or write a tenant's rows ask for this in their type. */
export type TenantTransaction = Kysely<DB> & { readonly __tenant: true };

/**
 * The only door to a tenant's rows: a transaction in which row-level security lets exactly this tenant through.
 * The setting is local to the transaction, so a pooled connection cannot carry it on to somebody else.
 */
export async function withTenant<Result>(
  db: Database,
  tenantId: TenantId,
  work: (transaction: TenantTransaction) => Promise<Result>,
): Promise<Result> {
  return await inTransaction(db, tenantId, "begin", work);
}

/**
 * The same for looking alone: all its statements see the rows as they were at one moment. What is told together must have
 * been true together, or a number is shown beside a version or a sum that it never had.
 */
export async function withTenantSnapshot<Result>(
  db: Database,
  tenantId: TenantId,
  work: (transaction: TenantTransaction) => Promise<Result>,
): Promise<Result> {
  return await inTransaction(db, tenantId, "begin isolation level repeatable read read only", work);
}

/**
 * The same for what may be lost with the database server: everybody sees it as soon as it is committed, on disk it is a moment
 * later, with whatever is committed next. Whoever goes on from it in another transaction need not fear to stand on nothing: what
 * is on disk has all before it on disk as well.
 */
export async function withTenantUnsynced<Result>(
  db: Database,
  tenantId: TenantId,
  work: (transaction: TenantTransaction) => Promise<Result>,
): Promise<Result> {
  return await inTransaction(db, tenantId, "begin; set local synchronous_commit to off", work);
}

async function inTransaction<Result>(
  db: Database,
  tenantId: TenantId,
  begin: string,
  work: (transaction: TenantTransaction) => Promise<Result>,
): Promise<Result> {
  if (!isUuid.test(tenantId)) throw new Error(`"${tenantId}" is no tenant's id`);
  return await db.connection().execute(async (connection) => {
    try {
      // One round trip for both: a third of what a short transaction costs besides its own statements. Inside the try, since
      // the transaction may have begun although the second half failed.
      await sql.raw(`${begin}; select set_config('app.tenant_id', '${tenantId}', true)`).execute(connection);
      const result = await work(connection as TenantTransaction);
      await sql`commit`.execute(connection);
      return result;
    } catch (error) {
      // A connection that is too broken to roll back is closed, and its transaction with it.
      await sql`rollback`.execute(connection).catch(() => undefined);
      throw error;
    }
  });
}

const isUuid = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;

/** The transaction's tenant, for SQL that is written out. */
export const currentTenant = sql`current_setting('app.tenant_id')::uuid`;
