import type {
  ChannelOrderId,
  ChannelPackageId,
  ChannelProductId,
  ChannelSkuId,
  ChannelWarehouseId,
  ShopId,
  TenantId,
} from "../../domain/ids.ts";
import type { ChannelOrder, Recipient } from "../../domain/order/channel-order.ts";

/** Which shop a call is for. Credentials are the adapter's business: it finds them by this. */
export interface ShopKey {
  readonly tenantId: TenantId;
  readonly shopId: ShopId;
}

/**
 * How urgent a call is when the rate budget is short: 1 fulfilment, 2 news of orders, 3 schedules and pushes of stock,
 * 4 what can wait (tracking, documents). A call of a lower class leaves a part of the budget to the higher ones.
 */
export type CallPriority = 1 | 2 | 3 | 4;

/** An order as fetched. */
export interface FetchedOrder {
  readonly order: ChannelOrder;
  readonly recipient: Recipient | null;
}

/** An order that came and cannot be read, as far as it says which one it is. */
export interface UnreadableOrder {
  readonly orderId: ChannelOrderId | null;
  /** ISO 8601, the channel's time. */
  readonly updatedAt: string | null;
  /** Names places and words of the channel's, nothing personal. */
  readonly reason: string;
}

export interface ChannelWarehouse {
  readonly warehouseId: ChannelWarehouseId;
  readonly name: string;
  readonly isDefault: boolean;
  readonly enabled: boolean;
}

export interface ChannelSku {
  readonly channelSkuId: ChannelSkuId;
  readonly sellerSku: string | null;
  readonly name: string | null;
  /** Integer minor units, null when the channel gives no price. */
  readonly priceMinor: number | null;
  readonly currency: string | null;
  readonly warehouseIds: readonly ChannelWarehouseId[];
}

export interface ChannelProduct {
  readonly productId: ChannelProductId;
  readonly title: string;
  readonly active: boolean;
  readonly skus: readonly ChannelSku[];
}

/** The channel's stock of one SKU at one warehouse. `available` is for sale, `committed` is sold and not yet deducted. */
export interface ChannelStock {
  readonly channelProductId: ChannelProductId;
  readonly channelSkuId: ChannelSkuId;
  readonly warehouseId: ChannelWarehouseId;
  readonly available: number;
  readonly committed: number;
  /** Of the SKU's available units, over all warehouses, those that only a campaign or a creator may sell. */
  readonly campaign: number;
  readonly creator: number;
}

/** A result for one item of a call that carries many. */
export type ItemResult<Key extends string> =
  | { readonly key: Key; readonly ok: true }
  | { readonly key: Key; readonly ok: false; readonly channelCode: string; readonly message: string };

export interface TrackingEntry {
  readonly description: string;
  /** ISO 8601. */
  readonly at: string;
}

/**
 * A marketplace, as the rest of the product sees it. Every method may throw `ChannelFailure` and nothing else; none
 * retries by itself except for one token refresh, so that whoever calls decides about time.
 */
export interface SalesChannel {
  /** The shops this connection's credentials open. */
  authorisedShops(shop: ShopKey): Promise<
    readonly {
      readonly channelShopId: string;
      readonly cipher: string;
      readonly name: string;
      readonly region: string;
    }[]
  >;

  listWarehouses(shop: ShopKey): Promise<readonly ChannelWarehouse[]>;

  /** One page of the catalogue, at most 100 products. */
  listProducts(
    shop: ShopKey,
    pageToken: string | null,
  ): Promise<{ readonly products: readonly ChannelProduct[]; readonly nextPageToken: string | null }>;

  /** Looks SKUs up in the catalogue, at most 10. What the channel does not know is missing from the answer. */
  findProductsBySku(shop: ShopKey, skuIds: readonly ChannelSkuId[]): Promise<readonly ChannelProduct[]>;

  /** Stock of at most 600 SKUs. What the channel does not know is missing from the answer. */
  readStock(
    shop: ShopKey,
    skuIds: readonly ChannelSkuId[],
    priority: CallPriority,
  ): Promise<readonly ChannelStock[]>;

  /**
   * Sets what is for sale, absolutely, for SKUs of one product. The channel has no compare-and-swap and no idempotency
   * key: read back after an unknown outcome. Every warehouse of a SKU must be listed.
   */
  setAvailable(
    shop: ShopKey,
    productId: ChannelProductId,
    levels: readonly {
      readonly channelSkuId: ChannelSkuId;
      readonly warehouseId: ChannelWarehouseId;
      readonly available: number;
    }[],
    priority: CallPriority,
  ): Promise<readonly ItemResult<ChannelSkuId>[]>;

  /** Orders by number, at most 50. What the channel does not (yet) know is missing from the answer. */
  fetchOrders(
    shop: ShopKey,
    orderIds: readonly ChannelOrderId[],
    priority: CallPriority,
  ): Promise<readonly FetchedOrder[]>;

  /** One page of orders whose update time lies in the window, oldest first. Whole seconds; lower bound inclusive. */
  searchOrders(
    shop: ShopKey,
    window: { readonly updatedFrom: string; readonly updatedBefore: string | null },
    pageToken: string | null,
  ): Promise<{
    readonly orders: readonly FetchedOrder[];
    readonly unreadable: readonly UnreadableOrder[];
    readonly nextPageToken: string | null;
  }>;

  /**
   * Arranges shipment through the channel's own logistics, at most 50 packages. No idempotency key: read the order back
   * after an unknown outcome.
   */
  arrangeShipments(
    shop: ShopKey,
    packageIds: readonly ChannelPackageId[],
  ): Promise<readonly ItemResult<ChannelPackageId>[]>;

  /** Tells the channel that lines left with the seller's own carrier. No idempotency key. */
  markShipped(
    shop: ShopKey,
    orderId: ChannelOrderId,
    shipment: {
      readonly lineIds: readonly string[];
      readonly trackingNumber: string;
      readonly shippingProviderId: string;
    },
  ): Promise<{ readonly packageId: ChannelPackageId }>;

  /** The label of an arranged package; the address is valid for 24 hours. */
  shippingDocument(
    shop: ShopKey,
    packageId: ChannelPackageId,
  ): Promise<{ readonly url: string; readonly trackingNumber: string | null }>;

  /** What the carrier has reported so far, oldest first. */
  tracking(shop: ShopKey, orderId: ChannelOrderId): Promise<readonly TrackingEntry[]>;

  /** Cancels a whole order as its seller. */
  cancelOrder(
    shop: ShopKey,
    orderId: ChannelOrderId,
    reason: string,
  ): Promise<{ readonly cancelId: string; readonly status: string }>;
}
