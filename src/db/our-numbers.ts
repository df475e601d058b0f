import { sql } from "kysely";
import { committedStatuses } from "../domain/order/transitions.ts";
import { bufferOf, type OurNumbers } from "../domain/stock/offer.ts";
import { currentTenant, type TenantTransaction } from "./tenant.ts";

/** No carrier takes so long to fetch a parcel; what is shipped longer is not looked at. */
const underWayDays = 60;
/** Rows that one transaction marks as handed over. */
export const handedOverMaximum = 5_000;

/** Our side of a listing at one warehouse, and the most that the listing may show. */
export interface OurCell {
  readonly ours: OurNumbers;
  readonly cap: number;
}

/** Names a listing at a warehouse. */
export function cellKey(listingId: string, warehouseId: string): string {
  return `${listingId} ${warehouseId}`;
}

/**
 * Our numbers of listings at the location behind each of their warehouses, by `cellKey`. Units are under way from our `ship`
 * until the order's news say that the carrier has them, which is when the channel deducts them. An order that does not say
 * where its units come from may take them anywhere, so it counts at each location until they are reserved.
 */
export async function getOurNumbers(
  transaction: TenantTransaction,
  listingIds: readonly string[],
): Promise<ReadonlyMap<string, OurCell>> {
  const { rows } = await sql<{
    listing_id: string;
    channel_warehouse_id: string;
    on_hand: number;
    reserved: number;
    reserved_here: number;
    unreserved_here: number;
    unreserved_elsewhere: number;
    under_way: number;
    buffer: number;
    buffer_percent: number;
    adaptive: number;
    cap: number;
  }>`
    select listing.id as listing_id, warehouse.channel_warehouse_id, listing.cap,
      coalesce(level.current_stock, 0) as on_hand, coalesce(level.reserved_stock, 0) as reserved,
      coalesce(listing.buffer, sku.buffer) as buffer,
      coalesce(listing.buffer_percent, sku.buffer_percent) as buffer_percent,
      case when sku.sold_in_several_shops then coalesce(demand.adaptive_buffer, 0) else 0 end as adaptive,
      (select coalesce(sum(reservation.quantity), 0)::integer
         from reservations as reservation
         where reservation.tenant_id = warehouse.tenant_id and reservation.sku_id = sku.id
           and reservation.location_id = warehouse.location_id and reservation.state = 'held'
           and starts_with(reservation.order_ref, warehouse.shop_id::text || '/')
      ) as reserved_here,
      unreserved.here as unreserved_here, unreserved.elsewhere as unreserved_elsewhere,
      (select coalesce(sum(reservation.quantity), 0)::integer
         from reservations as reservation
         join orders on orders.tenant_id = reservation.tenant_id and orders.order_ref = reservation.order_ref
         where reservation.tenant_id = warehouse.tenant_id and reservation.sku_id = sku.id
           and reservation.location_id = warehouse.location_id
           and reservation.state = 'shipped' and reservation.reversed_at is null and reservation.handed_over_at is null
           and reservation.resolved_at > now() - make_interval(days => ${underWayDays})
           and orders.shop_id = warehouse.shop_id
           and orders.channel_status = any (${committedStatuses}::text[])
      ) as under_way
    from listings as listing
    join skus as sku on sku.tenant_id = listing.tenant_id and sku.id = listing.sku_id
    join shop_warehouses as warehouse on warehouse.tenant_id = listing.tenant_id
      and warehouse.shop_id = listing.shop_id and warehouse.channel_warehouse_id = any (listing.warehouse_ids)
    left join stock_levels as level on level.tenant_id = warehouse.tenant_id and level.sku_id = sku.id
      and level.location_id = warehouse.location_id
    cross join lateral (
      select coalesce(sum(line.ordered) filter (where sale.shop_id = warehouse.shop_id), 0)::integer as here,
        coalesce(sum(line.ordered) filter (where sale.shop_id <> warehouse.shop_id), 0)::integer as elsewhere
      from order_lines as line
      -- One by one: joined, all orders are read for each line while nothing is known of how many there are.
      cross join lateral (
        select orders.shop_id, orders.order_ref, orders.warehouse_id from orders
        where orders.id = line.order_id and orders.channel_status = any (${committedStatuses}::text[])
        limit 1
      ) as sale
      left join shop_warehouses as source on source.tenant_id = line.tenant_id and source.shop_id = sale.shop_id
        and source.channel_warehouse_id = sale.warehouse_id
      where line.tenant_id = warehouse.tenant_id and line.sku_id = sku.id
        -- As the partial index has it.
        and line.stage in ('new', 'arranged')
        and coalesce(source.location_id, warehouse.location_id) = warehouse.location_id
        and (select true from reservations as reservation
          where reservation.tenant_id = line.tenant_id and reservation.order_ref = sale.order_ref
            and reservation.line_id = line.line_id and reservation.state in ('held', 'shipped') limit 1) is null
    ) as unreserved
    left join sku_demand as demand on demand.tenant_id = sku.tenant_id and demand.sku_id = sku.id
    where listing.id = any (${[...listingIds]}::uuid[])
  `.execute(transaction);
  return new Map(
    rows.map((row) => [
      cellKey(row.listing_id, row.channel_warehouse_id),
      {
        cap: row.cap,
        ours: {
          onHand: row.on_hand,
          reserved: row.reserved,
          reservedElsewhere: Math.max(0, row.reserved - row.reserved_here),
          unreservedHere: row.unreserved_here,
          unreservedElsewhere: row.unreserved_elsewhere,
          underWay: row.under_way,
          buffer: bufferOf({
            units: row.buffer,
            percent: row.buffer_percent,
            adaptive: row.adaptive,
            onHand: row.on_hand,
          }),
        },
      },
    ]),
  );
}

/**
 * Marks shipped units whose orders' news say that the carrier has them, so that no comparison looks through them again. What
 * is under way does not depend on it: the orders' news decide, marked or not.
 *
 * @returns how many were marked; at most `handedOverMaximum`.
 */
export async function markHandedOver(transaction: TenantTransaction): Promise<number> {
  const { rows } = await sql`
    update reservations set handed_over_at = clock_timestamp()
    from (
      select reservation.reservation_id, reservation.part
      from reservations as reservation
      join orders on orders.tenant_id = reservation.tenant_id and orders.order_ref = reservation.order_ref
      where reservation.tenant_id = ${currentTenant}
        and reservation.state = 'shipped' and reservation.reversed_at is null and reservation.handed_over_at is null
        and orders.channel_status <> all (${committedStatuses}::text[])
      limit ${handedOverMaximum}
      -- Whoever changes one of them now has it; the next pass comes to the rest.
      for update of reservation skip locked
    ) as gone
    where reservations.tenant_id = ${currentTenant} and reservations.reservation_id = gone.reservation_id
      and reservations.part = gone.part
    returning 1
  `.execute(transaction);
  return rows.length;
}
