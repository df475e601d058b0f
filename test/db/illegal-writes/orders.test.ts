import { type IllegalWrite, refusesIllegalWrites } from "./seeded-tables.ts";

const order = (state: string, set: string) =>
  `update orders set ${set} where channel_order_id = 'our-${state}'`;
const line = (stage: string, set: string) => `update order_lines set ${set} where line_id = '${stage}'`;

const writes: readonly IllegalWrite[] = [
  ["app", "a cancelled order reopened", order("cancelled", "channel_status = 'awaiting_shipment'")],
  ["app", "a completed order reopened", order("completed", "channel_status = 'delivered'")],
  ["app", "a completed order cancelled", order("completed", "channel_status = 'cancelled'")],
  ["app", "a delivered order cancelled", order("delivered", "channel_status = 'cancelled'")],
  ["app", "an order that goes back", order("awaiting_shipment", "channel_status = 'on_hold'")],
  ["app", "an order in an unknown state", order("awaiting_shipment", "channel_status = 'somewhere'")],
  ["app", "a handled version that goes back", order("awaiting_shipment", "handled_version = 1")],
  [
    "app",
    "a snapshot version that goes back",
    order("awaiting_shipment", "snapshot_version = 1, handled_version = 1"),
  ],
  ["app", "news handled that never came", order("awaiting_shipment", "handled_version = 3")],
  ["app", "a timeline that is numbered anew", order("awaiting_shipment", "event_sequence = 0")],
  ["app", "an order that becomes another one", order("awaiting_shipment", "channel_order_id = 'other'")],
  ["app", "an order that moves to a foreign shop", order("awaiting_shipment", "shop_id = :theirShop")],
  ["app", "an order in another currency", order("awaiting_shipment", "currency = 'USD'")],
  ["app", "a payment taken back", order("awaiting_shipment", "paid_at = null")],
  [
    "app",
    "a second order of one number",
    `insert into orders (tenant_id, shop_id, channel_order_id, status, channel_status, next_step, snapshot_version, shipping, currency, total_minor, ordered_at)
    select tenant_id, shop_id, channel_order_id, status, channel_status, next_step, 1, shipping, currency, total_minor, ordered_at from orders limit 1`,
  ],
  ["superuser", "an order deleted", "delete from orders where tenant_id = :ourTenant"],
  ["superuser", "all orders truncated", "truncate orders cascade"],
  [
    "app",
    "a cancelled line that is held again",
    line("cancelled", "stage = 'held', cancelled = 0, reserved = 1"),
  ],
  ["app", "a line that left and comes back", line("shipped", "stage = 'held', shipped = 0, reserved = 1")],
  ["app", "a shipped line that is closed as if it never left", line("shipped", "stage = 'closing'")],
  ["app", "a line that left and is new again", line("arranged", "stage = 'new'")],
  ["app", "a reversed line that is shipped again", line("reversed", "stage = 'shipped'")],
  ["app", "a reversing line that is cancelled", line("reversing", "stage = 'cancelled'")],
  ["app", "an untracked line that asks for units", line("untracked", "stage = 'new'")],
  ["app", "a closing line that is held again", line("closing", "stage = 'held'")],
  ["app", "a held line that is short again", line("held", "stage = 'short'")],
  ["app", "a line set aside that is asked for under its old claim", line("set_aside", "stage = 'new'")],
  [
    "app",
    "a yielding line that is asked for under its old claim",
    line("yielding", "stage = 'new', reserved = 0"),
  ],
  [
    "app",
    "a course without a shortage",
    order("awaiting_shipment", "shortage_decided_by = gen_random_uuid()"),
  ],
  ["app", "an unknown course", order("awaiting_shipment", "shortage_course = 'hope'")],
  ["app", "a line in an unknown stage", line("held", "stage = 'lost'")],
  ["app", "a generation that goes back", line("held", "generation = 1")],
  ["app", "a line that becomes another SKU's", line("held", "sku_id = :empty")],
  ["app", "a line that becomes a foreign SKU's", line("new", "sku_id = :foreignSku")],
  ["app", "a line of another size", line("held", "ordered = 2")],
  ["app", "more units reserved than were ordered", line("held", "reserved = 2")],
  ["app", "units delivered that were never shipped", line("held", "delivered = 1")],
  ["app", "units returned that were never delivered", line("shipped", "returned_good = 1")],
  ["superuser", "a line deleted", "delete from order_lines"],
  ["app", "a snapshot edited", "update order_snapshots set content = '{}'"],
  ["superuser", "a snapshot deleted", "delete from order_snapshots"],
  [
    "app",
    "a second snapshot under one version",
    "insert into order_snapshots (tenant_id, order_id, version, channel_updated_at, fetch_began_at, content_hash, content, cause) select tenant_id, order_id, version, now(), now(), 'x', '{}', 'x' from order_snapshots limit 1",
  ],
  ["superuser", "an order's story rewritten", "update order_events set kind = 'other'"],
  ["superuser", "an order's story forgotten", "delete from order_events"],
  [
    "app",
    "a second event under one number",
    "insert into order_events (tenant_id, order_id, sequence, kind, data, cause) select tenant_id, order_id, sequence, 'x', '{}', 'x' from order_events limit 1",
  ],
  [
    "app",
    "an event of a foreign order",
    "insert into order_events (tenant_id, order_id, sequence, kind, data, cause) select :ourTenant, gen_random_uuid(), 1, 'x', '{}', 'x'",
  ],
  ["superuser", "a package that becomes another one", "update packages set channel_package_id = 'other'"],
  ["superuser", "tracking edited", "update tracking_events set description = 'delivered'"],
];

refusesIllegalWrites("of orders", writes);
