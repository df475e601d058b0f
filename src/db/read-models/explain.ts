import { sql } from "kysely";
import type { SkuId } from "../../domain/ids.ts";
import { explainOffer, type KindSum, type LevelNumbers } from "../../domain/stock/explain.ts";
import type { MovementKind } from "../../domain/stock/movement.ts";
import type { ChannelNumbers } from "../../domain/stock/offer.ts";
import { cellKey, getOurNumbers } from "../our-numbers.ts";
import type { TenantTransaction } from "../tenant.ts";

/** Movements that are summed by kind; what was before them is brought forward, so that no history makes this slow. */
const movementsSummed = 2_000;
/** Orders that are named for each number; the rest is counted. */
export const namedMaximum = 50;

export interface LevelTerms {
  readonly location_id: string;
  readonly location_name: string;
  readonly current_stock: number;
  readonly reserved_stock: number;
  readonly available_stock: number;
  readonly backorder_floor: number;
  readonly version: number;
  readonly held_units: number;
  readonly stop_reason: string | null;
  readonly broughtForward: LevelNumbers;
  readonly byKind: readonly KindSum[];
}

/** The levels of a SKU with the terms that make them. */
export async function listLevelTerms(
  transaction: TenantTransaction,
  skuId: SkuId,
): Promise<readonly LevelTerms[]> {
  const { rows } = await sql<
    Omit<LevelTerms, "broughtForward" | "byKind"> & {
      readonly before: { readonly stock: number; readonly reserved: number } | null;
      readonly kinds: readonly {
        readonly kind: MovementKind;
        readonly movements: number;
        readonly on_hand: number;
        readonly reserved: number;
      }[];
    }
  >`
    with newest as (
      select max(last_sequence) - ${movementsSummed} as before from stock_levels where sku_id = ${skuId}
    ), sums as (
      select location_id, kind, count(*) as movements, sum(on_hand_effect) as on_hand, sum(reserved_effect) as reserved
      from inventory_transactions
      where sku_id = ${skuId} and sequence > (select before from newest)
      group by location_id, kind
    )
    select level.location_id, location.name as location_name, level.current_stock, level.reserved_stock,
      level.available_stock, level.backorder_floor, level.version, level.stop_reason,
      (select coalesce(sum(quantity), 0)::integer from reservations
        where reservations.sku_id = level.sku_id and reservations.location_id = level.location_id and state = 'held') as held_units,
      (select jsonb_build_object('stock', new_stock, 'reserved', new_reserved) from inventory_transactions as movement
        where movement.tenant_id = level.tenant_id and movement.sku_id = level.sku_id
          and movement.location_id = level.location_id and movement.sequence <= (select before from newest)
        order by movement.created_at desc, movement.sequence desc limit 1) as before,
      (select coalesce(jsonb_agg(jsonb_build_object('kind', kind, 'movements', movements, 'on_hand', on_hand, 'reserved', reserved)
          order by kind), '[]')
        from sums where sums.location_id = level.location_id) as kinds
    from stock_levels as level
    join locations as location on location.tenant_id = level.tenant_id and location.id = level.location_id
    where level.sku_id = ${skuId}
    order by location.is_default desc, level.location_id
  `.execute(transaction);
  return rows.map(({ before, kinds, ...level }) => ({
    ...level,
    broughtForward: { onHand: before?.stock ?? 0, reserved: before?.reserved ?? 0 },
    byKind: kinds.map((each) => ({
      kind: each.kind,
      movements: each.movements,
      onHandEffect: each.on_hand,
      reservedEffect: each.reserved,
    })),
  }));
}

export interface NamedClaims {
  readonly units: number;
  readonly claims: number;
  /** The first of them, at most `namedMaximum`. */
  readonly named: readonly {
    readonly reservation_id: string;
    readonly order_id: string | null;
    readonly order_number: string | null;
    readonly quantity: number;
    readonly since: string;
    readonly paid_at: string | null;
    readonly expires_at: string | null;
  }[];
}

/** Who holds units of a SKU, the longest first: orders and holds. */
export async function findHolders(transaction: TenantTransaction, skuId: SkuId): Promise<NamedClaims> {
  const { rows } = await sql<NamedClaims["named"][number] & { units: number; claims: number }>`
    select claim.reservation_id, orders.id as order_id, orders.channel_order_id as order_number, claim.quantity,
      claim.held_at as since, orders.paid_at, claim.expires_at, claim.units, claim.claims
    from (
      select tenant_id, reservation_id, order_ref, quantity, held_at, expires_at,
        sum(quantity) over ()::integer as units, count(*) over () as claims
      from reservations where sku_id = ${skuId} and state = 'held'
      order by held_at, reservation_id, part limit ${namedMaximum}
    ) as claim
    left join orders on orders.tenant_id = claim.tenant_id and orders.order_ref = claim.order_ref
    order by claim.held_at, claim.reservation_id
  `.execute(transaction);
  return named(rows);
}

/** Who waits for units of a SKU, the next one first. */
export async function findWaiting(transaction: TenantTransaction, skuId: SkuId): Promise<NamedClaims> {
  const { rows } = await sql<NamedClaims["named"][number] & { units: number; claims: number }>`
    select claim.reservation_id, orders.id as order_id, orders.channel_order_id as order_number, claim.quantity,
      claim.created_at as since, claim.paid_at, null as expires_at, claim.units, claim.claims
    from (
      select tenant_id, reservation_id, order_ref, quantity, created_at, paid_at, ordered_at,
        sum(quantity) over ()::integer as units, count(*) over () as claims
      from shortages where sku_id = ${skuId} and state = 'waiting'
      order by paid_at nulls last, ordered_at, reservation_id limit ${namedMaximum}
    ) as claim
    left join orders on orders.tenant_id = claim.tenant_id and orders.order_ref = claim.order_ref
    order by claim.paid_at nulls last, claim.ordered_at, claim.reservation_id
  `.execute(transaction);
  return named(rows);
}

function named(
  rows: readonly (NamedClaims["named"][number] & { readonly units: number; readonly claims: number })[],
): NamedClaims {
  const [first] = rows;
  return {
    units: first?.units ?? 0,
    claims: first?.claims ?? 0,
    named: rows.map(({ units: _units, claims: _claims, ...row }) => row),
  };
}

export interface ListingTerms {
  readonly listing_id: string;
  readonly shop_name: string;
  readonly channel_sku_id: string;
  readonly warehouse_id: string;
  readonly paused: boolean;
  readonly shown: ChannelNumbers | null;
  readonly observed_at: string | null;
  readonly last_push: {
    readonly available: number;
    readonly state: string;
    readonly outcome: string | null;
    readonly at: string;
  } | null;
}

/** What each listing of a SKU shows, should show and why, at each of its warehouses. */
export async function explainListings(transaction: TenantTransaction, skuId: SkuId) {
  const terms = await listListingTerms(transaction, skuId);
  const cells = await getOurNumbers(
    transaction,
    terms.map((each) => each.listing_id),
  );
  return terms.map(({ paused, ...listing }) => {
    const cell = cells.get(cellKey(listing.listing_id, listing.warehouse_id));
    const explanation =
      cell === undefined
        ? { shouldShow: null, agrees: false, why: "The warehouse is none of ours." }
        : explainOffer(cell, listing.shown, {
            isPaused: paused,
            isUnderWay: listing.last_push?.state === "open",
            lastRefusal: listing.last_push?.state === "refused" ? listing.last_push.outcome : null,
          });
    return { ...listing, ours: cell?.ours ?? null, ...explanation };
  });
}

/** What each listing of a SKU shows at each warehouse, by the last reading, and what it was told last. */
async function listListingTerms(
  transaction: TenantTransaction,
  skuId: SkuId,
): Promise<readonly ListingTerms[]> {
  const { rows } = await sql<ListingTerms>`
    select listing.id as listing_id, shop.name as shop_name, listing.channel_sku_id, warehouse.id as warehouse_id,
      sku.sync_paused_at is not null as paused,
      seen.numbers as shown, seen.observed_at, push.told as last_push
    from listings as listing
    join shops as shop on shop.tenant_id = listing.tenant_id and shop.id = listing.shop_id
    join skus as sku on sku.tenant_id = listing.tenant_id and sku.id = listing.sku_id
    cross join lateral unnest(listing.warehouse_ids) as warehouse (id)
    left join lateral (
      select jsonb_build_object('available', available, 'committed', committed,
          'locked', least(campaign + creator, available)) as numbers, observed_at
      from channel_observations
      where tenant_id = listing.tenant_id and sku_id = listing.sku_id and listing_id = listing.id
        and warehouse_id = warehouse.id
      order by observed_at desc limit 1
    ) as seen on true
    left join lateral (
      select jsonb_build_object('available', desired_available, 'state', state, 'outcome', outcome,
          'at', to_char(created_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')) as told
      from push_intents
      where tenant_id = listing.tenant_id and sku_id = listing.sku_id and listing_id = listing.id
        and warehouse_id = warehouse.id
      order by created_at desc limit 1
    ) as push on true
    where listing.sku_id = ${skuId}
    order by listing.id, warehouse.id
  `.execute(transaction);
  return rows;
}
