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
  /** Shops that the channel no longer lets us act for. */
  readonly shopsWithoutAuthorisation: number;
  /** When the last proof over the whole installation ended, and how; null before the first. */
  readonly lastProofAt: string | null;
  readonly lastProofClean: boolean | null;
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
      greatest((select max(last_synced_at) from skus), (select max(last_success_at) from sync_cursors)) as "lastSyncAt",
      (select count(*) from shops left join shop_credentials as credentials
         on credentials.tenant_id = shops.tenant_id and credentials.shop_id = shops.id
       where status = 'disconnected' or refresh_refused_at is not null) as "shopsWithoutAuthorisation",
      proof.finished_at as "lastProofAt", proof.clean as "lastProofClean"
    from (select) as once
    left join lateral (select finished_at, clean from proof_runs order by finished_at desc limit 1) as proof on true
  `.execute(transaction);
  const [facts] = rows;
  if (facts === undefined) throw new Error("The database answered a count with nothing.");
  return facts;
}
