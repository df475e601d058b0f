import { z } from "zod";
import { bulkLimits, importColumns } from "../../domain/bulk/bulk-row.ts";
import {
  cursorSchema,
  flagSchema,
  limitSchema,
  nextCursorSchema,
  plainText,
  reasonSchema,
  timeSchema,
  uuidSchema,
} from "./common.ts";
import { deltaSchema } from "./inventory.ts";

export const batchBody = z.strictObject({
  items: z
    .array(
      z
        .strictObject({
          sku: plainText(1, 200).optional().describe("The seller's own code; or product_id"),
          product_id: uuidSchema.optional(),
          location_id: uuidSchema.optional().describe("Where; the default location when left out"),
          quantity: deltaSchema.describe("Units to add, or with a minus to take away"),
          reason: reasonSchema,
        })
        .refine(
          (item) => (item.sku === undefined) !== (item.product_id === undefined),
          "name either sku or product_id",
        ),
    )
    .min(1)
    .max(bulkLimits.rowsOfBatch),
});

export const importQuery = z.strictObject({
  dry_run: flagSchema.describe("`true` changes nothing and tells what each row would come to now"),
});

const resultSchema = z.enum(["waiting", "applied", "refused"]);

const progressFields = {
  rows: z.number().int(),
  waiting: z.number().int().describe("Rows without a result yet"),
  applied: z.number().int().describe("In a dry run: rows that would be applied"),
  refused: z.number().int(),
};

export const bulkOperation = z
  .object({
    id: uuidSchema,
    kind: z.enum(["import", "batch"]),
    dry_run: z.boolean(),
    state: z.enum(["waiting", "finished"]),
    ...progressFields,
    requested_by: uuidSchema,
    requested_by_name: z.string(),
    created_at: timeSchema,
    finished_at: timeSchema.nullable(),
  })
  .meta({ id: "BulkOperation" });

export const importAnswer = z.object({
  bulk_id: uuidSchema.describe("Follow it at GET /api/bulk/{id}"),
  rows: z.number().int(),
  dry_run: z.boolean(),
});

export const bulkItem = z
  .object({
    row: z.number().int().describe("Counts from 1"),
    line: z.number().int().nullable().describe("Line of the file; null when there was no file"),
    given: z
      .object(Object.fromEntries(importColumns.map((column) => [column, z.string()])))
      .describe("The cells as they came, long ones cut"),
    result: resultSchema,
    problem: z.string().nullable(),
    detail: z.string().nullable().describe("What to do about it"),
    on_hand: z.number().int().nullable().describe("Of the SKU after the change, over all locations"),
    available: z.number().int().nullable(),
  })
  .meta({ id: "BulkItem" });

export const bulkItemsQuery = z.strictObject({
  result: resultSchema.optional(),
  limit: limitSchema,
  cursor: cursorSchema,
});

export const bulkItemsPage = z.object({ items: z.array(bulkItem), next_cursor: nextCursorSchema });

export const batchAnswer = z.object({
  bulk_id: uuidSchema,
  state: z.enum(["waiting", "finished"]),
  ...progressFields,
  items: z.array(bulkItem).describe("In the order in which they were sent"),
});
