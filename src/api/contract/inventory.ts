import { z } from "zod";
import { largeChangeUnits } from "../../domain/approval/decide.ts";
import { bulkLimits } from "../../domain/bulk/bulk-row.ts";
import {
  cursorSchema,
  idempotencyHeaders,
  limitSchema,
  nextCursorSchema,
  plainText,
  reasonSchema,
  timeSchema,
  unitsMaximum,
  unitsSchema,
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
  barcode: z.string().nullable().describe("What a scanner reads"),
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
  stopped_since: timeSchema
    .nullable()
    .describe("Its numbers did not agree with its ledger: nothing is reserved from it until it is repaired"),
};

export const productSchema = z.object(productFields);

export const productsPage = z.object({
  products: z.array(productSchema),
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
      etag: z.string().describe("Send it as If-Match with a count of this location"),
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

export const deltaSchema = z
  .number()
  .int()
  .min(-bulkLimits.delta)
  .max(bulkLimits.delta)
  .refine((quantity) => quantity !== 0, "must not be 0");

export const adjustBody = z.strictObject({
  quantity: deltaSchema.describe(
    `Units to add, or with a minus to take away; more than ${largeChangeUnits} at once wait for an admin`,
  ),
  reason: reasonSchema,
  location_id: uuidSchema.optional().describe("Where; the default location when left out"),
});

export const moveBody = z.strictObject({
  kind: z
    .enum(["receive", "damage", "lost"])
    .describe("receive: units arrive; damage, lost: units are written off"),
  quantity: unitsSchema,
  reason: reasonSchema,
  location_id: uuidSchema.optional().describe("Where; the default location when left out"),
});

export const adjustAnswer = z.object({
  success: z.literal(true),
  new_stock_level: z.number().int().describe("On hand after the change, over all locations"),
  available_stock: z.number().int(),
});

const countedSchema = z
  .number()
  .int()
  .min(0)
  .max(bulkLimits.count)
  .describe("Units on the shelf at this location, those that are promised to orders included");

export const repairStockBody = z.strictObject({
  on_hand: countedSchema,
  reason: reasonSchema,
  location_id: uuidSchema.optional().describe("Where; the default location when left out"),
});

export const countParameters = z.object({ id: uuidSchema, locationId: uuidSchema });

export const countHeaders = idempotencyHeaders.extend({
  "if-match": z
    .string()
    .regex(/^"[0-9.]{1,200}"$/, "must be the etag of a level, with its quotes")
    .optional()
    .describe("The etag of the level that was looked at before counting; without it 428, with another 412"),
});

export const countBody = z.strictObject({
  on_hand: countedSchema,
  reason: reasonSchema,
  leave_short: z
    .array(z.string().min(1).max(400))
    .max(1_000)
    .default([])
    .describe("Reservations whose orders wait again, as the count's proposal names them"),
});

export const proposalQuery = z.strictObject({
  on_hand: z.coerce.number().int().min(0).max(bulkLimits.count).describe("Units that were counted"),
  location_id: uuidSchema.optional(),
});

export const proposalAnswer = z.object({
  location_id: uuidSchema,
  version: z.number().int().describe("Of the level: the count that follows names it"),
  current_stock: z.number().int(),
  reserved_stock: z.number().int(),
  missing_units: z.number().int().describe("Promised units for which there would be none"),
  covered: z
    .boolean()
    .describe("False: holds or orders under shipment stand in the way; release those first"),
  leave_short: z
    .array(
      z.object({
        reservation_id: z.string(),
        order_id: uuidSchema,
        order_number: z.string(),
        quantity: z.number().int(),
        paid_at: timeSchema.nullable(),
        ordered_at: timeSchema,
      }),
    )
    .describe("Orders that would wait again, the last in the fair order first"),
});

export const thresholdBody = z.strictObject({
  threshold: z
    .number()
    .int()
    .min(0)
    .max(10_000)
    .describe("At or below so many available units a SKU counts as low; 0: never"),
});

export const backorderBody = z.strictObject({
  floor: z
    .number()
    .int()
    .min(-unitsMaximum)
    .max(0)
    .describe("How far below nothing availability may go; 0 takes no backorders"),
  reason: reasonSchema,
});

export const barcodeSchema = z
  .string()
  .regex(/^[0-9A-Za-z-]{4,48}$/, "must be 4 to 48 letters, digits and dashes");

export const barcodeBody = z.strictObject({
  barcode: barcodeSchema.nullable().describe("What a scanner reads; null removes it"),
});

export const barcodeParameters = z.object({
  barcode: plainText(1, 200).describe("What the scanner has read: a barcode, or a SKU's code"),
});

export const exportQuery = z.strictObject({
  status: stockStatusSchema.optional(),
  search: plainText(1, 200).optional().describe("Part of the name or of the SKU's code, in any case"),
});
