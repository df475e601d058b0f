import { type Expression, sql } from "kysely";
import {
  asId,
  type ChannelProductId,
  type ChannelSkuId,
  type ChannelWarehouseId,
  type ShopId,
  type SkuId,
  type TenantId,
} from "../domain/ids.ts";
import { channelStatuses } from "../domain/order/channel-order.ts";
import { isHandedOver } from "../domain/order/transitions.ts";
import { clocksApartMilliseconds } from "../domain/shop/clocks.ts";
import { bufferOf, type ChannelNumbers, type OurNumbers } from "../domain/stock/offer.ts";
import { currentTenant, type TenantTransaction } from "./tenant.ts";

/** One SKU as sold in one shop. */
export interface Listing {
  readonly listingId: string;
  readonly skuId: SkuId;
  readonly shopId: ShopId;
  readonly channelProductId: ChannelProductId;
  readonly channelSkuId: ChannelSkuId;
  readonly warehouseIds: readonly ChannelWarehouseId[];
  /** Nothing is pushed of its SKU until a person lets it. */
  readonly paused: boolean;
  /** Its SKU sells so fast that it goes first. */
  readonly viral: boolean;
  /** ISO time when the channel last told that somebody else has changed it, until that was looked at. */
  readonly newsAt: string | null;
}

interface ListingRow {
  readonly id: string;
  readonly sku_id: string;
  readonly shop_id: string;
  readonly channel_product_id: string;
  readonly channel_sku_id: string;
  readonly warehouse_ids: string[];
  readonly paused: boolean;
  readonly viral: boolean;
  readonly news_at: string | null;
}

function listingOf(row: ListingRow): Listing {
  return {
    listingId: row.id,
    skuId: asId<"Sku">(row.sku_id),
    shopId: asId<"Shop">(row.shop_id),
    channelProductId: asId<"ChannelProduct">(row.channel_product_id),
    channelSkuId: asId<"ChannelSku">(row.channel_sku_id),
    warehouseIds: row.warehouse_ids.map((id) => asId<"ChannelWarehouse">(id)),
    paused: row.paused,
    viral: row.viral,
    newsAt: row.news_at,
  };
}

const listingColumns = sql`listing.id, listing.sku_id, listing.shop_id, listing.channel_product_id,
  listing.channel_sku_id, listing.warehouse_ids, listing.news_at, sku.sync_paused_at is not null as paused,
  exists (select from sku_demand as demand where demand.tenant_id = sku.tenant_id and demand.sku_id = sku.id
    and demand.viral_since is not null) as viral`;

/** Where a SKU is sold. */
export async function findListings(
  transaction: TenantTransaction,
  skuId: SkuId,
): Promise<readonly Listing[]> {
  const { rows } = await sql<ListingRow>`
    select ${listingColumns}
    from listings as listing join skus as sku on sku.tenant_id = listing.tenant_id and sku.id = listing.sku_id
    where listing.sku_id = ${skuId} order by listing.id`.execute(transaction);
  return rows.map(listingOf);
}

/** A shop's listings in the order of their ids, after one of them; of one SKU alone, or of those with news alone, when told. */
export async function pageListings(
  transaction: TenantTransaction,
  shopId: ShopId,
  {
    after,
    skuId,
    withNews,
    limit,
  }: {
    readonly after: string | null;
    readonly skuId: SkuId | null;
    readonly withNews: boolean;
    readonly limit: number;
  },
): Promise<readonly Listing[]> {
  const { rows } = await sql<ListingRow>`
    select ${listingColumns}
    from listings as listing join skus as sku on sku.tenant_id = listing.tenant_id and sku.id = listing.sku_id
    where listing.shop_id = ${shopId}
      and ${after === null ? sql`true` : sql`listing.id > ${after}::uuid`}
      and ${skuId === null ? sql`true` : sql`listing.sku_id = ${skuId}`}
      and ${withNews ? sql`listing.news_at is not null` : sql`true`}
    order by listing.id limit ${limit}`.execute(transaction);
  return rows.map(listingOf);
}

/** What was told of listings is over once they were looked at; what was told after they were found stays. */
export async function forgetNews(
  transaction: TenantTransaction,
  listings: readonly Listing[],
): Promise<void> {
  const told = listings.filter(({ newsAt }) => newsAt !== null);
  if (told.length === 0) return;
  await sql`
    update listings set news_at = null
    from unnest(${told.map(({ listingId }) => listingId)}::uuid[], ${told.map(({ newsAt }) => newsAt)}::timestamptz[])
      as seen (id, news_at)
    where listings.id = seen.id and listings.news_at <= seen.news_at
  `.execute(transaction);
}

/** While an order is in one of these, the channel counts its units as committed, whether they have left us or not. */
const stillCommitted = channelStatuses.filter((status) => status !== "cancelled" && !isHandedOver(status));
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
 * until the order's news say that the carrier has them, which is when the channel deducts them.
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
      (select coalesce(sum(reservation.quantity), 0)::integer
         from reservations as reservation
         join orders on orders.tenant_id = reservation.tenant_id and orders.order_ref = reservation.order_ref
         where reservation.tenant_id = warehouse.tenant_id and reservation.sku_id = sku.id
           and reservation.location_id = warehouse.location_id
           and reservation.state = 'shipped' and reservation.reversed_at is null and reservation.handed_over_at is null
           and reservation.resolved_at > now() - make_interval(days => ${underWayDays})
           and orders.shop_id = warehouse.shop_id
           and orders.channel_status = any (${stillCommitted}::text[])
      ) as under_way
    from listings as listing
    join skus as sku on sku.tenant_id = listing.tenant_id and sku.id = listing.sku_id
    join shop_warehouses as warehouse on warehouse.tenant_id = listing.tenant_id
      and warehouse.shop_id = listing.shop_id and warehouse.channel_warehouse_id = any (listing.warehouse_ids)
    left join stock_levels as level on level.tenant_id = warehouse.tenant_id and level.sku_id = sku.id
      and level.location_id = warehouse.location_id
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
        and orders.channel_status <> all (${stillCommitted}::text[])
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

/**
 * Opens a transaction in which SKUs' offers are compared. What was observed before it is seen by all news of hand-overs that
 * it does not see itself (`findComparedSince`): of a comparison and such news one always knows of the other. Both take the
 * SKUs in one order, so that neither waits for the other in a circle.
 */
export async function beginComparison(
  transaction: TenantTransaction,
  skuIds: readonly SkuId[],
): Promise<void> {
  await sql`select pg_advisory_xact_lock(${comparisonLock(sql.ref("sku_id"))}) from (
    select distinct sku_id from unnest(${[...skuIds]}::text[]) as given (sku_id) order by sku_id
  ) as skus`.execute(transaction);
}

/**
 * SKUs of an order that were compared with the channel although it may have changed the order before: to be asked in the
 * transaction that takes the change in.
 *
 * @param unchangedAt ISO time by the channel's clock at which the order was last known as it was before.
 */
export async function findComparedSince(
  transaction: TenantTransaction,
  orderId: string,
  unchangedAt: string,
): Promise<readonly SkuId[]> {
  const since = new Date(Date.parse(unchangedAt) - clocksApartMilliseconds).toISOString();
  // Comparisons under way are waited for here, and seen by the statement after it.
  await sql`select pg_advisory_xact_lock_shared(${comparisonLock(sql.ref("sku_id"))}) from (
    select distinct sku_id::text from order_lines where order_id = ${orderId} and sku_id is not null order by sku_id
  ) as skus`.execute(transaction);
  const rows = await transaction
    .selectFrom("order_lines")
    .where("order_id", "=", orderId)
    .where((eb) =>
      eb.exists(
        eb
          .selectFrom("channel_observations")
          .whereRef("channel_observations.sku_id", "=", "order_lines.sku_id")
          .where("observed_at", ">=", since),
      ),
    )
    .select("sku_id")
    .distinct()
    .execute();
  return rows.flatMap(({ sku_id: skuId }) => (skuId === null ? [] : [asId<"Sku">(skuId)]));
}

function comparisonLock(skuId: Expression<string | null>) {
  return sql`hashtextextended('comparison ' || ${skuId}, 0)`;
}

/** What the channel said of a listing at one warehouse. */
export interface Observation extends ChannelNumbers {
  readonly listing: Listing;
  readonly warehouseId: ChannelWarehouseId;
  /** Of the locked units, over all warehouses. */
  readonly campaign: number;
  readonly creator: number;
}

export async function appendObservations(
  transaction: TenantTransaction,
  tenantId: TenantId,
  observations: readonly Observation[],
): Promise<void> {
  if (observations.length === 0) return;
  await transaction
    .insertInto("channel_observations")
    .values(
      observations.map((observation) => ({
        tenant_id: tenantId,
        listing_id: observation.listing.listingId,
        sku_id: observation.listing.skuId,
        warehouse_id: observation.warehouseId,
        available: observation.available,
        committed: observation.committed,
        campaign: observation.campaign,
        creator: observation.creator,
      })),
    )
    .execute();
}

/** A number about to be pushed, with what it was computed from. */
export interface IntendedPush {
  readonly seen: Observation;
  readonly desired: number;
  /** ISO time of what made the number wrong; null: nobody has told, it was found now. */
  readonly causedAt: string | null;
}

/**
 * Writes down what is about to be pushed. One push is in flight for a listing and warehouse: one that was left open by an
 * attempt with an unclear outcome is superseded, since the channel has been read anew. Its cause is still not made good, so
 * the new push inherits the time of it.
 */
export async function openPushIntents(
  transaction: TenantTransaction,
  tenantId: TenantId,
  pushes: readonly IntendedPush[],
): Promise<void> {
  const rows = pushes.map(({ seen, desired, causedAt }) => ({
    listing_id: seen.listing.listingId,
    sku_id: seen.listing.skuId,
    warehouse_id: seen.warehouseId,
    desired_available: desired,
    available_seen: seen.available,
    committed_seen: seen.committed,
    caused_at: causedAt,
  }));
  const superseded = await closePushIntents(
    transaction,
    pushes.map(({ seen }) => seen.listing.listingId),
    "superseded",
    "read anew",
  );
  await sql`
    insert into push_intents (tenant_id, listing_id, sku_id, warehouse_id, desired_available, available_seen,
      committed_seen, caused_at)
    select ${tenantId}, given.listing_id, given.sku_id, given.warehouse_id, given.desired_available,
      given.available_seen, given.committed_seen, coalesce(least(given.caused_at, earlier.caused_at), clock_timestamp())
    from jsonb_to_recordset(${JSON.stringify(rows)}::jsonb) as given (listing_id uuid, sku_id uuid, warehouse_id text,
      desired_available integer, available_seen integer, committed_seen integer, caused_at timestamptz)
    left join (select listing_id, min(caused_at) as caused_at
      from jsonb_to_recordset(${JSON.stringify(superseded)}::jsonb) as closed (listing_id uuid, caused_at timestamptz)
      group by listing_id) as earlier on earlier.listing_id = given.listing_id
  `.execute(transaction);
}

/** @returns those that were open, with the times of their causes and of their ends. */
export async function closePushIntents(
  transaction: TenantTransaction,
  listingIds: readonly string[],
  state: "confirmed" | "refused" | "superseded",
  outcome: string,
): Promise<
  readonly { readonly listing_id: string; readonly caused_at: string; readonly closed_at: string }[]
> {
  if (listingIds.length === 0) return [];
  const { rows } = await sql<{ listing_id: string; caused_at: string; closed_at: string }>`
    update push_intents set state = ${state}, outcome = ${outcome.slice(0, 1_000)}, closed_at = clock_timestamp()
    where tenant_id = ${currentTenant} and listing_id = any (${[...listingIds]}::uuid[]) and state = 'open'
    returning listing_id, caused_at, closed_at
  `.execute(transaction);
  return rows;
}
