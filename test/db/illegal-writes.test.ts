import pg from "pg";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Database } from "../../src/db/connection.ts";
import { applyStockBatch } from "../../src/db/stock.ts";
import { adjust, claim, reserve } from "../domain/stock/stock-builders.ts";
import { createTestDatabase, type TestDatabase } from "../support/database.ts";
import { openTestDatabase, type SeededShop, seedShop, seedSku } from "../support/seed.ts";

/**
 * Writes that no honest code makes, sent to the database directly: by a process whose code is wrong, or by a person at a
 * prompt. Each must be refused by a constraint, a key, a trigger, a policy or a missing right, and nothing may change.
 */
type Writer = "app" | "dispatcher" | "ingest" | "report" | "superuser";

let database: TestDatabase;
let db: Database;
let ours: SeededShop;
let theirs: SeededShop;
const clients = new Map<Writer, pg.Client>();
let names: Readonly<Record<string, string>>;
let before: string;

beforeAll(async () => {
  database = await createTestDatabase();
  db = openTestDatabase(database.url);
  [ours, theirs] = [await seedShop(db), await seedShop(db)];
  names = await seedEveryTable();
  for (const writer of ["app", "dispatcher", "ingest", "report", "superuser"] as const) {
    const client = new pg.Client(
      writer === "superuser"
        ? { connectionString: database.superuserUrl }
        : { connectionString: database.url, options: `-c role=cf_${writer}` },
    );
    await client.connect();
    await client.query("select set_config('app.tenant_id', $1, false)", [ours.tenantId]);
    clients.set(writer, client);
  }
  before = await fingerprint();
});
afterAll(async () => {
  await Promise.all([...clients.values()].map((client) => client.end()));
  await db.destroy();
  await database.drop();
});

/** A row in every state that a rule is about, in ours; a SKU, a listing and an order in theirs. */
async function seedEveryTable(): Promise<Record<string, string>> {
  const sku = await seedSku(db, ours, 5);
  const empty = await seedSku(db, ours, 0);
  const foreignSku = await seedSku(db, theirs, 5);
  await applyStockBatch(db, ours.tenantId, sku, [
    adjust("seed", 1),
    ...["held", "shipped", "released", "reversed"].map((order) => reserve(order)),
  ]);
  await applyStockBatch(db, ours.tenantId, sku, [
    { kind: "ship", claim: claim("shipped"), quantity: 1, outside: false },
    { kind: "ship", claim: claim("reversed"), quantity: 1, outside: false },
    { kind: "release", claim: claim("released"), reason: "seed" },
  ]);
  await applyStockBatch(db, ours.tenantId, sku, [
    { kind: "reverse", claim: claim("reversed"), reason: "seed" },
  ]);
  await applyStockBatch(db, ours.tenantId, empty, [reserve("waiting"), reserve("withdrawn")]);
  await applyStockBatch(db, ours.tenantId, empty, [
    { kind: "release", claim: claim("withdrawn"), reason: "seed" },
  ]);
  const given = { sku, empty, foreignSku, ...ids("our", ours), ...ids("their", theirs) };
  for (const tenant of ["our", "their"]) {
    await database.asSuperuser(filledIn(ordersOf(tenant), given));
  }
  await database.asSuperuser(filledIn(restOfOurs, given));
  return given;
}

function ids(prefix: string, shop: SeededShop): Record<string, string> {
  return {
    [`${prefix}Tenant`]: shop.tenantId,
    [`${prefix}Shop`]: shop.shopId,
    [`${prefix}Location`]: shop.locationId,
  };
}

const ordersOf = (whose: string) => `
  insert into orders (tenant_id, shop_id, channel_order_id, status, channel_status, next_step, snapshot_version,
    handled_version, event_sequence, shipping, currency, total_minor, ordered_at, paid_at)
  select :${whose}Tenant, :${whose}Shop, '${whose}-' || state, 'pending', state, 'seed', 2, 2, 1, 'channel', 'GBP', 500, now(), now()
  from unnest(array['awaiting_shipment', 'delivered', 'completed', 'cancelled']) as state;
  insert into order_snapshots (tenant_id, order_id, version, channel_updated_at, fetch_began_at, content_hash, content, cause)
  select tenant_id, id, version, now(), now(), 'hash', '{}', 'seed' from orders, generate_series(1, 2) as version
  where tenant_id = :${whose}Tenant;
  insert into order_events (tenant_id, order_id, sequence, kind, data, cause)
  select tenant_id, id, 1, 'order_received', '{}', 'seed' from orders where tenant_id = :${whose}Tenant;`;

const restOfOurs = `
  insert into order_lines (tenant_id, order_id, line_id, sku_id, channel_sku_id, product_name, sale_price_minor, stage,
    generation, ordered, reserved, shipped, cancelled)
  select tenant_id, id, stage, :sku, 'channel-sku', 'Mug', 500, stage, 2, 1, (stage = 'held')::integer, (stage = 'shipped')::integer,
    (stage in ('closing', 'cancelled', 'reversing', 'reversed'))::integer
  from orders, unnest(array['new', 'short', 'held', 'arranged', 'shipped', 'closing', 'cancelled', 'reversing', 'reversed',
    'untracked']) as stage
  where channel_order_id = 'our-awaiting_shipment';
  insert into packages (tenant_id, order_id, channel_package_id)
  select tenant_id, id, 'package' from orders where channel_order_id = 'our-awaiting_shipment';
  insert into tracking_events (tenant_id, order_id, occurred_at, description)
  select tenant_id, id, now(), 'collected' from orders where channel_order_id = 'our-awaiting_shipment';
  insert into effects (tenant_id, key, kind, input_hash, state, result, finished_at) values
    (:ourTenant, 'done', 'ship', 'hash', 'done', '{"ok":true}', now()), (:ourTenant, 'started', 'ship', 'hash', 'started', null, null);
  insert into outbox (tenant_id, kind, key, payload, done_at) values
    (:ourTenant, 'wake_order', 'done', '{}', now()), (:ourTenant, 'wake_order', 'open', '{}', null);
  insert into webhook_deliveries (channel, tenant_id, shop_id, sender, dedupe_key, topic, channel_order_id, body, headers,
    state, duplicates, processed_at) values
    ('tiktok-shop', :ourTenant, :ourShop, 'seed', 'processed', 1, '1', '{}', '{}', 'processed', 3, now()),
    ('tiktok-shop', :ourTenant, :ourShop, 'seed', 'waiting', 1, '1', '{}', '{}', 'waiting', 0, null);
  insert into idempotency_keys (tenant_id, key, route, request_hash, state, leased_until, status, body, expires_at) values
    (:ourTenant, 'answered', 'POST /', sha256('a'), 'answered', now(), 200, '{"ok":true}', now() + interval '1 day'),
    (:ourTenant, 'running', 'POST /', sha256('a'), 'running', now(), null, null, now() + interval '1 day');
  insert into push_intents (tenant_id, listing_id, sku_id, warehouse_id, desired_available, available_seen, committed_seen,
    state, closed_at)
  select tenant_id, id, sku_id, 'w', 5, 4, 0, state, case when state <> 'open' then now() end
  from listings, unnest(array['open', 'confirmed']) as state where sku_id = :sku;
  insert into channel_observations (tenant_id, listing_id, sku_id, warehouse_id, available, committed)
  select tenant_id, id, sku_id, 'w', 5, 0 from listings where sku_id = :sku;
  insert into users (tenant_id, email, name, role, password_hash, permission_version)
  values (:ourTenant, 'seed@example.test', 'Seed', 'admin', 'hash', 3);
  insert into refresh_tokens (tenant_id, user_id, family_id, token_hash, expires_at, idle_expires_at, revoked_at)
  select tenant_id, id, id, sha256('token'), now(), now(), now() from users;
  insert into inventory_audit_log (tenant_id, event_type) values (:ourTenant, 'seed');
  insert into rate_buckets (tenant_id, shop_id, tokens, rate_per_minute, burst, refilled_at)
  values (:ourTenant, :ourShop, 1, 60, 10, now());`;

/** `:name` stands for the quoted id of that name. */
function filledIn(statement: string, given: Readonly<Record<string, string>>): string {
  return statement.replaceAll(/(?<![:"]):([a-zA-Z]+)/g, (whole, name: string) => {
    const value = given[name];
    if (value === undefined) throw new Error(`${whole} stands for nothing`);
    return `'${value}'`;
  });
}

/** A hash over every row of every table. */
async function fingerprint(): Promise<string> {
  const tables = await database.asSuperuser<{ name: string }>(
    "select relname as name from pg_class where relkind in ('r', 'p') and relnamespace = 'public'::regnamespace and not relispartition order by 1",
  );
  const parts = tables.map(
    ({ name }) =>
      `select '${name}' as name, md5(coalesce(string_agg(row::text, '|' order by row::text), '')) as hash from ${name} as row`,
  );
  return JSON.stringify(await database.asSuperuser(parts.join(" union all ")));
}

const movement = (changes: Readonly<Record<string, string>> = {}) => {
  const values: Record<string, string> = {
    tenant_id: ":ourTenant",
    sku_id: ":sku",
    location_id: ":ourLocation",
    sequence: "(select max(sequence) + 1 from inventory_transactions where sku_id = :sku)",
    kind: "'adjust'",
    quantity: "1",
    on_hand_effect: "1",
    reserved_effect: "0",
    previous_stock: "5",
    new_stock: "6",
    previous_reserved: "1",
    new_reserved: "1",
    reason: "'by hand'",
    operation_id: "'by hand'",
    reference_type: "'adjustment'",
    reference_id: "'by hand'",
    ...changes,
  };
  return `insert into inventory_transactions (${Object.keys(values).join(", ")}) select ${Object.values(values).join(", ")}`;
};

const level = (set: string) => `update stock_levels set ${set} where sku_id = :sku`;
const bumped = "version = version + 1, last_sequence = last_sequence + 1";
const order = (state: string, set: string) =>
  `update orders set ${set} where channel_order_id = 'our-${state}'`;
const line = (stage: string, set: string) => `update order_lines set ${set} where line_id = '${stage}'`;
const claimRow = (name: string, set: string) =>
  `update reservations set ${set} where order_ref = 'shop/${name}'`;
const waitingRow = (name: string, set: string) =>
  `update shortages set ${set} where order_ref = 'shop/${name}'`;
const deliveryRow = (key: string, set: string) =>
  `update webhook_deliveries set ${set} where dedupe_key = '${key}'`;
const reservation = (changes: string) =>
  `insert into reservations (tenant_id, reservation_id, sku_id, location_id, order_ref, line_id, generation, quantity, state, resolved_at)
   select ${changes}`;

const stockWrites: readonly (readonly [Writer, string, string])[] = [
  ["app", "units promised beyond those on hand", level(`reserved_stock = current_stock + 1, ${bumped}`)],
  ["app", "fewer than no units on hand", level(`current_stock = -1, reserved_stock = 0, ${bumped}`)],
  ["app", "fewer than no units promised", level(`reserved_stock = -1, ${bumped}`)],
  ["app", "units without a new version", level("current_stock = current_stock + 1")],
  ["app", "units without a new movement", level("current_stock = current_stock + 1, version = version + 1")],
  [
    "app",
    "a version that skips",
    level("current_stock = current_stock + 1, version = version + 2, last_sequence = last_sequence + 1"),
  ],
  ["superuser", "a version that goes down", level("version = version - 1")],
  ["superuser", "a sequence that goes down", level("last_sequence = last_sequence - 1")],
  ["app", "availability written by hand", level("available_stock = 99")],
  ["app", "a backorder floor above nothing", level("backorder_floor = 1")],
  ["app", "a level that becomes another SKU's", level("sku_id = :empty")],
  ["app", "a level at somebody else's location", level("location_id = :theirLocation")],
  [
    "app",
    "a second level for one place",
    "insert into stock_levels (tenant_id, sku_id, location_id) values (:ourTenant, :sku, :ourLocation)",
  ],
  [
    "app",
    "a level of a foreign SKU",
    "insert into stock_levels (tenant_id, sku_id, location_id) values (:ourTenant, :foreignSku, :ourLocation)",
  ],
  ["superuser", "a level deleted", "delete from stock_levels where sku_id = :sku"],
  ["superuser", "all levels truncated", "truncate stock_levels cascade"],
  [
    "app",
    "a movement edited by the app",
    "update inventory_transactions set quantity = 2 where sku_id = :sku",
  ],
  [
    "superuser",
    "a movement edited by the owner of everything",
    "update inventory_transactions set reason = 'better' where sku_id = :sku",
  ],
  ["superuser", "a movement deleted", "delete from inventory_transactions where sku_id = :sku"],
  ["superuser", "the ledger truncated", "truncate inventory_transactions"],
  [
    "app",
    "a gap in a SKU's movements",
    movement({ sequence: "(select max(sequence) + 2 from inventory_transactions where sku_id = :sku)" }),
  ],
  ["app", "a second movement under one number", movement({ sequence: "1" })],
  [
    "app",
    "a fork at the end of a SKU's movements",
    movement({ sequence: "(select max(sequence) from inventory_transactions where sku_id = :sku)" }),
  ],
  ["superuser", "a first movement that is not the first", movement({ sku_id: ":empty", sequence: "7" })],
  ["app", "a movement numbered zero", movement({ sequence: "0" })],
  ["app", "a movement whose on hand does not add up", movement({ new_stock: "7" })],
  ["app", "a movement whose reserved does not add up", movement({ new_reserved: "2" })],
  ["app", "a movement of no units", movement({ quantity: "0", on_hand_effect: "0", new_stock: "5" })],
  ["app", "a movement of fewer than no units", movement({ quantity: "-1" })],
  [
    "app",
    "a movement that leaves fewer than no units",
    movement({ on_hand_effect: "-6", quantity: "6", new_stock: "-1" }),
  ],
  ["app", "a reservation that moves what is on hand", movement({ kind: "'reserve'" })],
  [
    "app",
    "a shipment that keeps its promise",
    movement({ kind: "'ship'", on_hand_effect: "-1", new_stock: "4" }),
  ],
  [
    "app",
    "a release that adds to what is promised",
    movement({
      kind: "'release'",
      on_hand_effect: "0",
      new_stock: "5",
      reserved_effect: "1",
      new_reserved: "2",
    }),
  ],
  ["app", "a movement of an unknown kind", movement({ kind: "'magic'" })],
  ["app", "a movement without a reason", movement({ reason: "''" })],
  ["app", "a movement in a foreign SKU's ledger", movement({ sku_id: ":foreignSku", sequence: "2" })],
  [
    "dispatcher",
    "a movement in another seller's ledger",
    movement({
      tenant_id: ":theirTenant",
      sku_id: ":foreignSku",
      location_id: ":theirLocation",
      sequence: "2",
    }),
  ],
  ["ingest", "a movement by who takes deliveries in", movement()],
  ["report", "a movement by the report", movement()],
  ["app", "an answer changed", "update stock_operations set answer = '{}'"],
  ["superuser", "an answer changed by the owner of everything", "update stock_operations set answer = '{}'"],
  ["superuser", "an operation forgotten", "delete from stock_operations"],
  ["superuser", "all operations forgotten", "truncate stock_operations"],
  [
    "app",
    "an operation id used again for another SKU",
    "insert into stock_operations (tenant_id, operation_id, sku_id, input, answer) values (:ourTenant, 'adjust/seed', :empty, 'x', '{}')",
  ],
  [
    "app",
    "an operation without an id",
    "insert into stock_operations (tenant_id, operation_id, sku_id, input, answer) values (:ourTenant, '', :sku, 'x', '{}')",
  ],
  [
    "app",
    "an operation on a foreign SKU",
    "insert into stock_operations (tenant_id, operation_id, sku_id, input, answer) values (:ourTenant, 'new', :foreignSku, 'x', '{}')",
  ],
];

const claimWrites: readonly (readonly [Writer, string, string])[] = [
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

const orderWrites: readonly (readonly [Writer, string, string])[] = [
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

const otherWrites: readonly (readonly [Writer, string, string])[] = [
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
  ["app", "a revoked token that works again", "update refresh_tokens set revoked_at = null"],
  ["app", "permissions as they were", "update users set permission_version = 1"],
  ["app", "a user in an unknown role", "update users set role = 'root'"],
  ["app", "more calls than the bucket holds", "update rate_buckets set tokens = burst + 1"],
  ["app", "a shop that becomes another one", "update shops set channel_shop_id = 'other'"],
];

describe.each([
  ["of stock", stockWrites],
  ["of claims", claimWrites],
  ["of orders", orderWrites],
  ["of what comes in and goes out", otherWrites],
])("an illegal write %s is refused", (_kind, writes) => {
  test.each(writes)("as %s: %s", async (writer, _sentence, statement) => {
    await expectRefused(writer, filledIn(statement, names));
  });
});

describe("another seller's rows", () => {
  test("are out of reach in every table, for the app and for the dispatcher inside a seller", async () => {
    const tables = await database.asSuperuser<{ name: string }>(
      `select class.relname as name from pg_class class
       join pg_attribute attribute on attribute.attrelid = class.oid and attribute.attname = 'tenant_id'
       where class.relkind in ('r', 'p') and class.relnamespace = 'public'::regnamespace and not class.relispartition`,
    );
    expect(tables.length).toBeGreaterThan(25);
    for (const { name } of tables) {
      await expectRefused(
        "app",
        filledIn(`insert into ${name} (tenant_id) values (:theirTenant)`, names),
        name,
      );
      const { rows } = await clients
        .get("app")!
        .query(`select count(*)::integer as rows from ${name} where tenant_id = $1`, [names["theirTenant"]]);
      expect(rows, name).toEqual([{ rows: 0 }]);
    }
  });

  test("are out of reach of every foreign key: each between sellers' tables carries the seller", async () => {
    const keys = await database.asSuperuser<{ name: string }>(
      `select key.conrelid::regclass || ' ' || key.conname as name from pg_constraint key
       join pg_attribute ours on ours.attrelid = key.conrelid and ours.attname = 'tenant_id'
       join pg_attribute theirs on theirs.attrelid = key.confrelid and theirs.attname = 'tenant_id'
       where key.contype = 'f' and not ours.attnum = any (key.conkey)`,
    );
    expect(keys).toEqual([]);
  });
});

test("at least 60 illegal writes were tried, and after all of them every row of every table is as it was", async () => {
  const tried = [...stockWrites, ...claimWrites, ...orderWrites, ...otherWrites];
  expect(new Set(tried.map(([, sentence]) => sentence)).size).toBe(tried.length);
  expect(tried.length).toBeGreaterThanOrEqual(60);
  expect(await fingerprint()).toBe(before);
});

async function expectRefused(writer: Writer, statement: string, what = statement): Promise<void> {
  const refusal = await clients
    .get(writer)!
    .query(statement)
    .then((result) => ({ code: `accepted, ${result.rowCount} rows`, message: "" }))
    .catch((error: unknown) => error as { code: string; message: string });
  // Integrity and restrict violations, missing rights and policies, and a generated column; never a mistake of the test's.
  expect(refusal.code, `${what}: ${refusal.message}`).toMatch(/^(23...|42501|428C9)$/);
}
