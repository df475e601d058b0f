import { z } from "zod";
import { cursorSchema, limitSchema, nextCursorSchema, plainText, timeSchema, uuidSchema } from "./common.ts";

export const deliveryStateSchema = z
  .enum(["waiting", "processed", "parked", "kept"])
  .describe("parked: tried in vain, waits for a person; kept: nothing to do about it, or no shop known");

export const deliveriesQuery = z.strictObject({
  state: deliveryStateSchema.optional(),
  topic: z.coerce.number().int().min(0).max(100_000).optional(),
  order_id: plainText(1, 100).optional().describe("The channel's order number"),
  limit: limitSchema,
  cursor: cursorSchema,
});

export const deliveriesPage = z.object({
  deliveries: z.array(
    z.object({
      id: uuidSchema,
      channel: z.string(),
      shop_id: uuidSchema.nullable().describe("Null when the sender is no shop that we know"),
      sender: z.string(),
      topic: z.number().int().nullable(),
      order_id: z.string().nullable(),
      state: deliveryStateSchema,
      reason: z.string().nullable(),
      attempts: z.number().int(),
      duplicates: z.number().int().describe("Times it came again"),
      received_at: timeSchema,
      next_attempt_at: timeSchema.nullable(),
      processed_at: timeSchema.nullable(),
      body_length: z.number().int().describe("Bytes"),
      body_preview: z.string().describe("The first 2,000 characters; what is not text shows as a mark"),
    }),
  ),
  rejections: z
    .array(z.object({ minute: timeSchema, count: z.number().int(), last_reason: z.string() }))
    .describe("Requests of the last day whose signature was wrong, by minute, newest first"),
  next_cursor: nextCursorSchema,
});

export const replayBody = z.strictObject({ state: z.enum(["parked", "kept"]) });

export const replayAnswer = z.object({
  success: z.literal(true),
  replayed: z.number().int().describe("Deliveries that wait to be worked off again"),
});
