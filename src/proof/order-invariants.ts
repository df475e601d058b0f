import type { Invariant } from "./invariant.ts";

/** Differences between an order and its stock that are younger than this may still be on their way. */
const youngSeconds = 10;

const young = (column: string) => `${column} > now() - interval '${youngSeconds} seconds'`;

/** Orders and what they hold, those who wait for units, and the news of both. */
export const orderInvariants: readonly Invariant[] = [
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
];
