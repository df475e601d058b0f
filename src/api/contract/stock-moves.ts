import { z } from "zod";
import { limitSchema, reasonSchema, timeSchema, uuidSchema } from "./common.ts";
import { transferSchema } from "./explain.ts";

/** Units that one request may move; a larger change is likelier a slip of the finger. */
const unitsMaximum = 10_000;
const units = z.number().int().min(1).max(unitsMaximum);

export const moveBody = z.strictObject({
  kind: z
    .enum(["receive", "damage", "lost"])
    .describe("receive: units arrive; damage, lost: units are written off"),
  quantity: units,
  reason: reasonSchema,
  location_id: uuidSchema.optional().describe("Where; the default location when left out"),
});

export const transferBody = z.strictObject({
  from_location_id: uuidSchema,
  to_location_id: uuidSchema,
  quantity: units,
  reason: reasonSchema,
});

export const transferAnswer = z.object({
  success: z.literal(true),
  transfer_id: z.string(),
  new_stock_level: z.number().int().describe("On hand over all locations, without what is under way"),
  available_stock: z.number().int(),
});

export const takeTransferBody = z
  .strictObject({
    received: z.number().int().min(0).max(unitsMaximum),
    missing: z
      .number()
      .int()
      .min(0)
      .max(unitsMaximum)
      .default(0)
      .describe("Units that are known not to come"),
    reason: reasonSchema,
  })
  .refine(({ received, missing }) => received + missing > 0, "received and missing must not both be 0");

export const transfersQuery = z.strictObject({ limit: limitSchema });
export const transfersAnswer = z.object({ transfers: z.array(transferSchema) });

/** The longest hold; what should be kept for longer is no hold but a location of its own. */
const holdDaysMaximum = 90;

export const holdBody = z.strictObject({
  quantity: units,
  expires_at: timeSchema
    .refine((time) => Date.parse(time) > Date.now(), "must be in the future")
    .refine(
      (time) => Date.parse(time) < Date.now() + holdDaysMaximum * 86_400_000,
      `must be within ${holdDaysMaximum} days`,
    )
    .describe("When the hold ends by itself"),
  reason: reasonSchema,
  location_id: uuidSchema.optional().describe("From where; from any location when left out"),
});

export const holdAnswer = z.object({
  success: z.literal(true),
  hold_id: uuidSchema,
  available_stock: z.number().int(),
});

export const releaseAnswer = z.object({ success: z.literal(true), released: z.boolean() });

export const backorderBody = z.strictObject({
  floor: z
    .number()
    .int()
    .min(-unitsMaximum)
    .max(0)
    .describe("How far below nothing availability may go; 0 takes no backorders"),
  reason: reasonSchema,
});

export const proposalQuery = z.strictObject({
  on_hand: z.coerce.number().int().min(0).max(1_000_000).describe("Units that were counted"),
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
