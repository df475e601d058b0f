import { draw } from "../catalogue.ts";
import { tiktokCarrier } from "../shipping.ts";
import type { Order, OrderLine, OrderStatus, Parcel } from "../records.ts";
import type { Books } from "../state.ts";
import { pounds } from "./products.ts";
import { recipientAddress } from "./recipient.ts";

/** Orders as the API shows them. Absent members are undefined and leave no trace in the JSON. */

const shippingFeePence = 299;
const freeShippingFromPence = 2500;
const deliveryOption = { id: "7129720299146184453", name: "Standard shipping" };

export function orderOnWire(books: Books, order: Order) {
  const lines = order.lines.map((line) => pricedLine(books, line));
  const [parcel] = order.parcels.filter(({ trackingNumber }) => trackingNumber !== null);
  const cancelled = order.status === "CANCELLED";
  const asked = order.cancellation?.role === "BUYER" ? order.cancellation : null;
  return {
    id: order.id,
    status: order.status,
    create_time: order.createTime,
    update_time: order.updateTime,
    paid_time: enteredTime(order, "ON_HOLD"),
    user_id: order.buyerId,
    buyer_email: `v2.${order.buyerId}@scs.tiktokw.example`,
    buyer_message: "",
    seller_note: "",
    order_type: "",
    commerce_platform: "TIKTOK_SHOP",
    is_on_hold_order: order.status === "ON_HOLD",
    is_cod: false,
    is_sample_order: false,
    is_replacement_order: false,
    is_exchange_order: false,
    has_updated_recipient_address: false,
    is_buyer_request_cancel: asked?.status === "CANCELLATION_REQUEST_PENDING",
    request_cancel_time: asked?.createTime,
    cancel_reason: cancelled ? order.cancellation?.reason : undefined,
    cancel_time: cancelled ? order.updateTime : undefined,
    cancellation_initiator: cancelled ? order.cancellation?.role : undefined,
    fulfillment_type: "FULFILLMENT_BY_SELLER",
    shipping_type: order.shippingType,
    delivery_type: "HOME_DELIVERY",
    delivery_option_id: deliveryOption.id,
    delivery_option_name: deliveryOption.name,
    shipping_provider: parcel === undefined ? undefined : providerName(parcel),
    shipping_provider_id: parcel?.shippingProviderId ?? undefined,
    tracking_number: parcel?.trackingNumber ?? undefined,
    warehouse_id: order.warehouseId,
    packages: order.parcels.map(({ id }) => ({ id })),
    handling_duration: { days: "2", type: "BUSINESS_DAY" },
    ...deadlinesOnWire(order),
    ...milestonesOnWire(order),
    payment: paymentOnWire(lines),
    recipient_address: recipientAddress(order),
    line_items: lines.map((priced) => lineOnWire(books, order, priced)),
  };
}

interface PricedLine {
  readonly line: OrderLine;
  readonly originalPence: number;
  readonly sellerDiscountPence: number;
}

/** One unit in five is sold with 10 % off; which one follows from the line's id. */
function pricedLine(books: Books, line: OrderLine): PricedLine {
  const originalPence = books.skus.get(line.skuId).pricePence;
  const reduced = draw(line.id, "discount", 1, 5) === 1;
  return { line, originalPence, sellerDiscountPence: reduced ? Math.round(originalPence / 10) : 0 };
}

function paymentOnWire(lines: readonly PricedLine[]) {
  const original = lines.reduce((total, { originalPence }) => total + originalPence, 0);
  const discount = lines.reduce((total, { sellerDiscountPence }) => total + sellerDiscountPence, 0);
  const subTotal = original - discount;
  const shippingFee = subTotal < freeShippingFromPence ? shippingFeePence : 0;
  return {
    currency: "GBP",
    sub_total: pounds(subTotal),
    shipping_fee: pounds(shippingFee),
    seller_discount: pounds(discount),
    platform_discount: pounds(0),
    total_amount: pounds(subTotal + shippingFee),
    original_total_product_price: pounds(original),
    original_shipping_fee: pounds(shippingFeePence),
    shipping_fee_seller_discount: pounds(shippingFeePence - shippingFee),
    shipping_fee_platform_discount: pounds(0),
    shipping_fee_cofunded_discount: pounds(0),
    tax: pounds(0),
    product_tax: pounds(0),
    shipping_fee_tax: pounds(0),
  };
}

function lineOnWire(books: Books, order: Order, { line, originalPence, sellerDiscountPence }: PricedLine) {
  const sku = books.skus.get(line.skuId);
  const parcel = order.parcels.find(({ id }) => id === line.packageId);
  const cancelled = order.status === "CANCELLED";
  return {
    id: line.id,
    sku_id: sku.id,
    product_id: sku.productId,
    seller_sku: sku.sellerSku,
    product_name: books.products.get(sku.productId).title,
    sku_name: sku.name,
    sku_image: `https://images.example/${sku.id}.jpeg`,
    display_status: displayStatus(order.status, parcel),
    package_id: parcel?.id,
    package_status: parcel?.status,
    tracking_number: parcel?.trackingNumber ?? undefined,
    shipping_provider_id: parcel?.shippingProviderId ?? undefined,
    shipping_provider_name: parcel?.trackingNumber == null ? undefined : providerName(parcel),
    rts_time: parcel?.trackingNumber == null ? undefined : enteredTime(order, "AWAITING_COLLECTION"),
    original_price: pounds(originalPence),
    sale_price: pounds(originalPence - sellerDiscountPence),
    seller_discount: pounds(sellerDiscountPence),
    platform_discount: pounds(0),
    currency: "GBP",
    item_tax: [],
    is_gift: false,
    is_dangerous_good: false,
    sku_type: "NORMAL",
    cancel_reason: cancelled ? order.cancellation?.reason : undefined,
    cancel_user: cancelled ? order.cancellation?.role : undefined,
  };
}

/** Lines know neither the hold nor a partly shipped order: they await shipment, or their parcel its collection. */
function displayStatus(status: OrderStatus, parcel: Parcel | undefined): string {
  if (status === "ON_HOLD") return "AWAITING_SHIPMENT";
  if (status !== "PARTIALLY_SHIPPING") return status;
  return parcel?.status === "PROCESSING" ? "AWAITING_COLLECTION" : "AWAITING_SHIPMENT";
}

function deadlinesOnWire({ deadlines }: Order) {
  if (deadlines === null) return {};
  return {
    rts_sla_time: deadlines.readyToShipTime,
    tts_sla_time: deadlines.carrierPickUpTime,
    delivery_sla_time: deadlines.deliveryTime,
    cancel_order_sla_time: deadlines.cancelTime ?? undefined,
    shipping_due_time: deadlines.cancelTime ?? undefined,
    collection_due_time: deadlines.carrierPickUpTime,
    delivery_due_time: deadlines.deliveryTime,
    recommended_shipping_time: deadlines.readyToShipTime,
  };
}

function milestonesOnWire(order: Order) {
  return {
    rts_time: enteredTime(order, "AWAITING_COLLECTION"),
    collection_time: enteredTime(order, "IN_TRANSIT"),
    delivery_time: enteredTime(order, "DELIVERED"),
  };
}

function enteredTime(order: Order, status: OrderStatus): number | undefined {
  const change = order.statusChanges.find((entry) => entry.status === status);
  return change === undefined ? undefined : Math.floor(change.atMilliseconds / 1000);
}

function providerName(parcel: Parcel): string {
  return parcel.shippingProviderId === tiktokCarrier.id ? tiktokCarrier.name : "Seller's carrier";
}
