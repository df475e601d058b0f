import type { OrderDetailRow } from "../db/read-models/orders.ts";
import { notFound } from "./problem.ts";

/** @throws Problem `not-found` when the seller has no such order. */
export function knownOrder(order: OrderDetailRow | null): OrderDetailRow {
  if (order === null) throw notFound("order");
  return order;
}
