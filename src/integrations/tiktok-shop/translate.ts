import { asId } from "../../domain/ids.ts";
import type {
  ChannelLine,
  ChannelOrder,
  ChannelStatus,
  Recipient,
} from "../../domain/order/channel-order.ts";
import type { ChannelProduct, ChannelSku, ChannelStock } from "../ports/sales-channel.ts";
import { minorUnits } from "./money.ts";
import type { WireOrder, WireProduct, WireStock } from "./wire.ts";

/** TikTok's words for ours; webhooks and the API spell the cancelled state differently. */
const statusByWord: ReadonlyMap<string, ChannelStatus> = new Map([
  ["UNPAID", "unpaid"],
  ["ON_HOLD", "on_hold"],
  ["AWAITING_SHIPMENT", "awaiting_shipment"],
  ["PARTIALLY_SHIPPING", "partially_shipping"],
  ["AWAITING_COLLECTION", "awaiting_collection"],
  ["IN_TRANSIT", "in_transit"],
  ["DELIVERED", "delivered"],
  ["COMPLETED", "completed"],
  ["CANCELLED", "cancelled"],
  ["CANCEL", "cancelled"],
]);

/** @throws RangeError when the order's status is a word we do not know, or an amount is none. */
export function translateOrder(wire: WireOrder): ChannelOrder {
  const status = statusByWord.get(wire.status);
  if (status === undefined) throw new RangeError(`Order status ${wire.status.slice(0, 40)} is unknown`);
  const { currency, total_amount: total } = wire.payment;
  return {
    orderId: asId(wire.id),
    status,
    onHold: status === "on_hold" || wire.is_on_hold_order === true,
    createdAt: wire.create_time,
    updatedAt: wire.update_time,
    paidAt: wire.paid_time ?? null,
    // Everything but the seller's own stock lies in a warehouse of the platform (TikTok, or Dilayani in Indonesia).
    fulfilledBy:
      (wire.fulfillment_type ?? "FULFILLMENT_BY_SELLER") === "FULFILLMENT_BY_SELLER" ? "seller" : "channel",
    shipping: wire.shipping_type === "SELLER" ? "seller" : "channel",
    warehouseId: wire.warehouse_id == null ? null : asId(wire.warehouse_id),
    shipBy: wire.rts_sla_time ?? null,
    cancelBy: wire.cancel_order_sla_time ?? null,
    cancelReason: wire.cancel_reason ?? null,
    buyerRequestsCancel: wire.is_buyer_request_cancel === true,
    trackingNumber: wire.tracking_number ?? null,
    currency,
    totalMinor: minorUnits(total, currency),
    lines: wire.line_items.map((line) => translateLine(wire, line, status)),
  };
}

function translateLine(
  order: WireOrder,
  line: WireOrder["line_items"][number],
  orderStatus: ChannelStatus,
): ChannelLine {
  // In some markets no line names its package before it ships; the order's only one is then everybody's.
  const [onlyPackage, ...otherPackages] = order.packages ?? [];
  const unnamed = otherPackages.length === 0 && order.line_items.every((each) => each.package_id == null);
  const packageId = line.package_id ?? (unnamed ? onlyPackage?.id : null) ?? null;
  return {
    lineId: asId(line.id),
    channelSkuId: asId(line.sku_id),
    channelProductId: asId(line.product_id),
    sellerSku: line.seller_sku ?? null,
    productName: line.product_name,
    skuName: line.sku_name ?? null,
    quantity: 1,
    // A line knows fewer words than its order (no hold, no partial shipment); what it does not say is the order's.
    status: statusByWord.get(line.display_status ?? "") ?? orderStatus,
    packageId: packageId === null ? null : asId(packageId),
    salePriceMinor: minorUnits(line.sale_price, order.payment.currency),
  };
}

export function translateRecipient(wire: WireOrder): Recipient | null {
  const address = wire.recipient_address;
  if (address == null) return null;
  const recipient: Recipient = {
    name: address.name ?? null,
    phone: address.phone_number ?? null,
    fullAddress: address.full_address ?? null,
    postalCode: address.postal_code ?? null,
    regionCode: address.region_code ?? null,
  };
  return Object.values(recipient).every((value) => value === null) ? null : recipient;
}

/** @throws RangeError when a price is no amount. */
export function translateProduct(wire: WireProduct): ChannelProduct {
  return {
    productId: asId(wire.id),
    title: wire.title,
    active: wire.status === "ACTIVATE",
    skus: wire.skus.map(translateSku),
  };
}

function translateSku(wire: WireProduct["skus"][number]): ChannelSku {
  const price = wire.price?.sale_price ?? wire.price?.tax_exclusive_price ?? null;
  const currency = wire.price?.currency ?? null;
  const priced = price !== null && currency !== null;
  return {
    channelSkuId: asId(wire.id),
    sellerSku: wire.seller_sku ?? null,
    name: wire.sales_attributes?.map((attribute) => attribute.value_name).join(", ") || null,
    priceMinor: priced ? minorUnits(price, currency) : null,
    currency: priced ? currency : null,
    warehouseIds: (wire.inventory ?? []).map((each) => asId<"ChannelWarehouse">(each.warehouse_id)),
  };
}

export function translateStock(wire: WireStock): readonly ChannelStock[] {
  return wire.skus.flatMap((sku) =>
    sku.warehouse_inventory.map((level) => ({
      channelProductId: asId<"ChannelProduct">(wire.product_id),
      channelSkuId: asId<"ChannelSku">(sku.id),
      warehouseId: asId<"ChannelWarehouse">(level.warehouse_id),
      available: level.available_quantity,
      committed: level.committed_quantity,
      campaign: sku.total_available_inventory_distribution?.campaign_inventory ?? 0,
      creator: sku.total_available_inventory_distribution?.creator_inventory ?? 0,
    })),
  );
}
