import { z } from "zod";
import {
  cursorSchema,
  limitSchema,
  nextCursorSchema,
  reasonSchema,
  timeSchema,
  uuidSchema,
} from "./common.ts";

export const alertKindSchema = z
  .enum(["low_stock", "out_of_stock", "sync_failed", "drift", "shortage", "viral", "stock_corrupt"])
  .describe("What it is about");

export const alertStateSchema = z
  .enum(["open", "acknowledged", "snoozed", "resolved", "rearmed"])
  .describe(
    "resolved: a person says so, and the condition still holds; rearmed: the condition is over, and the next time is a new alert",
  );

const severitySchema = z.enum(["warning", "critical"]);

export const alertsQuery = z.strictObject({
  state: alertStateSchema.optional(),
  kind: alertKindSchema.optional(),
  severity: severitySchema.optional(),
  product_id: uuidSchema.optional(),
  limit: limitSchema,
  cursor: cursorSchema,
});

const recommendationSchema = z.object({
  quantity: z.number().int().describe("Units to order now"),
  available: z.number().int(),
  unitsSold: z.number().int(),
  days: z.number().int().describe("Days in which these were sold"),
  dailySales: z.number().describe("Units a day, to the tenth"),
  daysOfCover: z.number().int().nullable().describe("Days that the available units last; null without sales"),
  leadTimeDays: z.number().int(),
  targetCoverDays: z.number().int(),
  needed: z
    .number()
    .int()
    .describe("Units that will be sold until the order has come and the target is over"),
  sentence: z.string().describe("The same for people"),
});

const alertShape = {
  id: uuidSchema,
  kind: alertKindSchema,
  severity: severitySchema,
  state: alertStateSchema,
  product_id: uuidSchema,
  sku: z.string(),
  name: z.string(),
  subject_id: z
    .string()
    .describe("What exactly it is about, when a product may have several alerts of a kind"),
  available_when_opened: z.number().int().nullable(),
  threshold: z.number().int().nullable(),
  reason: z.string().nullable(),
  recommendation: recommendationSchema
    .nullable()
    .describe("What to order, as it was reckoned when people were told"),
  reminders: z.number().int().describe("Times that people were told again"),
  opened_at: timeSchema,
  acknowledged_at: timeSchema.nullable(),
  acknowledged_by: z.string().nullable(),
  snoozed_until: timeSchema.nullable(),
  resolved_at: timeSchema.nullable(),
  resolved_by: z.string().nullable(),
  over_at: timeSchema.nullable().describe("Since when the condition is over"),
};

export const alertsPage = z.object({ alerts: z.array(z.object(alertShape)), next_cursor: nextCursorSchema });

export const alertDetail = z.object({
  ...alertShape,
  deliveries: z
    .array(
      z.object({
        id: uuidSchema,
        user_id: uuidSchema.nullable().describe("Null: those who look after the installation"),
        user_name: z.string().nullable(),
        medium: z.enum(["in_app", "email", "sms"]),
        rung: z.number().int().describe("0: the first notice"),
        state: z.enum(["due", "sending", "sent", "given_up", "unneeded"]),
        attempts: z.number().int(),
        last_error: z.string().nullable(),
        created_at: timeSchema,
        attempted_at: timeSchema.nullable(),
        ended_at: timeSchema.nullable(),
      }),
    )
    .describe("The newest 200 messages"),
});

export const acknowledgeBody = z.strictObject({});
export const snoozeBody = z.strictObject({
  until: timeSchema.describe("When it is open again; at most 30 days ahead"),
});
export const resolveBody = z.strictObject({ reason: reasonSchema.optional() });

export const alertAnswer = z.object({ success: z.literal(true), state: alertStateSchema });

const preferenceSchema = z.strictObject({
  kind: alertKindSchema,
  in_app: z.boolean(),
  email: z.boolean(),
  sms: z
    .boolean()
    .describe("Only critical alerts are sent as text messages, and only where the plan has them"),
});

export const preferencesAnswer = z.object({
  preferences: z.array(preferenceSchema),
  phone: z.string().nullable().describe("The last three digits"),
  sms_allowed: z.boolean().describe("Whether the plan has text messages"),
});

export const preferencesBody = z.strictObject({
  preferences: z
    .array(preferenceSchema)
    .max(6)
    .refine((all) => new Set(all.map(({ kind }) => kind)).size === all.length, "names a kind twice")
    .default([])
    .describe("Kinds that are not named stay as they are"),
  phone: z
    .string()
    .regex(/^\+[1-9]\d{6,14}$/, "must be a number as in +447700900123")
    .nullable()
    .optional()
    .describe("Null forgets it; left out, it stays"),
});

export const replenishmentAnswer = z.object({
  threshold_mode: z.enum(["automatic", "fixed"]).describe("automatic: the threshold follows what is sold"),
  low_stock_threshold: z.number().int(),
  lead_time_days: z.number().int().nullable().describe("Null: the seller's usual one"),
  recommendation: recommendationSchema,
});

export const replenishmentBody = z
  .strictObject({
    threshold_mode: z.enum(["automatic", "fixed"]),
    low_stock_threshold: z
      .number()
      .int()
      .min(0)
      .max(10_000)
      .optional()
      .describe("With `fixed`; 0: tell nobody"),
    lead_time_days: z.number().int().min(0).max(365).nullable().describe("Null: the seller's usual one"),
  })
  .refine(
    ({ threshold_mode: mode, low_stock_threshold: threshold }) =>
      (mode === "fixed") === (threshold !== undefined),
    "low_stock_threshold belongs to the mode fixed, and is needed there",
  );
