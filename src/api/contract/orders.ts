import { z } from "zod";
import { channelStatuses } from "../../domain/order/channel-order.ts";
import { lineStages } from "../../domain/order/order.ts";
import { shortageChoices, shortagePolicies } from "../../domain/order/shortage.ts";
import {
  cursorSchema,
  flagSchema,
  limitSchema,
  nextCursorSchema,
  plainText,
  reasonSchema,
  timeSchema,
  uuidSchema,
} from "./common.ts";

export const orderStatusSchema = z.enum([
  "pending",
  "processing",
  "fulfilled",
  "delivered",
  "cancelled",
  "returned",
]);

export const holdSchema = z
  .enum([
    "remorse",
    "shortage",
    "unknown_sku",
    "carrier",
    "no_package",
    "shipment_refused",
    "cancel_requested",
    "cancelling",
  ])
  .describe("Why the order does not move on");

export const ordersQuery = z.strictObject({
  status: orderStatusSchema.optional(),
  hold: holdSchema.optional(),
  needs_attention: flagSchema,
  shop_id: uuidSchema.optional(),
  search: plainText(1, 200).optional().describe("Beginning of the order's number or of a SKU's code"),
  ordered_from: timeSchema.optional(),
  ordered_to: timeSchema.optional().describe("Up to and not including"),
  limit: limitSchema,
  cursor: cursorSchema,
});

const orderFields = {
  id: uuidSchema,
  order_number: z.string().describe("As the channel numbers it"),
  shop_id: uuidSchema,
  shop_name: z.string(),
  status: orderStatusSchema,
  channel_status: z.enum(channelStatuses),
  hold: holdSchema.nullable(),
  next_step: z.string().describe("What will happen next and who must act"),
  needs_attention: z.boolean(),
  units: z.number().int(),
  currency: z.string(),
  total_minor: z.number().int().describe("Minor units of the currency"),
  ordered_at: timeSchema,
  paid_at: timeSchema.nullable(),
  ship_by: timeSchema.nullable(),
  cancel_by: timeSchema.nullable(),
  tracking_number: z.string().nullable(),
  touched: z.boolean().describe("A person had to act"),
  updated_at: timeSchema,
};

export const ordersPage = z.object({
  orders: z.array(z.object(orderFields)),
  pagination: z.object({ limit: z.number().int(), total: z.number().int(), next_cursor: nextCursorSchema }),
});

export const orderParameters = z.object({
  id: z
    .string()
    .regex(/^[A-Za-z0-9_-]{1,100}$/, "is no order's id")
    .describe("UUID, or the channel's order number"),
});

export const orderDetail = z.object({
  ...orderFields,
  shipping: z.enum(["channel", "seller"]),
  warehouse_id: z.string().nullable(),
  buyer_requests_cancel: z.boolean(),
  shipment_refusal: z.string().nullable(),
  cancellation: z
    .object({
      state: z.enum(["requested", "accepted", "refused"]),
      reason: z.string().nullable(),
      requested_by: uuidSchema.nullable(),
    })
    .nullable(),
  shortage: z
    .object({
      course: z.enum([...shortagePolicies, "overdue"]),
      decided_by: uuidSchema.nullable().describe("Null: by the seller's policy"),
    })
    .nullable()
    .describe("What is done about units that are missing; null: none are, or the order is not paid yet"),
  recipient: z
    .object({
      name: z.string().nullable(),
      phone: z.string().nullable(),
      full_address: z.string().nullable(),
      postal_code: z.string().nullable(),
      region_code: z.string().nullable(),
      masked: z.boolean().describe("Parts are hidden from your role"),
    })
    .nullable(),
  lines: z.array(
    z.object({
      line_id: z.string(),
      sku_id: uuidSchema.nullable(),
      sku: z.string().nullable().describe("The seller's own code; null while the SKU is unknown"),
      channel_sku_id: z.string(),
      product_name: z.string(),
      sku_name: z.string().nullable(),
      sale_price_minor: z.number().int(),
      package_id: z.string().nullable(),
      stage: z.enum(lineStages),
      ordered: z.number().int(),
      reserved: z.number().int(),
      short: z.number().int(),
      shipped: z.number().int(),
      delivered: z.number().int(),
      cancelled: z.number().int(),
      returned_good: z.number().int(),
      returned_damaged: z.number().int(),
    }),
  ),
  packages: z.array(
    z.object({
      package_id: z.string(),
      tracking_number: z.string().nullable(),
      document_url: z.string().nullable(),
      document_expires_at: timeSchema.nullable(),
      arranged_at: timeSchema,
    }),
  ),
  tracking: z.array(z.object({ occurred_at: timeSchema, description: z.string() })),
});

export const timelineQuery = z.strictObject({ limit: limitSchema, cursor: cursorSchema });

export const timelinePage = z.object({
  entries: z.array(
    z.object({
      at: timeSchema,
      source: z.enum(["snapshot", "event", "movement", "tracking"]),
      kind: z.string(),
      data: z.record(z.string(), z.unknown()),
      cause: z.string().describe("What made it happen"),
      actor_id: uuidSchema.nullable(),
      actor_name: z.string().nullable(),
    }),
  ),
  next_cursor: nextCursorSchema,
});

export const cancelBody = z.strictObject({ reason: reasonSchema });

export const cancelAnswer = z.object({
  success: z.literal(true),
  status: orderStatusSchema,
  next_step: z.string(),
});

export const shortageBody = z.strictObject({
  course: z
    .enum(shortageChoices)
    .describe(
      "wait: it waits in the queue without an end; release_others: the same, and its other lines leave their units to other orders meanwhile; ask: it keeps what it has, and somebody decides later",
    ),
});

export const shortageAnswer = z.object({
  success: z.literal(true),
  status: orderStatusSchema,
  next_step: z.string(),
});

export const shortagePolicySchema = z.object({
  policy: z
    .enum(shortagePolicies)
    .describe(
      "What is done about a paid order that is short. ask: a person decides; wait: until it should have shipped, then cancelling is proposed; release_others: the same, and its other lines leave their units to other orders; propose_cancelling: at once",
    ),
});

export const shortagePolicyBody = z.strictObject(shortagePolicySchema.shape);
