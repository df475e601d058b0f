import type { ChannelPackageId, UserId } from "../ids.ts";
import type { ChannelStatus } from "./channel-order.ts";
import type { StockRefusalReason } from "../stock/operation.ts";
import type { ShortageCourse } from "./shortage.ts";
import { isHandedOver } from "./transitions.ts";

/** What happened to an order, in the past tense; the order's timeline is made of these. */
export type OrderEvent =
  | { readonly kind: "order_received"; readonly status: ChannelStatus; readonly lines: number }
  | { readonly kind: "status_changed"; readonly from: ChannelStatus; readonly to: ChannelStatus }
  /** Late or impossible news: noted, and nothing changed. */
  | { readonly kind: "news_refused"; readonly from: ChannelStatus; readonly to: ChannelStatus }
  | { readonly kind: "order_paid"; readonly paidAt: string }
  /** Deadlines, packages, tracking number, SKU numbers or flags; the names say which. */
  | { readonly kind: "details_changed"; readonly changed: readonly string[] }
  | { readonly kind: "lines_untracked"; readonly lineIds: readonly string[] }
  | { readonly kind: "lines_reserved"; readonly lineIds: readonly string[]; readonly fromQueue: boolean }
  | { readonly kind: "lines_short"; readonly lineIds: readonly string[] }
  /** A count found fewer units than were promised, and a person chose these lines to wait again. */
  | { readonly kind: "lines_left_short"; readonly lineIds: readonly string[] }
  /** The seller's policy, or a person, has decided what is done about missing units. */
  | {
      readonly kind: "shortage_course_taken";
      readonly course: ShortageCourse["course"];
      readonly by: UserId | null;
    }
  | { readonly kind: "shortage_overdue"; readonly shipBy: string }
  /** Lines that hold units give them to other orders, since the order lacks others. */
  | { readonly kind: "lines_yielding"; readonly lineIds: readonly string[] }
  | { readonly kind: "lines_set_aside"; readonly lineIds: readonly string[] }
  | { readonly kind: "lines_asked_again"; readonly lineIds: readonly string[] }
  | { readonly kind: "lines_ranked"; readonly lineIds: readonly string[]; readonly paidAt: string }
  | { readonly kind: "lines_cancelled"; readonly lineIds: readonly string[] }
  | { readonly kind: "lines_released"; readonly lineIds: readonly string[] }
  | { readonly kind: "lines_left"; readonly lineIds: readonly string[]; readonly how: "arranged" | "seen" }
  | { readonly kind: "lines_shipped"; readonly lineIds: readonly string[] }
  | { readonly kind: "lines_returned_to_stock"; readonly lineIds: readonly string[] }
  | {
      readonly kind: "stock_refused";
      readonly lineId: string;
      readonly operation: string;
      readonly reason: StockRefusalReason;
    }
  | { readonly kind: "shipment_arranged"; readonly packageIds: readonly ChannelPackageId[] }
  | { readonly kind: "shipment_refused"; readonly reason: string }
  | { readonly kind: "cancel_requested"; readonly by: UserId | null; readonly reason: string }
  | { readonly kind: "cancel_accepted" }
  | { readonly kind: "cancel_refused"; readonly reason: string };

/** True when we hear by this event for the first time that the carrier has the order's units. */
export function tellsHandOver(event: OrderEvent): boolean {
  if (event.kind === "order_received") return isHandedOver(event.status);
  return event.kind === "status_changed" && isHandedOver(event.to) && !isHandedOver(event.from);
}
