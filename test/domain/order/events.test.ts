import { expect, test } from "vitest";
import { type OrderEvent, tellsHandOver } from "../../../src/domain/order/events.ts";

const moved = (from: string, to: string) => ({ kind: "status_changed", from, to }) as OrderEvent;
const received = (status: string) => ({ kind: "order_received", status, lines: 1 }) as OrderEvent;

test.each([
  ["the carrier has it", moved("awaiting_collection", "in_transit"), true],
  ["it is delivered, and nobody told that it left", moved("awaiting_collection", "delivered"), true],
  ["it is first heard of on its way", received("in_transit"), true],
  ["it is delivered, and was known to be on its way", moved("in_transit", "delivered"), false],
  ["it waits for the carrier", moved("awaiting_shipment", "awaiting_collection"), false],
  ["it is cancelled", moved("awaiting_collection", "cancelled"), false],
  ["it is new", received("unpaid"), false],
  ["it is paid", { kind: "order_paid", paidAt: "2026-11-21T11:00:00Z" }, false],
])("news of an order tell its hand-over when we hear of it first: %s", (_what, event, tells) => {
  expect(tellsHandOver(event)).toBe(tells);
});
