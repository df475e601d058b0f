import type { Invariant } from "./invariant.ts";

/** Who did what, and that nobody has changed it since. */
export const auditInvariants: readonly Invariant[] = [
  {
    name: "every sealed audit row is as it was sealed",
    examined: "select count(*) from audit_seals",
    query: `
      select seal.audit_id::text as subject, null as delta,
        format('sealed as number %s at %s, %s', seal.sequence, seal.sealed_at,
          case when log.id is null then 'and not there any more' else 'and changed since' end) as explanation,
        false as under_way
      from audit_seals seal
      left join inventory_audit_log log on log.tenant_id = seal.tenant_id and log.id = seal.audit_id
      where log.id is null or audit_row_hash(log) <> seal.row_hash`,
  },
  {
    name: "the chain of audit seals is whole",
    examined: "select count(*) from audit_seals",
    query: `
      select chained.tenant_id::text as subject, null as delta,
        format('seal %s does not follow from the one before it', chained.sequence) as explanation, false as under_way
      from (
        select tenant_id, sequence, chain_hash, row_hash, row_number() over before as place,
          coalesce(lag(chain_hash) over before, ''::bytea) as hash_before
        from audit_seals
        window before as (partition by tenant_id order by sequence)
      ) chained
      where chained.sequence <> chained.place or chained.chain_hash <> sha256(chained.hash_before || chained.row_hash)`,
  },
  {
    name: "every audit row is sealed",
    examined: "select count(*) from inventory_audit_log",
    query: `
      select log.id::text as subject, null as delta, format('written at %s and not sealed', log.created_at) as explanation,
        log.created_at > now() - interval '15 minutes' as under_way
      from inventory_audit_log log
      where not exists (select from audit_seals seal where seal.tenant_id = log.tenant_id and seal.audit_id = log.id)`,
  },
];
