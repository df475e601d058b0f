import { type IllegalWrite, refusesIllegalWrites } from "./seeded-tables.ts";

const writes: readonly IllegalWrite[] = [
  ["app", "a seal changed", "update audit_seals set row_hash = sha256('other')"],
  ["superuser", "a seal deleted", "delete from audit_seals"],
  ["superuser", "all seals truncated", "truncate audit_seals"],
  [
    "app",
    "an audit row sealed twice",
    "insert into audit_seals (tenant_id, sequence, audit_id, row_hash, chain_hash) select tenant_id, 2, audit_id, row_hash, chain_hash from audit_seals",
  ],
  ["superuser", "an audit row changed", "update inventory_audit_log set reason = 'other'"],
  ["superuser", "an audit row deleted", "delete from inventory_audit_log"],
  ["superuser", "the audit truncated", "truncate inventory_audit_log"],
  ["app", "an answer to a key changed", "update idempotency_keys set body = '{}' where key = 'answered'"],
  [
    "app",
    "an answered key asked anew",
    "update idempotency_keys set state = 'running', status = null, body = null where key = 'answered'",
  ],
  [
    "app",
    "a key for another request",
    "update idempotency_keys set request_hash = sha256('b') where key = 'running'",
  ],
  ["app", "a valid key deleted", "delete from idempotency_keys where key = 'answered'"],
  [
    "app",
    "a push reopened",
    "update push_intents set state = 'open', closed_at = null where state = 'confirmed'",
  ],
  ["app", "a push of another number", "update push_intents set desired_available = 6 where state = 'open'"],
  [
    "app",
    "a push of fewer than no units",
    "insert into push_intents (tenant_id, listing_id, sku_id, warehouse_id, desired_available, available_seen, committed_seen) select tenant_id, id, sku_id, 'v', -1, 0, 0 from listings limit 1",
  ],
  [
    "app",
    "two pushes under way at once",
    "insert into push_intents (tenant_id, listing_id, sku_id, warehouse_id, desired_available, available_seen, committed_seen) select tenant_id, listing_id, sku_id, warehouse_id, 1, 1, 0 from push_intents where state = 'open'",
  ],
  ["superuser", "what a channel said changed", "update channel_observations set available = 9"],
  ["dispatcher", "what a channel said forgotten too soon", "delete from channel_observations"],
  ["app", "what a channel said forgotten by the app", "delete from channel_observations"],
  ["dispatcher", "a push forgotten too soon", "delete from push_intents where state <> 'open'"],
  ["superuser", "a push forgotten that is under way", "delete from push_intents where state = 'open'"],
  ["app", "a revoked token that works again", "update refresh_tokens set revoked_at = null"],
  ["app", "permissions as they were", "update users set permission_version = 1"],
  ["app", "a user in an unknown role", "update users set role = 'root'"],
  ["app", "more calls than the bucket holds", "update rate_buckets set tokens = burst + 1"],
  ["app", "a shop that becomes another one", "update shops set channel_shop_id = 'other'"],
];

refusesIllegalWrites("of what people and shops are told and may do", writes);
