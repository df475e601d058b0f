import type { z } from "zod";
import type { explanationSchema } from "../api/contract/explain.ts";
import { shortTime, table } from "./output.ts";

type Explanation = z.output<typeof explanationSchema>;

/** An explanation as a page to read from top to bottom: the sum first, then each term. */
export function explanationText(told: Explanation): string {
  return [
    `${told.sku}  ${told.name}`,
    told.summary,
    told.adds_up
      ? "Every number is the sum of its terms."
      : "A NUMBER IS NOT THE SUM OF ITS TERMS: it was changed past the ledger. Count, and `stock repair-level` it.",
    ...told.levels.map(levelText),
    claimsText("RESERVED FOR", "Nobody holds units.", told.holders),
    claimsText("WAITING, the next one first", "Nobody waits for units.", told.waiting),
    ...(told.transfers.length === 0 ? [] : [transfersText(told.transfers)]),
    listingsText(told.listings),
  ].join("\n\n");
}

function levelText(level: Explanation["levels"][number]): string {
  const before = level.brought_forward;
  const rows = [
    ["brought forward", "", before.on_hand, before.reserved] as const,
    ...level.by_kind.map(
      (term) => [term.kind, `${term.movements} ×`, term.on_hand_effect, term.reserved_effect] as const,
    ),
    ["together", "", level.sum.on_hand, level.sum.reserved] as const,
  ];
  const floor = level.backorder_floor < 0 ? `, backorders down to ${level.backorder_floor}` : "";
  const stopped = level.stop_reason === null ? [] : [`STOPPED until it is repaired: ${level.stop_reason}.`];
  return [
    `AT ${level.location_name}: ${level.current_stock} on hand - ${level.reserved_stock} reserved = ${level.available_stock} available${floor}`,
    ...stopped,
    table(["TERM", "MOVEMENTS", "ON HAND", "RESERVED"], rows),
  ].join("\n");
}

function claimsText(title: string, nobody: string, { units, claims, named }: Explanation["holders"]): string {
  if (claims === 0) return nobody;
  const more = claims > named.length ? [`... and ${claims - named.length} more.`] : [];
  return [
    `${title}: ${units} units of ${claims}`,
    table(
      ["ORDER", "UNITS", "SINCE", "PAID", "ENDS"],
      named.map((claim) => [
        claim.order_number ?? claim.reservation_id,
        claim.quantity,
        shortTime(claim.since),
        claim.paid_at === null ? "" : shortTime(claim.paid_at),
        claim.expires_at === null ? "" : shortTime(claim.expires_at),
      ]),
    ),
    ...more,
  ].join("\n");
}

function transfersText(transfers: Explanation["transfers"]): string {
  return [
    "UNDER WAY between locations, in no number above",
    table(
      ["FROM", "TO", "UNITS", "SENT"],
      transfers.map((each) => [
        each.from_location,
        each.to_location,
        each.under_way,
        shortTime(each.sent_at),
      ]),
    ),
  ].join("\n");
}

function listingsText(listings: Explanation["listings"]): string {
  if (listings.length === 0) return "It is not listed in any shop.";
  return [
    "IN THE SHOPS",
    ...listings.map((listing) => {
      const shows =
        listing.shows === null
          ? "was never read"
          : `shows ${listing.shows.available}, committed ${listing.shows.committed}`;
      const should = listing.should_show === null ? "" : `, should show ${listing.should_show}`;
      const push = listing.last_push;
      const told =
        push === null
          ? "Never told a number."
          : `Last told ${push.available} at ${shortTime(push.at)}: ${push.state}.`;
      return `${listing.shop_name}, ${listing.channel_sku_id} at ${listing.warehouse_id}: ${shows}${should}. ${listing.why} ${told}`;
    }),
  ].join("\n");
}
