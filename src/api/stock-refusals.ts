import type { StockAnswer, StockRefusalReason } from "../domain/stock/operation.ts";
import { Problem } from "./problem.ts";

/** What each refusal of the stock means to whoever asked, and what he can do about it. */
export const stockRefusals: Readonly<Record<StockRefusalReason, string>> = {
  below_reserved:
    "Fewer units would remain than are promised to orders: cancel orders first, or take away less.",
  below_zero: "Fewer than no units would remain: there are not that many to take away.",
  not_enough: "There are not that many units free: take fewer, or free some first.",
  others_wait: "Orders wait for units of this product: nothing can be kept from them.",
  version_changed: "The stock has changed since it was counted: look again, and count anew.",
  nothing_to_leave_short:
    "One of the orders that should wait holds no units there any more: ask for a new proposal.",
  stopped:
    "The numbers of this product were corrupted: nothing is kept from it until somebody has counted and repaired them.",
  nothing_to_repair: "The numbers of this product agree with its ledger: there is nothing to repair.",
  not_under_way: "That many units of the transfer are not under way.",
  same_location: "A transfer goes from one location to another.",
  unknown_location: "The product has no stock record at that location.",
  operation_id_reused: "The Idempotency-Key was used for another change: take a new one.",
  poisoned: "The database refused this change; nothing was changed, and engineering is told.",
  claim_closed: "The hold has ended before it began: choose a later end.",
  nothing_held: "Nothing is held for the claim.",
  already_shipped: "The units have left.",
  not_shipped: "The shipment was never booked.",
};

/** The problem that a change by hand ends with when the stock did not take it. */
export function stockRefused(answer: StockAnswer): Problem {
  return new Problem(
    "refused",
    answer.outcome === "refused"
      ? stockRefusals[answer.reason]
      : `The stock answered "${answer.outcome}" to a change by hand.`,
  );
}
