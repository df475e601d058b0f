import { z } from "zod";
import {
  cursorSchema,
  limitSchema,
  nextCursorSchema,
  reasonSchema,
  timeSchema,
  uuidSchema,
} from "./common.ts";
import { productFields } from "./inventory.ts";

/** What the channels show of SKUs, and what to do when that is not what they should. */
export const driftSchema = z
  .object({
    id: uuidSchema,
    sku_id: uuidSchema,
    sku: z.string(),
    shop_id: uuidSchema,
    shop_name: z.string(),
    listing_id: uuidSchema,
    channel_sku_id: z.string(),
    warehouse_id: z.string(),
    cause: z
      .enum([
        "push_lost",
        "overwritten_by_older_push",
        "pool_moved",
        "sold_outside",
        "changed_in_seller_center",
        "missing_listing",
      ])
      .describe("The probable cause"),
    units: z.number().int().describe("Theirs less ours; above 0, units are offered that are not here"),
    our_total: z.number().int().describe("Available and committed together, as it should be"),
    their_available: z.number().int().nullable().describe("Null when the channel does not know the listing"),
    their_committed: z.number().int().nullable(),
    state: z
      .enum(["suspected", "open", "repairing", "closed"])
      .describe("suspected: news of a hand-over may still explain it"),
    first_seen_at: timeSchema,
    last_seen_at: timeSchema,
    repaired_how: z.enum(["push_ours", "take_theirs"]).nullable(),
    repair_reason: z.string().nullable(),
    closed_at: timeSchema.nullable(),
    outcome: z.string().nullable(),
  })
  .meta({ id: "Drift" });

export const driftsQuery = z.strictObject({
  state: z
    .enum(["suspected", "open", "repairing", "closed"])
    .optional()
    .describe("All but closed when left out"),
  sku_id: uuidSchema.optional(),
  limit: limitSchema,
  cursor: cursorSchema,
});

export const driftsPage = z.object({ drifts: z.array(driftSchema), next_cursor: nextCursorSchema });

export const repairBody = z.strictObject({
  how: z
    .enum(["push_ours", "take_theirs"])
    .describe(
      "push_ours: the channel is told our number again; take_theirs: our stock is corrected by the difference",
    ),
  reason: reasonSchema,
});
export type RepairBody = z.output<typeof repairBody>;

export const repairAnswer = z.object({
  success: z.literal(true),
  new_stock_level: z
    .number()
    .int()
    .nullable()
    .describe("On hand after a correction; null when ours is pushed"),
});

export const listingStateSchema = z.object({
  listing_id: uuidSchema,
  shop_id: uuidSchema,
  shop_name: z.string(),
  state: z.enum(["synced", "pending", "failed"]),
  last_synced_at: timeSchema.nullable(),
  missing_since: timeSchema.nullable(),
  buffer: z.number().int().nullable().describe("Units; null: what is said of the SKU"),
  buffer_percent: z.number().int().nullable(),
  cap: z.number().int(),
  shown: z.array(
    z.object({
      warehouse_id: z.string(),
      available: z.number().int().describe("For sale, the locked units among them"),
      committed: z.number().int(),
      campaign: z.number().int().describe("Locked for campaigns, over all warehouses"),
      creator: z.number().int().describe("Locked for creators, over all warehouses"),
      observed_at: timeSchema,
    }),
  ),
});

export const syncAnswer = z.object({
  success: z.literal(true),
  current_stock: z.number().int(),
  available_stock: z.number().int(),
  last_sync: timeSchema.nullable().describe("When all listings last agreed"),
  inventory_sync_status: productFields.inventory_sync_status,
  compared: z.number().int().describe("Listings times warehouses that were looked at"),
  agreed: z.number().int(),
  under_way: z.number().int().describe("A change is on its way there"),
  pushed: z.number().int().describe("Waited for a push; it is made now"),
  drifting: z.number().int(),
  listings: z.array(listingStateSchema),
  drifts: z.array(driftSchema),
  demand: z
    .object({
      usual_per_minute: z.number().describe("Units a minute, as it usually sells"),
      recent_per_minute: z.number(),
      viral_since: timeSchema.nullable().describe("Since when it sells far faster than usual"),
      adaptive_buffer: z.number().int().describe("Units kept back for what other shops sell meanwhile"),
    })
    .nullable(),
});

export const pauseAnswer = z.object({
  success: z.literal(true),
  inventory_sync_status: productFields.inventory_sync_status,
});

const bufferUnits = z.number().int().min(0).max(99_999);
const bufferPercent = z.number().int().min(0).max(100);

export const offerBody = z.strictObject({
  buffer: bufferUnits.optional().describe("Units kept back from every listing"),
  buffer_percent: bufferPercent.optional().describe("Share of what is on hand; the higher of the two counts"),
  drift_rule: z
    .enum(["automatic", "ask", "push_ours"])
    .optional()
    .describe("automatic: only what our own calls have caused is repaired without asking"),
  listings: z
    .array(
      z.strictObject({
        listing_id: uuidSchema,
        buffer: bufferUnits.nullable().optional().describe("Null: what is said of the SKU"),
        buffer_percent: bufferPercent.nullable().optional(),
        cap: z.number().int().min(0).max(99_999).optional().describe("The most that it may show"),
      }),
    )
    .max(100)
    .optional(),
});
export type OfferBody = z.output<typeof offerBody>;

export const offerAnswer = z.object({ success: z.literal(true), listings: z.array(listingStateSchema) });

export const pushDelayQuery = z.strictObject({
  minutes: z.coerce.number().int().min(1).max(1_440).default(15).describe("How far back"),
});

export const pushDelayAnswer = z.object({
  minutes: z.number().int(),
  shops: z.array(
    z.object({
      shop_id: uuidSchema,
      shop_name: z.string(),
      pushes: z.number().int(),
      p50: z.number().describe("Seconds from a change to the right number read back"),
      p95: z.number(),
      p99: z.number(),
      slowest: z.number(),
    }),
  ),
});
