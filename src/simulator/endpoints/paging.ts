import { z } from "zod";
import { badRequest, type Refusal, refuse } from "../refusal.ts";

/**
 * Page tokens: where the next page begins, as an opaque text. Real ones hold the characters of base64 that a query must
 * escape, so ours always begin with some of them.
 */
const marker = Buffer.from([0xfb, 0xff, 0xbf]);

/** Where a page ended: the value it is sorted by, and the id that decides between equals. */
const position = z.tuple([z.number().int(), z.string()]);
export type Position = z.output<typeof position>;

/** What a search asks of its answer. */
interface PageQuery {
  readonly page_size: number;
  readonly page_token?: string | undefined;
  readonly sort_order?: "ASC" | "DESC";
}

/** The part of an answer that every search has, and the items of its page. */
interface Page<Item> {
  readonly items: readonly Item[];
  /** The next page's token, empty after the last. */
  readonly rest: { readonly next_page_token: string; readonly total_count: number };
}

/** Sorts what was found, ascending unless asked otherwise, and cuts the page out that the query names. */
export function pageOf<Item>(
  found: readonly Item[],
  query: PageQuery,
  positionOf: (item: Item) => Position,
): Page<Item> | { readonly refusal: Refusal } {
  const after = query.page_token === undefined ? null : readPageToken(query.page_token);
  if (after === undefined) return refuse(badRequest("page_token is invalid"));
  const order =
    query.sort_order === "DESC" ? (one: Position, other: Position) => compare(other, one) : compare;
  const sorted = found
    .filter((item) => after === null || order(positionOf(item), after) > 0)
    .sort((left, right) => order(positionOf(left), positionOf(right)));
  const items = sorted.slice(0, query.page_size);
  const last = items.at(-1);
  const next = last === undefined || sorted.length <= items.length ? "" : tokenFor(positionOf(last));
  return { items, rest: { next_page_token: next, total_count: found.length } };
}

function tokenFor(position: Position): string {
  const text = JSON.stringify(position);
  // A text of full triplets would end without "=".
  const padded = text.length % 3 === 0 ? `${text} ` : text;
  return Buffer.concat([marker, Buffer.from(padded)]).toString("base64");
}

/** The position in a token; undefined when the token is none of ours, as after a "+" sent unescaped. */
function readPageToken(token: string): Position | undefined {
  const bytes = Buffer.from(token, "base64");
  if (bytes.toString("base64") !== token || !bytes.subarray(0, 3).equals(marker)) return undefined;
  try {
    return position.safeParse(JSON.parse(bytes.subarray(3).toString("utf8"))).data;
  } catch {
    return undefined;
  }
}

/** Order of two positions, ascending; ids by their number. */
function compare(left: Position, right: Position): number {
  if (left[0] !== right[0]) return left[0] - right[0];
  if (left[1].length !== right[1].length) return left[1].length - right[1].length;
  return left[1] < right[1] ? -1 : Number(left[1] > right[1]);
}
