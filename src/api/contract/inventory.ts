import { z } from "zod";
import {
  cursorSchema,
  limitSchema,
  nextCursorSchema,
  plainText,
  reasonSchema,
  timeSchema,
  uuidSchema,
} from "./common.ts";

export const stockStatusSchema = z
  .enum(["in_stock", "low_stock", "out_of_stock"])
  .describe("low_stock: available is at or below the threshold; out_of_stock: nothing is available");

export const productsQuery = z.strictObject({
  page: z.coerce.number().int().min(1).max(100_000).default(1).describe("Ignored when a cursor is given"),
  limit: limitSchema,
  status: stockStatusSchema.optional(),
  search: plainText(1, 200).optional().describe("Part of the name or of the SKU's code, in any case"),
  cursor: cursorSchema,
});

export const productFields = {
  id: uuidSchema.describe("UUID of the SKU"),
  name: z.string(),
  sku: z.string().describe("The seller's own code"),
  product_id: uuidSchema,
  product_title: z.string(),
  current_stock: z.number().int().describe("Sellable units that physically exist, over all locations"),
  reserved_stock: z.number().int().describe("Units promised to orders and not yet shipped"),
  available_stock: z.number().int().describe("current_stock - reserved_stock"),
  shortage: z.number().int().describe("Units that orders wait for"),
  buffer: z.number().int().describe("Units kept back from the listings"),
  low_stock_threshold: z.number().int(),
  status: stockStatusSchema,
  last_inventory_sync: timeSchema.nullable(),
  inventory_sync_status: z.enum(["synced", "pending", "failed", "drift", "paused"]),
};

export const productsPage = z.object({
  products: z.array(z.object(productFields)),
  pagination: z.object({
    page: z.number().int(),
    limit: z.number().int(),
    total: z.number().int(),
    next_cursor: nextCursorSchema,
  }),
});

export const movementSchema = z
  .object({
    id: uuidSchema,
    sequence: z.number().int().describe("Rises by one a movement of the SKU, without gaps"),
    date: timeSchema,
    type: z.enum(["IN", "OUT", "ADJUSTMENT"]),
    kind: z.string().describe("opening, receive, reserve, release, ship, return, adjust, ..."),
    quantity: z.number().int().describe("Units, always positive"),
    on_hand_effect: z.number().int(),
    reserved_effect: z.number().int(),
    previous_stock: z.number().int().describe("On hand at the location before"),
    new_stock: z.number().int().describe("On hand at the location after"),
    previous_reserved: z.number().int(),
    new_reserved: z.number().int(),
    reason: z.string(),
    reference_type: z.string(),
    reference_id: z.string(),
    location_id: uuidSchema,
    actor_id: uuidSchema.nullable(),
    actor_name: z.string().nullable().describe("Null: done by the system"),
  })
  .meta({ id: "Movement" });

export const productDetail = z.object({
  ...productFields,
  levels: z.array(
    z.object({
      location_id: uuidSchema,
      location_name: z.string(),
      is_default: z.boolean(),
      current_stock: z.number().int(),
      reserved_stock: z.number().int(),
      available_stock: z.number().int(),
      backorder_floor: z.number().int().describe("How far below nothing availability may go"),
      version: z.number().int(),
      updated_at: timeSchema,
    }),
  ),
  listings: z.array(
    z.object({
      id: uuidSchema,
      shop_id: uuidSchema,
      shop_name: z.string(),
      channel_product_id: z.string(),
      channel_sku_id: z.string(),
      warehouse_ids: z.array(z.string()),
    }),
  ),
  history: z.array(movementSchema).describe("The last 50 movements, newest first"),
});

export const transactionsQuery = z.strictObject({
  limit: limitSchema,
  cursor: cursorSchema,
  as_of: timeSchema
    .optional()
    .describe("Only what had happened by then, with the stock as it was at that moment"),
});

export const transactionsPage = z.object({
  transactions: z.array(movementSchema),
  levels_as_of: z
    .array(
      z.object({
        location_id: uuidSchema,
        location_name: z.string(),
        current_stock: z.number().int(),
        reserved_stock: z.number().int(),
        available_stock: z.number().int(),
        sequence: z
          .number()
          .int()
          .nullable()
          .describe("Of the last movement by then; null: nothing had moved there"),
      }),
    )
    .nullable()
    .describe("With `as_of`: the stock at that moment, by location"),
  next_cursor: nextCursorSchema,
});

export const adjustBody = z.strictObject({
  quantity: z
    .number()
    .int()
    .min(-10_000)
    .max(10_000)
    .refine((quantity) => quantity !== 0, "must not be 0")
    .describe("Units to add, or with a minus to take away; more than 100 at once needs an admin"),
  reason: reasonSchema,
  location_id: uuidSchema.optional().describe("Where; the default location when left out"),
});

export const adjustAnswer = z.object({
  success: z.literal(true),
  new_stock_level: z.number().int().describe("On hand after the change, over all locations"),
  available_stock: z.number().int(),
});

export type AdjustBody = z.output<typeof adjustBody>;
