import { z } from "zod";

/**
 * Page tokens: where the next page begins, as an opaque text. Real ones hold the characters of base64 that a query must
 * escape, so ours always begin with some of them.
 */
const marker = Buffer.from([0xfb, 0xff, 0xbf]);

/** Where a page ended: the value it is sorted by, and the id that decides between equals. */
const position = z.tuple([z.number().int(), z.string()]);
export type Position = z.output<typeof position>;

/** One page of sorted items and the token of the next, empty after the last. */
export function page<Item>(
  sorted: readonly Item[],
  size: number,
  positionOf: (item: Item) => Position,
): { readonly items: readonly Item[]; readonly nextToken: string } {
  const items = sorted.slice(0, size);
  const last = items.at(-1);
  if (last === undefined || sorted.length <= size) return { items, nextToken: "" };
  const text = JSON.stringify(positionOf(last));
  // A text of full triplets would end without "=".
  const padded = text.length % 3 === 0 ? `${text} ` : text;
  return { items, nextToken: Buffer.concat([marker, Buffer.from(padded)]).toString("base64") };
}

/** The position in a token; undefined when the token is none of ours, as after a "+" sent unescaped. */
export function readPageToken(token: string): Position | undefined {
  const bytes = Buffer.from(token, "base64");
  if (bytes.toString("base64") !== token || !bytes.subarray(0, 3).equals(marker)) return undefined;
  try {
    return position.safeParse(JSON.parse(bytes.subarray(3).toString("utf8"))).data;
  } catch {
    return undefined;
  }
}

/** Order of two positions, ascending; ids by their number. */
export function compare(left: Position, right: Position): number {
  if (left[0] !== right[0]) return left[0] - right[0];
  if (left[1].length !== right[1].length) return left[1].length - right[1].length;
  return left[1] < right[1] ? -1 : Number(left[1] > right[1]);
}
