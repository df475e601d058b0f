import { z } from "zod";
import { approvalStates } from "../../domain/approval/decide.ts";
import { adjustAnswer } from "./inventory.ts";
import {
  cursorSchema,
  limitSchema,
  nextCursorSchema,
  reasonSchema,
  timeSchema,
  uuidSchema,
} from "./common.ts";

const approvalStateSchema = z
  .enum(approvalStates)
  .describe("approving: approved, and the stock is being asked; failed: approved, and the stock refused it");

const stockNumbers = z
  .object({ on_hand: z.number().int(), available: z.number().int() })
  .describe("Over all locations");

export const approvalSchema = z
  .object({
    id: uuidSchema,
    product_id: uuidSchema.describe("UUID of the SKU"),
    sku: z.string(),
    name: z.string(),
    location_id: uuidSchema.nullable().describe("Null: the default location"),
    location_name: z.string().nullable(),
    kind: z.enum(["adjust", "receive", "damage", "lost"]).describe("What is booked when it is approved"),
    quantity: z.number().int().describe("Signed units"),
    counted: z.number().int().nullable().describe("The count at the location that the units follow from"),
    reason: z.string(),
    requested_by: uuidSchema,
    requested_by_name: z.string(),
    requested_at: timeSchema,
    expires_at: timeSchema,
    state: approvalStateSchema,
    decided_by: uuidSchema.nullable(),
    decided_by_name: z.string().nullable(),
    decided_at: timeSchema.nullable(),
    note: z.string().nullable(),
    refusal: z.string().nullable().describe("Why the stock refused what was approved"),
    stock_when_asked: stockNumbers,
    stock_now: stockNumbers,
    stock_after: stockNumbers.nullable(),
  })
  .meta({ id: "Approval" });

export const approvalsQuery = z.strictObject({
  state: approvalStateSchema.optional(),
  limit: limitSchema,
  cursor: cursorSchema,
});

export const approvalsPage = z.object({
  approvals: z.array(approvalSchema),
  next_cursor: nextCursorSchema,
});

export const decisionBody = z.strictObject({
  note: reasonSchema.optional().describe("For whoever asked, and for the record"),
});

/** A change that was not made because somebody must approve it first. */
export const awaitsApproval = z.object({
  success: z.literal(true),
  approval_id: uuidSchema,
  detail: z.string(),
});

/** What a change by hand comes to: done, or it waits. */
export const adjustOrAwait = z.union([adjustAnswer, awaitsApproval]);
