import { sql } from "kysely";
import { currentTenant, type TenantTransaction } from "./tenant.ts";

/** Seconds after its time at which nobody else can be expected to release a hold. */
const overdueSeconds = 60;

/**
 * Queues the release of holds that have outlived their time.
 *
 * @returns how many there are.
 */
export async function queueExpiredHolds(transaction: TenantTransaction): Promise<number> {
  const { rows } = await sql`
    insert into outbox (tenant_id, kind, key, payload)
    select ${currentTenant}, 'begin_hold', order_ref || '/overdue/' || to_char(now(), 'YYYY-MM-DD"T"HH24:MI'),
      jsonb_build_object('skuId', sku_id, 'holdId', substr(order_ref, 6), 'expiresAt', expires_at)
    from reservations
    where tenant_id = ${currentTenant} and state = 'held' and part = 1
      and expires_at < now() - make_interval(secs => ${overdueSeconds})
    order by expires_at limit 100
    on conflict (tenant_id, kind, key) do nothing
    returning id
  `.execute(transaction);
  return rows.length;
}
