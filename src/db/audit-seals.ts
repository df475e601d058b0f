import { sql } from "kysely";
import type { TenantId } from "../domain/ids.ts";
import { currentTenant, type TenantTransaction } from "./tenant.ts";

/** Rows sealed in one transaction. */
export const sealMaximum = 500;
/** Who writes an audit row commits within this time or is ended, so a row does not appear behind the seal. */
const unsealedSeconds = 5;

/** The newest link of a seller's audit chain: whoever keeps it elsewhere can tell if the chain was ever cut short. */
export interface AuditSeal {
  readonly sequence: number;
  /** SHA-256 over the link before and the row, hexadecimal. */
  readonly chainHash: string;
}

/**
 * Seals audit rows that are not sealed yet, the oldest first: each gets its hash, chained with the one before. Nothing that
 * is sealed can be changed, removed or exchanged without the proof finding it.
 *
 * @returns how many were sealed, and the newest link if there were any.
 */
export async function sealAuditRows(
  transaction: TenantTransaction,
  tenantId: TenantId,
): Promise<{ readonly sealed: number; readonly newest: AuditSeal | null }> {
  // One sealer at a time for each seller: a chain has one end.
  await sql`select pg_advisory_xact_lock(hashtextextended('audit seals ' || ${tenantId}::text, 0))`.execute(
    transaction,
  );
  const { rows } = await sql<{ sequence: number; chain_hash: string }>`
    with recursive newest as (
      select seal.sequence, seal.chain_hash, log.created_at
      from audit_seals as seal
      left join inventory_audit_log as log on log.tenant_id = seal.tenant_id and log.id = seal.audit_id
      where seal.tenant_id = ${currentTenant}
      order by seal.sequence desc limit 1
    ), unsealed as materialized (
      select row_number() over (order by log.created_at, log.id) as place, log.id, audit_row_hash(log) as row_hash
      from inventory_audit_log as log
      where log.tenant_id = ${currentTenant}
        and log.created_at < clock_timestamp() - make_interval(secs => ${unsealedSeconds})
        and log.created_at >= coalesce((select created_at from newest) - interval '10 minutes', '-infinity')
        and not exists (select from audit_seals as seal where seal.tenant_id = log.tenant_id and seal.audit_id = log.id)
      order by log.created_at, log.id limit ${sealMaximum}
    ), chain as (
      select 0::bigint as place, null::uuid as id, null::bytea as row_hash,
        coalesce((select chain_hash from newest), ''::bytea) as chain_hash
      union all
      select unsealed.place, unsealed.id, unsealed.row_hash, sha256(chain.chain_hash || unsealed.row_hash)
      from chain join unsealed on unsealed.place = chain.place + 1
    )
    insert into audit_seals (tenant_id, sequence, audit_id, row_hash, chain_hash)
    select ${tenantId}, coalesce((select sequence from newest), 0) + place, id, row_hash, chain_hash
    from chain where place > 0
    returning sequence, encode(chain_hash, 'hex') as chain_hash
  `.execute(transaction);
  const last = rows.reduce<(typeof rows)[number] | null>(
    (newest, row) => (newest === null || row.sequence > newest.sequence ? row : newest),
    null,
  );
  return {
    sealed: rows.length,
    newest: last === null ? null : { sequence: last.sequence, chainHash: last.chain_hash },
  };
}
