import { type IllegalWrite, refusesIllegalWrites } from "./seeded-tables.ts";

const deliveryRow = (key: string, set: string) =>
  `update webhook_deliveries set ${set} where dedupe_key = '${key}'`;

const writes: readonly IllegalWrite[] = [
  ["app", "the result of an effect changed", "update effects set result = '{}' where key = 'done'"],
  [
    "app",
    "an effect begun again that was done",
    "update effects set state = 'started', finished_at = null where key = 'done'",
  ],
  ["app", "an effect for another wish", "update effects set input_hash = 'other' where key = 'started'"],
  ["app", "an effect that ended without a time", "update effects set state = 'done' where key = 'started'"],
  ["superuser", "an effect forgotten", "delete from effects"],
  ["dispatcher", "a message undone", "update outbox set done_at = null where key = 'done'"],
  [
    "dispatcher",
    "a message that says something else",
    `update outbox set payload = '{"orderRef":"other"}' where key = 'open'`,
  ],
  ["dispatcher", "a message forgotten too soon", "delete from outbox where key = 'done'"],
  ["superuser", "a message forgotten that waits", "delete from outbox where key = 'open'"],
  [
    "dispatcher",
    "a delivery forgotten too soon",
    "delete from webhook_deliveries where dedupe_key = 'processed'",
  ],
  [
    "superuser",
    "a delivery forgotten that waits",
    "delete from webhook_deliveries where dedupe_key = 'waiting'",
  ],
  ["app", "a message worked off by the app", "update outbox set done_at = now() where key = 'open'"],
  [
    "app",
    "a message told twice",
    "insert into outbox (tenant_id, kind, key, payload) values (:ourTenant, 'wake_order', 'done', '{}')",
  ],
  ["dispatcher", "a delivery un-processed by the dispatcher", deliveryRow("processed", "state = 'waiting'")],
  ["ingest", "a delivery un-processed by who takes in", deliveryRow("processed", "state = 'waiting'")],
  ["app", "a processed delivery parked", deliveryRow("processed", "state = 'parked'")],
  ["app", "a delivery with another body", deliveryRow("waiting", "body = '[]'")],
  ["dispatcher", "a delivery about another order", deliveryRow("waiting", "channel_order_id = '2'")],
  [
    "dispatcher",
    "a delivery given to another seller",
    deliveryRow("waiting", "tenant_id = :theirTenant, shop_id = :theirShop"),
  ],
  ["dispatcher", "repetitions forgotten", deliveryRow("processed", "duplicates = 0")],
  ["ingest", "a delivery's body read by who takes in", "select body from webhook_deliveries"],
  [
    "app",
    "a delivery taken in by the app",
    "insert into webhook_deliveries (channel, sender, dedupe_key, body, headers) values ('tiktok-shop', 'x', 'x', '', '{}')",
  ],
  [
    "ingest",
    "one request stored twice",
    "insert into webhook_deliveries (channel, sender, dedupe_key, body, headers) values ('tiktok-shop', 'seed', 'waiting', '', '{}')",
  ],
];

refusesIllegalWrites("of deliveries, effects and the outbox", writes);
