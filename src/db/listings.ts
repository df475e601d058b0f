import { sql } from "kysely";
import {
  asId,
  type ChannelProductId,
  type ChannelSkuId,
  type ChannelWarehouseId,
  type ShopId,
  type SkuId,
} from "../domain/ids.ts";
import type { TenantTransaction } from "./tenant.ts";

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

/** Where SKUs are sold. */
export async function findListings(
  transaction: TenantTransaction,
  skuIds: readonly SkuId[],
): Promise<readonly Listing[]> {
  const { rows } = await sql<ListingRow>`
    select ${listingColumns}
    from listings as listing join skus as sku on sku.tenant_id = listing.tenant_id and sku.id = listing.sku_id
    where listing.sku_id = any (${[...new Set(skuIds)]}::uuid[]) order by listing.id`.execute(transaction);
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
