import { z } from "zod";

/**
 * What the simulator knows, one schema per kind of record. Times ending in `Time` are whole Unix seconds, as on the
 * wire; times ending in `Milliseconds` are Unix milliseconds. Ids are 64-bit decimal numbers as text.
 */

export const orderStatuses = [
  "UNPAID",
  "ON_HOLD",
  "AWAITING_SHIPMENT",
  "PARTIALLY_SHIPPING",
  "AWAITING_COLLECTION",
  "IN_TRANSIT",
  "DELIVERED",
  "COMPLETED",
  "CANCELLED",
] as const;
const orderStatus = z.enum(orderStatuses);
export type OrderStatus = z.output<typeof orderStatus>;

export const shippingTypes = ["TIKTOK", "SELLER"] as const;
const shippingType = z.enum(shippingTypes);
export const cancelRoles = ["BUYER", "SELLER", "SYSTEM"] as const;
const cancelRole = z.enum(cancelRoles);
export type CancelRole = z.output<typeof cancelRole>;

/** Real milliseconds an order stays in a state; null means until told, absent means as TikTok has it, scaled. */
export const stayDurations = z.strictObject({
  unpaidMs: z.number().int().min(0).nullable().optional(),
  onHoldMs: z.number().int().min(0).nullable().optional(),
  /** From awaiting shipment to the system's cancellation for want of it. */
  shipmentMs: z.number().int().min(0).nullable().optional(),
  collectionMs: z.number().int().min(0).nullable().optional(),
  transitMs: z.number().int().min(0).nullable().optional(),
  completedMs: z.number().int().min(0).nullable().optional(),
});
export type StayDurations = z.output<typeof stayDurations>;

const orderLine = z.object({
  id: z.string(),
  skuId: z.string(),
  /** Sold when nothing was available: a cancellation gives back nothing. */
  oversold: z.boolean(),
  packageId: z.string().nullable(),
});
export type OrderLine = z.output<typeof orderLine>;

const parcelStatus = z.enum(["TO_FULFILL", "PROCESSING", "FULFILLING", "COMPLETED", "CANCELLED"]);
export type ParcelStatus = z.output<typeof parcelStatus>;

const parcel = z.object({
  id: z.string(),
  status: parcelStatus,
  handoverMethod: z.string().nullable(),
  trackingNumber: z.string().nullable(),
  shippingProviderId: z.string().nullable(),
  /** Calls that arranged it, and calls that asked for it again afterwards and were refused. */
  shipCallsAccepted: z.number().int().default(0),
  shipCallsRepeated: z.number().int().default(0),
});
export type Parcel = z.output<typeof parcel>;

export const cancelStatuses = [
  "CANCELLATION_REQUEST_PENDING",
  "CANCELLATION_REQUEST_SUCCESS",
  "CANCELLATION_REQUEST_CANCEL",
  "CANCELLATION_REQUEST_COMPLETE",
] as const;

const cancellation = z.object({
  id: z.string(),
  role: cancelRole,
  status: z.enum(cancelStatuses),
  reason: z.string(),
  createTime: z.number().int(),
  updateTime: z.number().int(),
  /** When a request that nobody answered is approved; null once it is settled. */
  approvedMilliseconds: z.number().int().nullable(),
});
export type Cancellation = z.output<typeof cancellation>;

export const orderRecord = z.object({
  id: z.string(),
  burstId: z.string().nullable(),
  status: orderStatus,
  shippingType,
  warehouseId: z.string(),
  buyerId: z.string(),
  lines: z.array(orderLine),
  parcels: z.array(parcel),
  durations: stayDurations,
  createTime: z.number().int(),
  updateTime: z.number().int(),
  statusChanges: z.array(z.object({ status: orderStatus, by: cancelRole, atMilliseconds: z.number().int() })),
  /** The deadlines that are told from AWAITING_SHIPMENT on; whole seconds, null when the order stays until told. */
  deadlines: z
    .object({
      readyToShipTime: z.number().int(),
      carrierPickUpTime: z.number().int(),
      deliveryTime: z.number().int(),
      cancelTime: z.number().int().nullable(),
    })
    .nullable(),
  /** When the present state ends by itself. */
  dueMilliseconds: z.number().int().nullable(),
  buyerCancelsMilliseconds: z.number().int().nullable(),
  cancellation: cancellation.nullable(),
  shipCallsAccepted: z.number().int(),
  cancelCount: z.number().int(),
});
export type Order = z.output<typeof orderRecord>;

/** Units of one SKU in one warehouse, and everything that made them so. */
const stockCell = z.object({
  warehouseId: z.string(),
  available: z.number().int(),
  committed: z.number().int(),
  initial: z.number().int(),
  /** Units that orders took, oversold ones included. */
  sold: z.number().int(),
  oversold: z.number().int(),
  cancelled: z.number().int(),
  cancelledOversold: z.number().int(),
  /** Units that left with a carrier. */
  deducted: z.number().int(),
  /** Sums of the signed changes that Update Inventory and the warehouse's own people made. */
  setByApi: z.number().int(),
  setByHand: z.number().int(),
});
export type StockCell = z.output<typeof stockCell>;

export const skuRecord = z.object({
  id: z.string(),
  productId: z.string(),
  sellerSku: z.string(),
  name: z.string(),
  pricePence: z.number().int(),
  /** Kept for bursts: the steady stream of orders never sells it. */
  reservedForBursts: z.boolean(),
  /** Of the available units, those that only a campaign or a creator may sell. */
  campaignLocked: z.number().int().min(0).default(0),
  creatorLocked: z.number().int().min(0).default(0),
  cells: z.array(stockCell),
});
export type Sku = z.output<typeof skuRecord>;

export const productRecord = z.object({ id: z.string(), title: z.string(), createTime: z.number().int() });
export type Product = z.output<typeof productRecord>;

export const warehouseRecord = z.object({ id: z.string(), name: z.string(), isDefault: z.boolean() });
export type Warehouse = z.output<typeof warehouseRecord>;

/** One pair of tokens. A replaced refresh token keeps working for a while. */
export const grantRecord = z.object({
  id: z.string(),
  accessToken: z.string(),
  accessExpireTime: z.number().int(),
  refreshToken: z.string(),
  refreshExpireTime: z.number().int(),
  replacedMilliseconds: z.number().int().nullable(),
});
export type Grant = z.output<typeof grantRecord>;

export const authCodeRecord = z.object({ id: z.string(), expireMilliseconds: z.number().int() });

export const webhookRecord = z.object({
  id: z.string(),
  type: z.number().int(),
  url: z.string().nullable(),
  body: z.string(),
  createMilliseconds: z.number().int(),
  /** Null when nothing will be sent any more. */
  dueMilliseconds: z.number().int().nullable(),
  fate: z.enum(["pending", "delivered", "dropped", "unaddressed", "lost"]),
  /** What was done to it by the plan of faults. */
  faults: z.array(z.enum(["lost", "delayed", "reordered", "duplicated", "forged"])).default([]),
  attempts: z.array(
    z.object({
      atMilliseconds: z.number().int(),
      /** HTTP status, or null when there was no answer. */
      status: z.number().int().nullable(),
      error: z.string().nullable(),
    }),
  ),
});
export type Webhook = z.output<typeof webhookRecord>;

export const burstRecord = z.object({
  id: z.string(),
  orders: z.number().int(),
  skuIds: z.array(z.string()),
  linesPerOrder: z.number().int(),
  oversell: z.boolean(),
  durations: stayDurations,
  overMs: z.number().int(),
  startMilliseconds: z.number().int(),
  /** Orders tried so far: those created and those for which nothing was left. */
  tried: z.number().int(),
  created: z.number().int(),
});
export type Burst = z.output<typeof burstRecord>;

/** How often an endpoint answered with each code; the id is method and path pattern. */
export const callCountRecord = z.object({ id: z.string(), codes: z.record(z.string(), z.number().int()) });

export const accountRecord = z.object({
  id: z.literal("account"),
  appKey: z.string(),
  appSecret: z.string(),
  sellerId: z.string(),
  sellerOpenId: z.string(),
  shopId: z.string(),
  shopCipher: z.string(),
  shopCode: z.string(),
  shopName: z.string(),
  region: z.string(),
});

export const settingsRecord = z.object({
  id: z.literal("settings"),
  webhookUrl: z.string().nullable(),
  ordersPerMinute: z.number(),
  timeScale: z.number(),
  requestsPerSecond: z.number(),
  requestBurst: z.number().int(),
});

export const counterRecord = z.object({ id: z.literal("ids"), last: z.number().int() });
export type Settings = z.output<typeof settingsRecord>;
