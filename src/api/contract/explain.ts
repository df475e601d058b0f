import { z } from "zod";
import { timeSchema, uuidSchema } from "./common.ts";

const units = z.number().int();

const numbersSchema = z.object({ on_hand: units, reserved: units });

const claimsSchema = z.object({
  units,
  claims: units.describe("How many there are; the first 50 are named"),
  named: z.array(
    z.object({
      reservation_id: z.string(),
      order_id: uuidSchema.nullable().describe("Null for a hold"),
      order_number: z.string().nullable(),
      quantity: units,
      since: timeSchema,
      paid_at: timeSchema.nullable(),
      expires_at: timeSchema.nullable().describe("Of a hold: when it ends by itself"),
    }),
  ),
});

export const transferSchema = z
  .object({
    id: z.string(),
    sku_id: uuidSchema,
    sku: z.string(),
    from_location_id: uuidSchema,
    from_location: z.string(),
    to_location_id: uuidSchema,
    to_location: z.string(),
    quantity: units,
    received: units,
    missing: units,
    under_way: units,
    sent_at: timeSchema,
  })
  .meta({ id: "Transfer" });

export const explanationSchema = z.object({
  id: uuidSchema,
  sku: z.string(),
  name: z.string(),
  current_stock: units,
  reserved_stock: units,
  available_stock: units.describe("current_stock - reserved_stock"),
  summary: z.string().describe("The whole in one sentence"),
  adds_up: z.boolean().describe("False is corruption: the proof finds it too"),
  levels: z.array(
    z.object({
      location_id: uuidSchema,
      location_name: z.string(),
      current_stock: units,
      reserved_stock: units,
      available_stock: units,
      backorder_floor: units,
      version: units,
      stop_reason: z
        .string()
        .nullable()
        .describe("What did not agree with the ledger when the SKU was stopped; null: nothing is stopped"),
      brought_forward: numbersSchema.describe(
        "Where the level stood before the movements that are summed here",
      ),
      by_kind: z.array(
        z.object({ kind: z.string(), movements: units, on_hand_effect: units, reserved_effect: units }),
      ),
      sum: numbersSchema,
      adds_up: z.boolean(),
    }),
  ),
  holders: claimsSchema.describe("Who the reserved units are promised to"),
  waiting: claimsSchema.describe("Who waits for units, the next one first"),
  transfers: z.array(transferSchema).describe("Units between two locations, in no level"),
  listings: z.array(
    z.object({
      listing_id: uuidSchema,
      shop_name: z.string(),
      channel_sku_id: z.string(),
      warehouse_id: z.string(),
      shows: z
        .object({
          available: units,
          committed: units,
          locked: units.describe("Of the available ones, kept for a campaign or a creator"),
        })
        .nullable()
        .describe("Null: never read"),
      observed_at: timeSchema.nullable(),
      should_show: units.nullable(),
      agrees: z.boolean(),
      why: z.string(),
      under_way: units.nullable().describe("Shipped here, still committed there"),
      unreserved_elsewhere: units.nullable().describe("Sold in other shops and not reserved yet"),
      buffer: units.nullable(),
      last_push: z
        .object({ available: units, state: z.string(), outcome: z.string().nullable(), at: timeSchema })
        .nullable(),
    }),
  ),
});
