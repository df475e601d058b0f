import { sql } from "kysely";
import type { Database } from "../connection.ts";
import type { TenantTransaction } from "../tenant.ts";

/** Asks the database for nothing, to see whether it answers. */
export async function pingDatabase(db: Database): Promise<void> {
  await sql`select 1`.execute(db);
}

export interface InventoryFacts {
  readonly waitingDeliveries: number;
  /** Seconds that the longest waiting delivery is overdue; 0 when none is. */
  readonly overdueSeconds: number;
  readonly syncedSkus: number;
  readonly pendingJobs: number;
  readonly lastSyncAt: string | null;
}

/** What the tenant's health is told by. */
export async function getInventoryFacts(transaction: TenantTransaction): Promise<InventoryFacts> {
  const { rows } = await sql<InventoryFacts>`
    select
      (select count(*) from webhook_deliveries where state = 'waiting') as "waitingDeliveries",
      (select coalesce(extract(epoch from now() - min(next_attempt_at)), 0)::double precision
       from webhook_deliveries where state = 'waiting' and next_attempt_at < now()) as "overdueSeconds",
      (select count(*) from skus where sync_status = 'synced') as "syncedSkus",
      (select count(*) from outbox where done_at is null) as "pendingJobs",
      (select max(last_synced_at) from skus) as "lastSyncAt"
  `.execute(transaction);
  const [facts] = rows;
  if (facts === undefined) throw new Error("The database answered a count with nothing.");
  return facts;
}
