import type { Kysely } from "kysely";
import { run } from "./tools.ts";

/**
 * What has ended stays ended, and what names a thing never changes, whoever writes.
 *
 * The rules are the triggers' conditions, which the executor checks by itself: a legal write calls no function. So they cost
 * next to nothing on the rows that every order changes many times.
 */
export async function up(db: Kysely<unknown>): Promise<void> {
  await run(
    db,
    `create function refuse_illegal_change() returns trigger language plpgsql as $$
     begin
       raise exception '%: %', tg_table_name, tg_argv[0] using errcode = 'restrict_violation';
     end $$`,
  );
  for (const [table, rules] of Object.entries(updateRules)) {
    for (const [name, sentence, condition] of rules) {
      await run(
        db,
        `create trigger ${name} before update on ${table} for each row when (${condition})
           execute function refuse_illegal_change('${sentence}')`,
      );
    }
  }
  for (const table of neverDeleted) {
    await run(
      db,
      `create trigger never_deleted before delete on ${table} for each row
         execute function refuse_illegal_change('its rows are never deleted');
       create trigger never_emptied before truncate on ${table} for each statement execute function refuse_change()`,
    );
  }
  await run(
    db,
    `create trigger kept_while_valid before delete on idempotency_keys for each row when (old.expires_at >= now())
       execute function refuse_illegal_change('a key is kept for as long as it was promised')`,
  );
  await gaplessMovements(db);
}

type Rule = readonly [name: string, sentence: string, condition: string];

const neverDeleted = [
  "stock_levels",
  "reservations",
  "shortages",
  "orders",
  "order_lines",
  "packages",
  "tracking_events",
  "effects",
] as const;

function fixed(...columns: string[]): Rule {
  const row = (version: string) => `(${columns.map((column) => `${version}.${column}`).join(", ")})`;
  return [
    "names_are_fixed",
    "what the row is about cannot change",
    `${row("new")} is distinct from ${row("old")}`,
  ];
}

function never(state: string, columns: readonly string[], sentence: string): Rule {
  const changed = columns.map((column) => `new.${column} is distinct from old.${column}`).join(" or ");
  return ["ended_is_ended", sentence, `${state} and (${changed})`];
}

/** Where a line may go from each stage, by way of any others; `new` may go anywhere. */
const laterStages: Readonly<Record<string, readonly string[]>> = {
  short: ["held", "arranged", "shipped", "closing", "cancelled", "reversing", "reversed", "untracked"],
  held: ["arranged", "shipped", "closing", "cancelled", "reversing", "reversed", "untracked"],
  arranged: ["shipped", "closing", "cancelled", "reversing", "reversed", "untracked"],
  closing: ["cancelled", "reversing", "reversed"],
  shipped: ["reversing", "reversed"],
  reversing: ["reversed"],
  cancelled: [],
  reversed: [],
  untracked: [],
};

const lineGoesBack = Object.entries(laterStages)
  .map(([stage, later]) => {
    const allowed = [stage, ...later].map((each) => `'${each}'`).join(", ");
    return `old.stage = '${stage}' and new.stage not in (${allowed})`;
  })
  .join(" or ");

/** The plain life of an order: a state may be skipped, never gone back to. */
const lifeOfAnOrder =
  "array['unpaid', 'on_hold', 'awaiting_shipment', 'partially_shipping', 'awaiting_collection', 'in_transit', 'delivered', 'completed', 'cancelled']";
const position = (version: string) => `array_position(${lifeOfAnOrder}, ${version}.channel_status)`;

const updateRules: Readonly<Record<string, readonly Rule[]>> = {
  stock_levels: [
    [
      "counts_up",
      "version and sequence never go down",
      "new.version < old.version or new.last_sequence < old.last_sequence",
    ],
  ],
  shortages: [
    [
      "place_is_fixed",
      "where and since when it waits cannot change",
      "(new.location_id, new.ordered_at, new.created_at) is distinct from (old.location_id, old.ordered_at, old.created_at)",
    ],
  ],
  orders: [
    fixed("tenant_id", "id", "shop_id", "channel_order_id", "ordered_at", "currency", "created_at"),
    [
      "counts_up",
      "versions and sequences never go down",
      "new.snapshot_version < old.snapshot_version or new.handled_version < old.handled_version or new.event_sequence < old.event_sequence",
    ],
    // Until its first news are handled, the state is only what the first look said.
    [
      "moves_forward",
      "an order never goes back, and a closed one stays closed",
      `old.handled_version > 0 and new.channel_status <> old.channel_status and (${position("new")} < ${position("old")}
         or old.channel_status in ('completed', 'cancelled')
         or old.channel_status = 'delivered' and new.channel_status = 'cancelled')`,
    ],
    [
      "stays_paid",
      "what was paid stays paid",
      "old.handled_version > 0 and old.paid_at is not null and new.paid_at is null",
    ],
  ],
  order_lines: [
    fixed("tenant_id", "order_id", "line_id", "channel_sku_id", "ordered"),
    [
      "sku_is_found_once",
      "a line keeps its SKU",
      "old.sku_id is not null and new.sku_id is distinct from old.sku_id",
    ],
    ["generations_rise", "a generation never goes down", "new.generation < old.generation"],
    ["moves_forward", "a line never goes back", lineGoesBack],
  ],
  packages: [fixed("tenant_id", "order_id", "channel_package_id", "arranged_at")],
  effects: [
    fixed("tenant_id", "key", "kind", "input_hash", "started_at"),
    never("old.state = 'done'", ["state", "result", "finished_at"], "what was done is done"),
  ],
  webhook_deliveries: [
    fixed("id", "channel", "sender", "dedupe_key", "topic", "channel_order_id", "body", "received_at"),
    [
      "keeps_its_seller",
      "a delivery stays with its seller",
      "old.tenant_id is not null and (new.tenant_id, new.shop_id) is distinct from (old.tenant_id, old.shop_id)",
    ],
    [
      "ended_is_ended",
      "what was worked off is only replayed by its seller",
      "old.state = 'processed' and new.state <> 'processed' and not (new.state = 'waiting' and current_user = 'cf_app')",
    ],
    ["counts_up", "repetitions are never forgotten", "new.duplicates < old.duplicates"],
  ],
  outbox: [
    fixed("tenant_id", "id", "kind", "key", "payload", "created_at"),
    [
      "ended_is_ended",
      "a message that was worked off is never undone",
      "old.done_at is not null and new.done_at is null",
    ],
  ],
  idempotency_keys: [
    fixed("tenant_id", "key", "route", "request_hash", "created_at"),
    never("old.state = 'answered'", ["state", "status", "body"], "an answer that was given stays the answer"),
  ],
  push_intents: [
    fixed(
      "tenant_id",
      "id",
      "listing_id",
      "sku_id",
      "warehouse_id",
      "desired_available",
      "available_seen",
      "committed_seen",
      "created_at",
    ),
    never("old.state <> 'open'", ["state", "outcome", "closed_at"], "a push that has ended stays ended"),
  ],
  refresh_tokens: [
    fixed("tenant_id", "id", "user_id", "family_id", "token_hash", "created_at", "expires_at"),
    [
      "ended_is_ended",
      "a revoked token stays revoked",
      "old.revoked_at is not null and new.revoked_at is null",
    ],
  ],
  users: [
    ["counts_up", "a permission version never goes down", "new.permission_version < old.permission_version"],
    fixed("tenant_id", "id", "created_at"),
  ],
  shops: [fixed("tenant_id", "id", "channel", "channel_shop_id", "created_at")],
  skus: [fixed("id", "created_at")],
  shop_credentials: [
    fixed("tenant_id", "shop_id"),
    ["counts_up", "a version never goes down", "new.version < old.version"],
  ],
  tracking_events: [["append_only", "what a carrier reported is never edited", "new is distinct from old"]],
};

/**
 * A statement's movements of a SKU continue its sequence: no gap, and no second line under a number. Checked once a
 * statement, so a batch of a thousand pays once. The parent's key cannot refuse this: a partitioned key holds the time.
 */
async function gaplessMovements(db: Kysely<unknown>): Promise<void> {
  await run(
    db,
    `create function movements_are_gapless() returns trigger language plpgsql as $$
     declare
       broken record;
     begin
       select added.* into broken
       from (select tenant_id, sku_id, min(sequence) as first, max(sequence) as last, count(*) as lines
             from added_movements group by tenant_id, sku_id) as added
       where added.last - added.first + 1 <> added.lines
          or (select count(*) from inventory_transactions as line
              where line.tenant_id = added.tenant_id and line.sku_id = added.sku_id
                and line.sequence >= added.first - 1) <> added.lines + case when added.first = 1 then 0 else 1 end
       limit 1;
       if found then
         raise exception 'the movements of SKU % do not go on from the one before %', broken.sku_id, broken.first
           using errcode = 'restrict_violation';
       end if;
       return null;
     end $$;
     create trigger gapless after insert on inventory_transactions referencing new table as added_movements
       for each statement execute function movements_are_gapless()`,
  );
}
