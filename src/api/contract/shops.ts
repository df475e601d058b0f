import { z } from "zod";
import { timeSchema, uuidSchema } from "./common.ts";

const count = z.number().int().nonnegative();

const pollSchema = z
  .object({
    last_run_at: timeSchema,
    last_success_at: timeSchema.nullable(),
    cursor: timeSchema.nullable().describe("Update time of the newest order taken in; the channel's time"),
    last_error: z.string().nullable().describe("Why the last poll did not get on; null when it did"),
    seen: count.describe("Orders listed so far, each time they were"),
    recovered: count.describe("Orders and news of them that no webhook had brought"),
    awaited: count.describe("News whose webhook was here and waited its turn"),
    refused: count.describe("Orders that could not be stored; they are parked among the deliveries"),
  })
  .nullable()
  .describe("The poll that finds what webhooks missed; null before the first");

const breakerSchema = z
  .object({
    state: z.enum(["closed", "open", "half_open"]),
    retry_at: timeSchema.nullable(),
    latency_milliseconds: z.number().nonnegative().nullable().describe("Mean of the last calls"),
    last_answer_at: timeSchema.nullable(),
    last_failure: z.string().nullable(),
    last_failure_at: timeSchema.nullable(),
  })
  .describe("open: the channel did not answer and is spared until retry_at; then one call is tried");

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
      poll: pollSchema,
      breaker: breakerSchema,
    }),
  ),
});
