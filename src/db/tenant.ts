import { sql, type Transaction } from "kysely";
import type { TenantId } from "../domain/ids.ts";
import type { Database } from "./connection.ts";
import type { DB } from "./schema.generated.ts";

/** A transaction inside one tenant. Functions that read or write a tenant's rows ask for this in their type. */
export type TenantTransaction = Transaction<DB>;

/**
 * The only door to a tenant's rows: a transaction in which row-level security lets exactly this tenant through.
 * The setting is local to the transaction, so a pooled connection cannot carry it on to somebody else.
 */
export async function withTenant<Result>(
  db: Database,
  tenantId: TenantId,
  work: (transaction: TenantTransaction) => Promise<Result>,
): Promise<Result> {
  return await db.transaction().execute(async (transaction) => {
    await enterTenant(transaction, tenantId);
    return await work(transaction);
  });
}

/** Lets a transaction that began across tenants (a claim) go on inside one. */
export async function enterTenant(transaction: Transaction<DB>, tenantId: TenantId): Promise<void> {
  await sql`select set_config('app.tenant_id', ${tenantId}, true)`.execute(transaction);
}

/** The transaction's tenant, for SQL that is written out. */
export const currentTenant = sql`current_setting('app.tenant_id')::uuid`;
