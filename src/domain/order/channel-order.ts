import type {
  ChannelLineId,
  ChannelOrderId,
  ChannelPackageId,
  ChannelProductId,
  ChannelSkuId,
  ChannelWarehouseId,
} from "../ids.ts";

/**
 * An order's state as its channel tells it, in the order of a plain life. `partially_shipping` is left out of a plain
 * life; `cancelled` ends any life before delivery.
 */
export const channelStatuses = [
  "unpaid",
  "on_hold",
  "awaiting_shipment",
  "partially_shipping",
  "awaiting_collection",
  "in_transit",
  "delivered",
  "completed",
  "cancelled",
] as const;
export type ChannelStatus = (typeof channelStatuses)[number];

/** One line of a channel's order. On TikTok Shop a line is one unit, so `quantity` is 1 there. */
export interface ChannelLine {
  readonly lineId: ChannelLineId;
  readonly channelSkuId: ChannelSkuId;
  readonly channelProductId: ChannelProductId;
  readonly sellerSku: string | null;
  readonly productName: string;
  readonly skuName: string | null;
  readonly quantity: number;
  readonly status: ChannelStatus;
  readonly packageId: ChannelPackageId | null;
  /** Integer minor units of the order's currency. */
  readonly salePriceMinor: number;
}

/**
 * What a channel says of an order at one moment, without anything personal: names, addresses and phones travel apart
 * (`Recipient`) and are stored encrypted. Times are ISO 8601 in UTC.
 */
export interface ChannelOrder {
  readonly orderId: ChannelOrderId;
  readonly status: ChannelStatus;
  /** True while the channel forbids fulfilment although the order is paid (remorse hour, pre-order). */
  readonly onHold: boolean;
  readonly createdAt: string;
  /** Whole seconds on TikTok Shop, and the time of the last *status* change only. */
  readonly updatedAt: string;
  readonly paidAt: string | null;
  /** Whose stock it comes from: the seller's, or units that lie in the channel's own warehouse and are none of ours. */
  readonly fulfilledBy: "seller" | "channel";
  /** Who ships: the channel's own logistics, or the seller with a carrier of their own. */
  readonly shipping: "channel" | "seller";
  readonly warehouseId: ChannelWarehouseId | null;
  /** Ship-by deadline, when the channel gives one. */
  readonly shipBy: string | null;
  /** The channel cancels by itself when the order is not shipped by then. */
  readonly cancelBy: string | null;
  readonly cancelReason: string | null;
  readonly buyerRequestsCancel: boolean;
  readonly trackingNumber: string | null;
  readonly currency: string;
  /** Integer minor units. */
  readonly totalMinor: number;
  readonly lines: readonly ChannelLine[];
}

/** Where the parcel goes. Personal: encrypted at rest, never in a log or a workflow's history. */
export interface Recipient {
  readonly name: string | null;
  readonly phone: string | null;
  readonly fullAddress: string | null;
  readonly postalCode: string | null;
  readonly regionCode: string | null;
}
