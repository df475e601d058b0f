import type { z } from "zod";
import { ChannelFailure } from "../ports/failure.ts";

/** Where an adapter tells what it had to leave out. Structurally a pino logger. */
export interface Warner {
  warn(fields: object, message: string): void;
}

/**
 * Reads the items of a list one by one: a strange one is left out and told, the others count. The reason names places
 * and words of TikTok's, never values that may be personal.
 */
export function readItems<Schema extends z.ZodType, Item>(
  items: readonly unknown[],
  schema: Schema,
  translate: (wire: z.output<Schema>) => Item,
  context: {
    readonly what: string;
    readonly shopId: string;
    readonly logger: Warner | undefined;
    readonly leftOut?: (item: unknown, reason: string) => void;
  },
): readonly Item[] {
  return items.flatMap((item) => {
    const reading = readItem(item, schema, translate);
    if ("item" in reading) return [reading.item];
    const { what, shopId, logger, leftOut } = context;
    leftOut?.(item, reading.reason);
    logger?.warn(
      { shopId, channelId: idOf(item), reason: reading.reason },
      `${what} from TikTok Shop cannot be read and is left out`,
    );
    return [];
  });
}

/** @throws ChannelFailure `malformed` when items came and none could be read: missing and unreadable are not the same. */
export function refuseAllUnreadable(received: number, readable: number, call: string): void {
  if (received > 0 && readable === 0)
    throw new ChannelFailure("malformed", `${call}: none of the ${received} items can be read`);
}

function readItem<Schema extends z.ZodType, Item>(
  item: unknown,
  schema: Schema,
  translate: (wire: z.output<Schema>) => Item,
): { readonly item: Item } | { readonly reason: string } {
  const parsed = schema.safeParse(item);
  if (!parsed.success) {
    const places = parsed.error.issues.slice(0, 3).map((issue) => issue.path.join("."));
    return { reason: `unknown shape at ${places.join(", ")}` };
  }
  try {
    return { item: translate(parsed.data) };
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    return { reason: error.message };
  }
}

function idOf(item: unknown): string | null {
  if (typeof item !== "object" || item === null || !("id" in item)) return null;
  return typeof item.id === "string" || typeof item.id === "number" ? String(item.id).slice(0, 64) : null;
}
