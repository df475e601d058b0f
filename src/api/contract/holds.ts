import { z } from "zod";
import { reasonSchema, timeSchema, unitsSchema, uuidSchema } from "./common.ts";

/** The longest hold; what should be kept for longer is no hold but a location of its own. */
const holdDaysMaximum = 90;

export const holdBody = z.strictObject({
  quantity: unitsSchema,
  expires_at: timeSchema
    .refine(
      (time) => Date.parse(time) < Date.now() + holdDaysMaximum * 86_400_000,
      `must be within ${holdDaysMaximum} days`,
    )
    .describe("When the hold ends by itself; 409 when that has passed"),
  reason: reasonSchema,
  location_id: uuidSchema.optional().describe("From where; from any location when left out"),
});

export const holdAnswer = z.object({
  success: z.literal(true),
  hold_id: uuidSchema,
  available_stock: z.number().int(),
});

export const releaseAnswer = z.object({ success: z.literal(true), released: z.boolean() });
