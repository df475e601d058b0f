import { z } from "zod";
import { timeSchema, uuidSchema } from "./common.ts";

export const shopsList = z.object({
  shops: z.array(
    z.object({
      id: uuidSchema,
      name: z.string(),
      channel: z.string(),
      channel_shop_id: z.string(),
      region: z.string(),
      status: z.enum(["connecting", "connected", "disconnected"]),
      status_reason: z.string().nullable(),
      stock_opened_at: timeSchema.nullable(),
      connected_at: timeSchema,
    }),
  ),
});
