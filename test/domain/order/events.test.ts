import { expect, test } from "vitest";
import type { ChannelStatus } from "../../../src/domain/order/channel-order.ts";
import { type OrderEvent, tellsHandOver } from "../../../src/domain/order/events.ts";

const moved = (from: ChannelStatus, to: ChannelStatus): OrderEvent => ({ kind: "status_changed", from, to });
const received = (status: ChannelStatus): OrderEvent => ({ kind: "order_received", status, lines: 1 });

test.each<[what: string, event: OrderEvent, tells: boolean]>([
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
