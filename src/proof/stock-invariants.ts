import type { Invariant } from "./invariant.ts";

const level = `stock_levels level join skus sku on sku.tenant_id = level.tenant_id and sku.id = level.sku_id`;
const corrupted = "level.tenant_id, level.sku_id";

/** The numbers of a SKU, its movements, and what they are made of. */
export const stockInvariants: readonly Invariant[] = [
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
];
