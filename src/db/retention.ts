import { type RawBuilder, sql } from "kysely";
import { currentTenant, type TenantTransaction } from "./tenant.ts";

/** Rows that one transaction forgets. */
export const forgottenMaximum = 5_000;

/**
 * How long what only tells how something went is kept; the database refuses to forget it sooner. Of each listing the newest rows
 * stay, however old: they are what it shows, and what the next difference is explained by (`src/db/drifts.ts`).
 */
const retained = {
  outbox: { days: 14, settled: sql`done_at < now() - interval '14 days'` },
  webhook_deliveries: {
    days: 90,
    settled: sql`state = 'processed' and processed_at < now() - interval '90 days'`,
  },
  channel_observations: { days: 14, settled: isOlderThanTheNewest("channel_observations", 2) },
  push_intents: {
    days: 30,
    settled: sql`state <> 'open' and closed_at < now() - interval '30 days' and ${isOlderThanTheNewest("push_intents", 5)}`,
  },
} as const;

export type RetainedTable = keyof typeof retained;
export const retainedTables = Object.keys(retained) as readonly RetainedTable[];

/**
 * Forgets rows of a table that were kept for long enough, the oldest first. They are found by their ids, which begin with the
 * time of their making. Needs the role `cf_dispatcher`.
 *
 * @returns how many; at most `forgottenMaximum`.
 */
export async function forgetSettled(transaction: TenantTransaction, table: RetainedTable): Promise<number> {
  const { days, settled } = retained[table];
  const { numAffectedRows } = await sql`
    delete from ${sql.table(table)} where id = any (array(
      select id from ${sql.table(table)} as old
      where tenant_id = ${currentTenant} and id < uuidv7(make_interval(days => ${-days})) and ${settled}
      order by id limit ${forgottenMaximum}))
  `.execute(transaction);
  return Number(numAffectedRows ?? 0);
}

function isOlderThanTheNewest(
  table: "channel_observations" | "push_intents",
  count: number,
): RawBuilder<boolean> {
  return sql`exists (
    select from ${sql.table(table)} as newer
    where newer.tenant_id = old.tenant_id and newer.listing_id = old.listing_id
      and newer.warehouse_id = old.warehouse_id and newer.id > old.id
    offset ${sql.lit(count - 1)} limit 1)`;
}
