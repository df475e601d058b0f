import { type IllegalWrite, refusesIllegalWrites } from "./seeded-tables.ts";

const claimRow = (name: string, set: string) =>
  `update reservations set ${set} where order_ref = 'shop/${name}'`;
const waitingRow = (name: string, set: string) =>
  `update shortages set ${set} where order_ref = 'shop/${name}'`;
const reservation = (changes: string) =>
  `insert into reservations (tenant_id, reservation_id, sku_id, location_id, order_ref, line_id, generation, quantity, state, resolved_at)
   select ${changes}`;

const writes: readonly IllegalWrite[] = [
  ["app", "a shipped reservation released", claimRow("shipped", "state = 'released'")],
  ["app", "a released reservation shipped", claimRow("released", "state = 'shipped'")],
  ["app", "a released reservation held again", claimRow("released", "state = 'held', resolved_at = null")],
  ["app", "a shipped reservation held again", claimRow("shipped", "state = 'held', resolved_at = null")],
  [
    "app",
    "a reservation resolved at another time",
    claimRow("shipped", "resolved_at = now() + interval '1 day'"),
  ],
  ["app", "a reservation that is held and resolved", claimRow("held", "resolved_at = now()")],
  ["app", "a reservation that is resolved without a time", claimRow("held", "state = 'shipped'")],
  ["app", "a shipment reversed twice", claimRow("reversed", "reversed_at = now() + interval '1 day'")],
  ["app", "a reversal taken back", claimRow("reversed", "reversed_at = null")],
  ["app", "a reservation that is held and handed over", claimRow("held", "handed_over_at = now()")],
  ["app", "a release reversed", claimRow("released", "reversed_at = now()")],
  ["app", "a reservation of more units than before", claimRow("held", "quantity = quantity + 1")],
  ["app", "a reservation that becomes another order's", claimRow("held", "order_ref = 'shop/other'")],
  ["app", "a reservation that becomes another SKU's", claimRow("held", "sku_id = :empty")],
  ["app", "a reservation under another generation", claimRow("held", "generation = generation + 1")],
  ["app", "a reservation in an unknown state", claimRow("held", "state = 'lost', resolved_at = now()")],
  [
    "app",
    "a reservation of no units",
    reservation(
      "tenant_id, 'new', sku_id, location_id, 'shop/new', '1', 1, 0, 'held', null from reservations limit 1",
    ),
  ],
  [
    "app",
    "two open reservations for one line",
    reservation(
      "tenant_id, 'new', sku_id, location_id, order_ref, line_id, 2, 1, 'held', null from reservations where state = 'held'",
    ),
  ],
  [
    "app",
    "a reservation at a place without stock",
    reservation(
      "tenant_id, 'new', :sku, :theirLocation, 'shop/new', '1', 1, 1, 'held', null from reservations limit 1",
    ),
  ],
  [
    "app",
    "a reservation of a foreign SKU",
    reservation(
      "tenant_id, 'new', :foreignSku, location_id, 'shop/new', '1', 1, 1, 'held', null from reservations limit 1",
    ),
  ],
  ["app", "a reservation that becomes another part", claimRow("held", "part = part + 1")],
  ["app", "an order's reservation with an end", claimRow("held", "expires_at = now()")],
  [
    "app",
    "a hold without an end",
    reservation(
      "tenant_id, 'new', sku_id, location_id, 'hold/new', '1', 1, 1, 'held', null from reservations limit 1",
    ),
  ],
  ["superuser", "a reservation deleted", "delete from reservations"],
  ["superuser", "all reservations truncated", "truncate reservations"],
  [
    "app",
    "a withdrawn shortage that waits again",
    waitingRow("withdrawn", "state = 'waiting', resolved_at = null"),
  ],
  ["app", "a withdrawn shortage that is served", waitingRow("withdrawn", "state = 'served'")],
  ["app", "a shortage that is served and waits", waitingRow("waiting", "resolved_at = now()")],
  ["app", "a shortage of more units than before", waitingRow("waiting", "quantity = 9")],
  [
    "app",
    "a shortage that waits since earlier",
    waitingRow("waiting", "ordered_at = ordered_at - interval '1 day'"),
  ],
  ["app", "a shortage that waits elsewhere", waitingRow("waiting", "location_id = :ourLocation")],
  ["superuser", "a shortage deleted", "delete from shortages"],
];

const transfer = (set: string) => `update stock_transfers set ${set}`;
const transferWrites: readonly IllegalWrite[] = [
  ["app", "a transfer of more units than were sent", transfer("quantity = quantity + 1")],
  ["app", "more units received than were sent", transfer("received = quantity + 1")],
  ["app", "more units received and missing than were sent", transfer("missing = quantity")],
  ["app", "received units taken back", transfer("received = 0")],
  ["app", "a transfer to where it comes from", transfer("to_location_id = from_location_id")],
  ["app", "a transfer of another SKU", transfer("sku_id = :empty")],
  [
    "app",
    "a transfer that begins at its end",
    "insert into stock_transfers (tenant_id, transfer_id, sku_id, from_location_id, to_location_id, quantity) values (:ourTenant, 'new', :sku, :ourLocation, :ourLocation, 1)",
  ],
  [
    "app",
    "a transfer to a foreign location",
    "insert into stock_transfers (tenant_id, transfer_id, sku_id, from_location_id, to_location_id, quantity) values (:ourTenant, 'new', :sku, :ourLocation, :theirLocation, 1)",
  ],
  ["superuser", "a transfer deleted", "delete from stock_transfers"],
  ["superuser", "all transfers truncated", "truncate stock_transfers"],
];
refusesIllegalWrites("of transfers", transferWrites);

refusesIllegalWrites("of claims", writes);
