/**
 * Every id has its own type, so that a shop's id cannot stand where an order's is wanted. They are plain strings at
 * run time and on the wire.
 */
type Id<Name extends string> = string & { readonly __id: Name };

/** One seller's business. UUID. */
export type TenantId = Id<"Tenant">;
/** One account of a tenant on a channel. UUID, ours. */
export type ShopId = Id<"Shop">;
/** What is counted. UUID, ours. */
export type SkuId = Id<"Sku">;
/** Where stock lies. UUID, ours. */
export type LocationId = Id<"Location">;
/** A person or a machine that acts. UUID. */
export type UserId = Id<"User">;
/** An order as its channel numbers it: decimal digits on TikTok Shop, beyond 2^53, hence never a number. */
export type ChannelOrderId = Id<"ChannelOrder">;
/** One line of an order as its channel numbers it. On TikTok Shop one line is one unit. */
export type ChannelLineId = Id<"ChannelLine">;
/** A package as its channel numbers it. */
export type ChannelPackageId = Id<"ChannelPackage">;
/** A SKU as its channel numbers it. */
export type ChannelSkuId = Id<"ChannelSku">;
/** A product as its channel numbers it. */
export type ChannelProductId = Id<"ChannelProduct">;
/** A warehouse as its channel numbers it. */
export type ChannelWarehouseId = Id<"ChannelWarehouse">;
/** One alert. UUID, ours. */
export type AlertId = Id<"Alert">;
/** One message about an alert to one person by one medium. UUID, ours. */
export type AlertDeliveryId = Id<"AlertDelivery">;
/** One request to change a SKU's stock, made from business ids; applied at most once, ever. */
export type OperationId = Id<"Operation">;
/** A hold of units for one order line: `<order>/<line>/<generation>`. */
export type ReservationId = Id<"Reservation">;

/**
 * Names a checked string as an id. The caller vouches that it came from a parsed border, a table or an id builder.
 */
export function asId<Name extends string>(text: string): Id<Name> {
  return text as Id<Name>;
}

/** What has a workflow of its own that is begun anew from what Postgres knows; also the first part of the workflow's id. */
export const workflowSubjects = ["order", "sku", "approval", "bulk", "alert"] as const;

export interface WorkflowSubject {
  readonly of: (typeof workflowSubjects)[number];
  /** An order's reference, or the row's id. */
  readonly id: string;
}
