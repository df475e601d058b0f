import type { z } from "zod";
import { Problem } from "./problem.ts";

/** Where a page ended, as opaque text. It holds the values that the next page's query compares with, nothing more. */
export function writeCursor(values: readonly (string | number)[]): string {
  return Buffer.from(JSON.stringify(values)).toString("base64url");
}

/** @throws Problem when the text is not a cursor of this list. */
export function readCursor<Schema extends z.ZodType>(
  text: string | undefined,
  schema: Schema,
): z.output<Schema> | null {
  if (text === undefined) return null;
  const parsed = schema.safeParse(jsonOrNull(Buffer.from(text, "base64url").toString()));
  if (parsed.success) return parsed.data;
  throw new Problem("invalid-request", "The cursor is not one of this list.", {
    errors: [{ pointer: "/query/cursor", detail: "give back `next_cursor` as it came" }],
  });
}

/** Cuts the extra row that tells that there is a next page. */
export function cutPage<Row>(
  rows: readonly Row[],
  limit: number,
  cursorOf: (row: Row) => readonly (string | number)[],
): { readonly page: readonly Row[]; readonly nextCursor: string | null } {
  const page = rows.slice(0, limit);
  const last = page.at(-1);
  const nextCursor = rows.length > limit && last !== undefined ? writeCursor(cursorOf(last)) : null;
  return { page, nextCursor };
}

function jsonOrNull(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}
