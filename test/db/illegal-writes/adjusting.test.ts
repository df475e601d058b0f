import { type IllegalWrite, refusesIllegalWrites } from "./seeded-tables.ts";

const writes: readonly IllegalWrite[] = [
  [
    "app",
    "another quantity than was asked for",
    "update approvals set quantity = 500 where state = 'waiting'",
  ],
  [
    "app",
    "more time than was given",
    "update approvals set expires_at = now() + interval '1 year' where state = 'waiting'",
  ],
  [
    "app",
    "somebody who approves what he has asked for",
    "update approvals set state = 'approving', decided_by = requested_by, decided_at = now() where state = 'waiting'",
  ],
  ["app", "an approval that nobody gave", "update approvals set state = 'approving' where state = 'waiting'"],
  [
    "app",
    "an approval that is taken back while the stock is asked",
    "update approvals set state = 'rejected', settled_at = now() where state = 'approving'",
  ],
  [
    "app",
    "a refused change that was applied after all",
    "update approvals set state = 'approved', refusal = null, on_hand_after = 1, available_after = 1 where state = 'failed'",
  ],
  [
    "app",
    "a rejected change that waits again",
    "update approvals set state = 'waiting' where state = 'rejected'",
  ],
  [
    "app",
    "an approval without its numbers",
    "update approvals set state = 'approved', settled_at = now() where state = 'approving'",
  ],
  [
    "app",
    "a failure without its reason",
    "update approvals set state = 'failed', settled_at = now() where state = 'approving'",
  ],
  [
    "app",
    "a change of nothing",
    "insert into approvals (tenant_id, effect_id, sku_id, quantity, reason, on_hand_when_asked, available_when_asked, requested_by, expires_at) select tenant_id, 'none', sku_id, 0, 'x', 1, 1, requested_by, now() + interval '1 day' from approvals limit 1",
  ],
  [
    "app",
    "one request that asks twice",
    "insert into approvals (tenant_id, effect_id, sku_id, quantity, reason, on_hand_when_asked, available_when_asked, requested_by, expires_at) select tenant_id, effect_id, sku_id, 200, 'x', 1, 1, requested_by, now() + interval '1 day' from approvals limit 1",
  ],
  ["app", "an approval deleted", "delete from approvals"],
  [
    "app",
    "a row that asks for something else",
    "update bulk_items set quantity = 100 where state = 'waiting'",
  ],
  ["app", "a row with a second result", "update bulk_items set on_hand = 99 where state = 'applied'"],
  [
    "app",
    "a row that was applied to no number",
    "update bulk_items set state = 'applied' where state = 'waiting'",
  ],
  [
    "app",
    "a row that was refused for nothing",
    "update bulk_items set state = 'refused' where state = 'waiting'",
  ],
  [
    "app",
    "a finished operation that goes on",
    "update bulk_operations set state = 'waiting', finished_at = null where state = 'finished'",
  ],
  [
    "app",
    "an operation under another name",
    "update bulk_operations set effect_id = 'other' where state = 'waiting'",
  ],
  ["app", "an accepted operation that is deleted", "delete from bulk_operations where state = 'finished'"],
  [
    "app",
    "an operation of two files",
    "update bulk_operations set content_hash = sha256('b') where state = 'waiting'",
  ],
  ["app", "a barcode that no scanner reads", "update skus set barcode = 'a b'"],
  ["app", "one barcode for two SKUs", "update skus set barcode = '4006381333931'"],
];

refusesIllegalWrites("of large changes, changes by the thousand and barcodes", writes);
