/**
 * What must hold of the stock and the orders at every commit, as SQL that knows nothing of the code which makes it so.
 * Each goes over its tables in one pass: what is looked up row by row takes minutes in a ledger of a million rows.
 * Each query returns one row for each thing that is wrong: `subject`, `delta`, `explanation`, `under_way`; where a SKU's
 * numbers are wrong also its `tenant_id` and `sku_id`.
 */
export interface Invariant {
  readonly name: string;
  /** Counts what is looked at. */
  readonly examined: string;
  readonly query: string;
}

/** Differences between an order and its stock that are younger than this may still be on their way. */
const youngSeconds = 10;

const level = `stock_levels level join skus sku on sku.tenant_id = level.tenant_id and sku.id = level.sku_id`;
const corrupted = "level.tenant_id, level.sku_id";
const young = (column: string) => `${column} > now() - interval '${youngSeconds} seconds'`;

export const invariants: readonly Invariant[] = [
  {
    name: "on hand is the sum of its movements",
    examined: "select count(*) from stock_levels",
    query: `
      select sku.code as subject, level.current_stock - coalesce(ledger.units, 0) as delta,
        format('on hand is %s, the ledger adds up to %s', level.current_stock, coalesce(ledger.units, 0)) as explanation,
        false as under_way, ${corrupted}
      from ${level}
      left join (
        select tenant_id, sku_id, location_id, sum(on_hand_effect) as units from inventory_transactions
        group by tenant_id, sku_id, location_id
      ) ledger on ledger.tenant_id = level.tenant_id and ledger.sku_id = level.sku_id
        and ledger.location_id = level.location_id
      where level.current_stock <> coalesce(ledger.units, 0)`,
  },
  {
    name: "reserved is the sum of its movements",
    examined: "select count(*) from stock_levels",
    query: `
      select sku.code as subject, level.reserved_stock - coalesce(ledger.units, 0) as delta,
        format('reserved is %s, the ledger adds up to %s', level.reserved_stock, coalesce(ledger.units, 0)) as explanation,
        false as under_way, ${corrupted}
      from ${level}
      left join (
        select tenant_id, sku_id, location_id, sum(reserved_effect) as units from inventory_transactions
        group by tenant_id, sku_id, location_id
      ) ledger on ledger.tenant_id = level.tenant_id and ledger.sku_id = level.sku_id
        and ledger.location_id = level.location_id
      where level.reserved_stock <> coalesce(ledger.units, 0)`,
  },
  {
    name: "reserved is the sum of its open reservations",
    examined: "select count(*) from stock_levels",
    query: `
      select sku.code as subject, level.reserved_stock - coalesce(held.units, 0) as delta,
        format('reserved is %s, open reservations hold %s', level.reserved_stock, coalesce(held.units, 0)) as explanation,
        false as under_way, ${corrupted}
      from ${level}
      left join (
        select tenant_id, sku_id, location_id, sum(quantity) as units from reservations where state = 'held'
        group by tenant_id, sku_id, location_id
      ) held on held.tenant_id = level.tenant_id and held.sku_id = level.sku_id and held.location_id = level.location_id
      where level.reserved_stock <> coalesce(held.units, 0)`,
  },
  {
    name: "no unit is promised twice",
    examined: "select count(*) from stock_levels",
    query: `
      select sku.code as subject, level.current_stock - level.reserved_stock - level.backorder_floor as delta,
        format('%s on hand, %s promised', level.current_stock, level.reserved_stock) as explanation, false as under_way,
        ${corrupted}
      from ${level}
      where level.current_stock < 0 or level.reserved_stock < 0
        or level.current_stock - level.reserved_stock < level.backorder_floor`,
  },
  {
    name: "a SKU is listed as what its numbers make it",
    examined: "select count(*) from skus",
    query: `
      select sku.code as subject, null as delta,
        format('listed as %s, %s units are available, it is low at %s', sku.stock_status, coalesce(available.units, 0),
          sku.low_stock_threshold) as explanation, false as under_way
      from skus sku
      left join (
        select tenant_id, sku_id, sum(current_stock - reserved_stock) as units from stock_levels group by tenant_id, sku_id
      ) available on available.tenant_id = sku.tenant_id and available.sku_id = sku.id
      where sku.stock_status <> case
        when coalesce(available.units, 0) <= 0 then 'out_of_stock'
        when available.units <= sku.low_stock_threshold then 'low_stock'
        else 'in_stock' end`,
  },
  {
    name: "movements of a SKU are gapless",
    examined: "select count(*) from (select distinct tenant_id, sku_id from inventory_transactions) as moved",
    query: `
      select sku.code as subject, null as delta,
        format('%s movements, numbered up to %s', counted.movements, counted.last) as explanation, false as under_way
      from (
        select tenant_id, sku_id, count(*) as movements, count(distinct sequence) as numbers, max(sequence) as last
        from inventory_transactions group by tenant_id, sku_id
      ) counted
      join skus sku on sku.tenant_id = counted.tenant_id and sku.id = counted.sku_id
      left join (
        select tenant_id, sku_id, max(last_sequence) as last from stock_levels group by tenant_id, sku_id
      ) noted on noted.tenant_id = counted.tenant_id and noted.sku_id = counted.sku_id
      where counted.movements <> counted.last or counted.numbers <> counted.movements or noted.last <> counted.last`,
  },
  {
    name: "each movement begins where the one before it ended",
    examined: "select count(*) from inventory_transactions",
    query: `
      select sku.code as subject, null as delta,
        format('movement %s begins at %s/%s, the one before ended at %s/%s', chained.sequence, chained.previous_stock,
          chained.previous_reserved, chained.stock_before, chained.reserved_before) as explanation, false as under_way
      from (
        select tenant_id, sku_id, sequence, previous_stock, previous_reserved,
          coalesce(lag(new_stock) over before, 0) as stock_before,
          coalesce(lag(new_reserved) over before, 0) as reserved_before,
          -- What was booked while a number was corrupted began at that number; the repair has put it right.
          sequence <= max(sequence) filter (where reference_type = 'repair') over (partition by tenant_id, sku_id, location_id)
            as is_repaired
        from inventory_transactions
        window before as (partition by tenant_id, sku_id, location_id order by sequence)
      ) chained
      join skus sku on sku.tenant_id = chained.tenant_id and sku.id = chained.sku_id
      where chained.is_repaired is not true
        and (chained.previous_stock <> chained.stock_before or chained.previous_reserved <> chained.reserved_before)`,
  },
  {
    name: "a repair ends at what all movements add up to",
    examined: "select count(*) from inventory_transactions where reference_type = 'repair'",
    query: `
      select sku.code as subject, repair.new_stock - booked.on_hand as delta,
        format('repair %s ends at %s/%s, the movements up to it add up to %s/%s', repair.sequence, repair.new_stock,
          repair.new_reserved, booked.on_hand, booked.reserved) as explanation, false as under_way
      from inventory_transactions repair
      join skus sku on sku.tenant_id = repair.tenant_id and sku.id = repair.sku_id
      cross join lateral (
        select sum(on_hand_effect) as on_hand, sum(reserved_effect) as reserved from inventory_transactions movement
        where movement.tenant_id = repair.tenant_id and movement.sku_id = repair.sku_id
          and movement.location_id = repair.location_id and movement.sequence <= repair.sequence
      ) booked
      where repair.reference_type = 'repair'
        and (repair.new_stock <> booked.on_hand or repair.new_reserved <> booked.reserved)`,
  },
  {
    name: "no SKU waits for a repair",
    examined: "select count(*) from stock_levels",
    query: `
      select sku.code as subject, null as delta, format('stopped at %s: %s', level.stopped_at, level.stop_reason) as explanation,
        false as under_way
      from ${level}
      where level.stopped_at is not null`,
  },
  {
    name: "no operation moved stock twice",
    examined: "select count(*) from inventory_transactions",
    query: `
      select operation_id as subject, count(*) - 1 as delta, format('%s movements of kind %s', count(*), kind) as explanation,
        false as under_way
      from inventory_transactions
      group by tenant_id, operation_id, kind, location_id having count(*) > 1`,
  },
  {
    name: "a reservation is reserved once and resolved once",
    examined: "select count(*) from reservations",
    query: `
      select reservation_id as subject, null as delta,
        format('%s, with movements: %s', state, coalesce(booked, 'none')) as explanation, false as under_way
      from (
        select reservation_id, min(state) as state, min(wanted) as wanted, max(wanted) as also_wanted,
          string_agg(kind, ' ' order by sequence) as booked
        from (
          select tenant_id, sku_id, location_id, reservation_id, state, null as kind, null as sequence,
            case when state = 'held' then 'reserve'
              when state = 'released' then 'reserve release'
              when reversed_at is null then 'reserve ship'
              else 'reserve ship ship_reversed' end as wanted
          from reservations
          union all
          select tenant_id, sku_id, location_id, reference_id || '/' || split_part(operation_id, '/', 5), null, kind, sequence, null
          from inventory_transactions where kind in ('reserve', 'release', 'ship', 'ship_reversed')
        ) as noted
        group by tenant_id, sku_id, location_id, reservation_id
      ) as claimed
      where wanted is not null and (booked is distinct from wanted or also_wanted <> wanted)`,
  },
  {
    name: "what was sent is received, missing or under way",
    examined: "select count(*) from stock_transfers",
    query: `
      select transfer.transfer_id as subject, transfer.under_way as delta,
        format('%s sent and %s received, the ledger says %s and %s', transfer.quantity, transfer.received, booked.sent,
          booked.received) as explanation, false as under_way
      from stock_transfers transfer
      left join lateral (
        select coalesce(sum(quantity) filter (where kind = 'transfer_out' and location_id = transfer.from_location_id), 0) as sent,
          coalesce(sum(quantity) filter (where kind = 'transfer_in' and location_id = transfer.to_location_id), 0) as received
        from inventory_transactions movement
        where movement.tenant_id = transfer.tenant_id and movement.reference_id = transfer.transfer_id
          and movement.reference_type = 'transfer'
      ) booked on true
      where booked.sent <> transfer.quantity or booked.received <> transfer.received`,
  },
  {
    name: "an approved change was made, and no other",
    examined: "select count(*) from approvals",
    query: `
      select sku.code as subject, approval.quantity as delta,
        format('approval %s is %s, its change was %s', approval.id, approval.state,
          coalesce(operation.answer ->> 'outcome', 'not asked for')) as explanation,
        approval.state = 'approving' as under_way
      from approvals approval
      join skus sku on sku.tenant_id = approval.tenant_id and sku.id = approval.sku_id
      left join stock_operations operation on operation.tenant_id = approval.tenant_id
        and operation.operation_id = approval.kind || '/' || approval.id
      where (approval.state = 'approved') is distinct from coalesce(operation.answer ->> 'outcome' = 'adjusted', false)`,
  },
  {
    name: "no hold outlives its time",
    examined: "select count(*) from reservations where expires_at is not null",
    query: `
      select reservation_id as subject, quantity as delta, format('should have ended at %s', expires_at) as explanation,
        expires_at > now() - interval '5 minutes' as under_way
      from reservations where state = 'held' and expires_at < now()`,
  },
  {
    name: "a closed order holds no units and waits for none",
    examined: "select count(*) from orders where channel_status in ('cancelled', 'completed')",
    query: `
      select orders.channel_order_id as subject, claim.quantity as delta,
        format('%s, yet %s', orders.channel_status, claim.what) as explanation, ${young("orders.updated_at")} as under_way
      from orders
      join (
        select tenant_id, order_ref, quantity, 'holds units' as what from reservations where state = 'held'
        union all
        select tenant_id, order_ref, quantity, 'waits for units' from shortages where state = 'waiting'
      ) claim on claim.tenant_id = orders.tenant_id and claim.order_ref = orders.order_ref
      where orders.channel_status in ('cancelled', 'completed') and orders.handled_version = orders.snapshot_version`,
  },
  {
    name: "an order's lines and the stock say the same",
    examined: "select count(*) from order_lines",
    query: `
      select orders.channel_order_id as subject, null as delta,
        format('line %s is %s, its reservation is %s', line.line_id, line.stage,
          coalesce(reservation.state, shortage.state, 'not there')) as explanation,
        (${young("orders.updated_at")} or ${young("coalesce(reservation.resolved_at, reservation.held_at, shortage.created_at, orders.updated_at)")}
          or orders.handled_version < orders.snapshot_version) as under_way
      from order_lines line
      join orders on orders.tenant_id = line.tenant_id and orders.id = line.order_id
      left join reservations reservation on reservation.tenant_id = line.tenant_id
        and reservation.reservation_id = orders.order_ref || '/' || line.line_id || '/' || line.generation
        and reservation.part = 1
      left join shortages shortage on shortage.tenant_id = line.tenant_id
        and shortage.reservation_id = orders.order_ref || '/' || line.line_id || '/' || line.generation
      where case line.stage
        when 'held' then reservation.state is distinct from 'held'
        when 'shipped' then reservation.state is distinct from 'shipped' or reservation.reversed_at is not null
        when 'short' then shortage.state is distinct from 'waiting'
        when 'set_aside' then reservation.state in ('held', 'shipped') or shortage.state = 'waiting'
        when 'cancelled' then reservation.state in ('held', 'shipped') or shortage.state = 'waiting'
        when 'reversed' then reservation.reversed_at is null
        when 'untracked' then reservation.state = 'held'
        else not (${young("orders.updated_at")}) and orders.handled_version = orders.snapshot_version
          and line.sku_id is not null
      end`,
  },
  {
    name: "nobody waits for units that are free",
    examined: "select count(*) from shortages where state = 'waiting'",
    query: `
      select sku.code as subject, free.units as delta,
        format('%s units are free and %s waits for %s', free.units, first.order_ref, first.quantity) as explanation,
        false as under_way
      from (
        select distinct on (tenant_id, sku_id) * from shortages where state = 'waiting'
        order by tenant_id, sku_id, paid_at nulls last, ordered_at, reservation_id
      ) first
      join skus sku on sku.tenant_id = first.tenant_id and sku.id = first.sku_id
      join lateral (
        select sum(greatest(available_stock - backorder_floor, 0)) as units from stock_levels level
        where level.tenant_id = first.tenant_id and level.sku_id = first.sku_id and level.stopped_at is null
          and (first.location_id is null or level.location_id = first.location_id)
      ) free on free.units >= first.quantity`,
  },
  {
    name: "no later payment was served while an earlier one waits",
    examined: "select count(*) from shortages where state = 'waiting'",
    // One pass over those who wait and those who were served, in the order of their payments: compared with each other, ten
    // thousand who wait for a SKU that went viral would take minutes.
    query: `
      with waiting as (
        select * from shortages where state = 'waiting' and paid_at is not null
      ), sizes as (
        select distinct tenant_id, sku_id, location_id, quantity from waiting
      ), turns as (
        select tenant_id, reservation_id, sku_id, location_id, quantity, order_ref, paid_at,
          greatest(created_at, coalesce(ranked_at, paid_at + interval '${youngSeconds} seconds')) as ranked_at, null as resolved_at
        from waiting
        union all
        -- Who was served fewer units than somebody wants has taken nothing from him.
        select size.tenant_id, null, size.sku_id, size.location_id, size.quantity, null, served.paid_at, null, served.resolved_at
        from sizes size
        join shortages served on served.tenant_id = size.tenant_id and served.sku_id = size.sku_id
          and served.location_id is not distinct from size.location_id and served.quantity >= size.quantity
          and served.state = 'served'
      ), passed as (
        select *, max(resolved_at) over (partition by tenant_id, sku_id, location_id, quantity
          order by paid_at desc nulls first, resolved_at nulls first rows unbounded preceding) as later_served_at
        from turns
      )
      select sku.code as subject, null as delta,
        format('%s (paid %s) has its turn since %s, %s (%s) was served from the queue', waiting.order_ref, waiting.paid_at,
          waiting.ranked_at, served.order_ref, coalesce('paid ' || served.paid_at, 'not paid')) as explanation, false as under_way
      from passed waiting
      join skus sku on sku.tenant_id = waiting.tenant_id and sku.id = waiting.sku_id
      cross join lateral (
        select order_ref, paid_at from shortages served
        where served.tenant_id = waiting.tenant_id and served.sku_id = waiting.sku_id and served.state = 'served'
          and served.location_id is not distinct from waiting.location_id and served.quantity >= waiting.quantity
          and (served.paid_at is null or served.paid_at > waiting.paid_at)
          and served.resolved_at = waiting.later_served_at limit 1
      ) served
      -- An order that was not known as paid when the other was served had a lower turn then.
      where waiting.reservation_id is not null and waiting.later_served_at > waiting.ranked_at`,
  },
  {
    name: "every accepted webhook of a known shop was worked off or says why not",
    examined: "select count(*) from webhook_deliveries",
    query: `
      select coalesce(channel_order_id, id::text) as subject, null as delta,
        format('delivery %s has waited since %s: %s', id, received_at, coalesce(reason, 'never tried')) as explanation,
        received_at > now() - interval '2 minutes' as under_way
      from webhook_deliveries
      where state = 'waiting' or (state = 'parked' and reason is null)`,
  },
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
