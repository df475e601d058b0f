import { z } from "zod";
import { limitSchema, reasonSchema, unitsMaximum, unitsSchema, uuidSchema } from "./common.ts";
import { transferSchema } from "./explain.ts";

export const transferBody = z.strictObject({
  from_location_id: uuidSchema,
  to_location_id: uuidSchema,
  quantity: unitsSchema,
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
