import pg from "pg";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Database } from "../../../src/db/connection.ts";
import { applyStockBatch } from "../../../src/db/stock.ts";
import { adjust, claim, reserve } from "../../domain/stock/stock-builders.ts";
import { type SeededShop, seedShop, seedSku } from "../../support/seed.ts";
import { type UsedTestDatabase, useTestDatabase } from "../../support/use-test-database.ts";

/**
 * Writes that no honest code makes, sent to the database directly: by a process whose code is wrong, or by a person at a
 * prompt. Each must be refused by a constraint, a key, a trigger, a policy or a missing right, and nothing may change.
 */
const writers = ["app", "dispatcher", "ingest", "report", "superuser"] as const;
type Writer = (typeof writers)[number];
/** In the statement `:name` stands for the quoted id of that name. */
export type IllegalWrite = readonly [writer: Writer, what: string, statement: string];
type Names = Readonly<Record<string, string>>;

export interface SeededTables {
  readonly database: UsedTestDatabase;
  /** Sends a statement; `what` names it when it is not refused. */
  expectRefused(writer: Writer, statement: string, what?: string): Promise<void>;
  /** Asks as the app, inside our seller. */
  askAsApp(statement: string): Promise<object[]>;
}

/** Tries the writes of one subject. */
export function refusesIllegalWrites(subject: string, writes: readonly IllegalWrite[]): void {
  onSeededTables((tables) => {
    describe(`an illegal write ${subject} is refused`, () => {
      test.each(writes)("as %s: %s", async (writer, _what, statement) => {
        await tables().expectRefused(writer, statement);
      });
      test("and no write is listed twice", () => {
        expect(new Set(writes.map(([, what]) => what)).size).toBe(writes.length);
      });
    });
  });
}

/** Lets a file's tests work on a row in every state, and sees after them that each row of each table is as it was. */
export function onSeededTables(describeTests: (tables: () => SeededTables) => void): void {
  let database: UsedTestDatabase;
  let names: Names;
  let before: string;
  const clients = new Map<Writer, pg.Client>();

  useTestDatabase(async (made) => {
    database = made;
    const db = database.open();
    const [ours, theirs] = [await seedShop(db), await seedShop(db)];
    names = await seedEveryTable(database, db, ours, theirs);
    before = await fingerprint(database);
  });
  beforeAll(async () => {
    for (const writer of writers) {
      const client = new pg.Client(
        writer === "superuser"
          ? { connectionString: database.superuserUrl }
          : { connectionString: database.url, options: `-c role=cf_${writer}` },
      );
      clients.set(writer, client);
      await client.connect();
      await client.query("select set_config('app.tenant_id', $1, false)", [names["ourTenant"]]);
    }
  });
  afterAll(() => Promise.all([...clients.values()].map((client) => client.end())));

  describeTests(() => ({
    database,
    async expectRefused(writer, statement, what = statement) {
      const refusal = await clients
        .get(writer)!
        .query(filledIn(statement, names))
        .then((result) => ({ code: `accepted, ${result.rowCount} rows`, message: "" }))
        .catch((error: unknown) => error as { code: string; message: string });
      // Integrity and restrict violations, missing rights and policies, and a generated column; never a mistake of the test's.
      expect(refusal.code, `${what}: ${refusal.message}`).toMatch(/^(23...|42501|428C9)$/);
    },
    askAsApp: async (statement) => (await clients.get("app")!.query<object>(filledIn(statement, names))).rows,
  }));
  test("after all of this every row of every table is as it was", async () => {
    expect(await fingerprint(database)).toBe(before);
  });
}

/** A row in every state that a rule is about, in ours; a SKU, a listing and an order in theirs. */
async function seedEveryTable(
  database: UsedTestDatabase,
  db: Database,
  ours: SeededShop,
  theirs: SeededShop,
): Promise<Names> {
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

function ids(prefix: string, shop: SeededShop): Names {
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
  select tenant_id, id, stage, :sku, 'channel-sku', 'Mug', 500, stage, 2, 1, (stage in ('held', 'yielding'))::integer, (stage = 'shipped')::integer,
    (stage in ('closing', 'cancelled', 'reversing', 'reversed'))::integer
  from orders, unnest(array['new', 'short', 'held', 'yielding', 'set_aside', 'arranged', 'shipped', 'closing', 'cancelled', 'reversing', 'reversed',
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
  values (:ourTenant, 'seed@example.test', 'Seed', 'admin', 'hash', 3), (:ourTenant, 'decider@example.test', 'Decider', 'admin', 'hash', 3);
  insert into refresh_tokens (tenant_id, user_id, family_id, token_hash, expires_at, idle_expires_at, revoked_at)
  select tenant_id, id, id, sha256('token'), now(), now(), now() from users where email = 'seed@example.test';
  insert into inventory_audit_log (tenant_id, event_type) values (:ourTenant, 'seed');
  insert into audit_seals (tenant_id, sequence, audit_id, row_hash, chain_hash)
  select tenant_id, 1, id, sha256('row'), sha256('chain') from inventory_audit_log where event_type = 'seed';
  insert into alerts (tenant_id, kind, severity, sku_id, subject_id, state, steps, snoozed_until, resolved_at, rearmed_at)
  select :ourTenant, 'drift', 'warning', :sku, state, state, 1, case when state = 'snoozed' then now() end,
    case when state = 'resolved' then now() end, case when state = 'rearmed' then now() end
  from unnest(array['open', 'snoozed', 'resolved', 'rearmed']) as state;
  insert into alert_deliveries (tenant_id, alert_id, user_id, medium, step, rung, state, ended_at)
  select alerts.tenant_id, alerts.id, users.id, 'email', 0, 0, given.state, case when given.state = 'sent' then now() end
  from alerts join users on users.tenant_id = alerts.tenant_id
  join (values ('open', 'due'), ('rearmed', 'sent')) as given (subject_id, state) on given.subject_id = alerts.subject_id;
  insert into alert_deliveries (tenant_id, alert_id, user_id, medium, step, rung)
  select tenant_id, id, null, 'email', 0, 0 from alerts where subject_id = 'open';
  insert into locations (tenant_id, name) values (:ourTenant, 'North');
  insert into stock_levels (tenant_id, sku_id, location_id)
  select tenant_id, :sku, id from locations where name = 'North' and tenant_id = :ourTenant;
  insert into stock_transfers (tenant_id, transfer_id, sku_id, from_location_id, to_location_id, quantity, received)
  select tenant_id, 'seed', :sku, :ourLocation, id, 3, 1 from locations where name = 'North' and tenant_id = :ourTenant;
  insert into rate_buckets (tenant_id, shop_id, tokens, rate_per_minute, burst, refilled_at)
  values (:ourTenant, :ourShop, 1, 60, 10, now());
  insert into approvals (tenant_id, effect_id, sku_id, quantity, reason, on_hand_when_asked, available_when_asked, requested_by,
    expires_at, state, decided_by, decided_at, settled_at, refusal, on_hand_after, available_after)
  select :ourTenant, state, :sku, 101, 'seed', 5, 5, users.id, now() + interval '3 days', state,
    case when state not in ('waiting', 'expired') then decider.id end, case when state not in ('waiting', 'expired') then now() end,
    case when state not in ('waiting', 'approving') then now() end, case state when 'failed' then 'below_zero' end,
    case state when 'approved' then 106 end, case state when 'approved' then 106 end
  from users, (select id from users where email = 'decider@example.test') as decider,
    unnest(array['waiting', 'approving', 'approved', 'rejected', 'expired', 'failed']) as state
  where users.email = 'seed@example.test';
  insert into bulk_operations (tenant_id, kind, dry_run, requested_by, state, effect_id, content_hash, row_count, finished_at)
  select :ourTenant, 'import', false, id, state, state, sha256('a'), 2, case state when 'finished' then now() end
  from users, unnest(array['waiting', 'finished']) as state where email = 'seed@example.test';
  insert into bulk_items (tenant_id, bulk_id, row_number, given, sku_id, mode, quantity, reason, state, on_hand, available)
  select tenant_id, id, 1, '{}', :sku, 'delta', 1, 'seed', 'applied', 6, 6 from bulk_operations;
  insert into bulk_items (tenant_id, bulk_id, row_number, given, sku_id, mode, quantity, reason, state)
  select tenant_id, id, 2, '{}', :sku, 'delta', 1, 'seed', 'waiting' from bulk_operations where state = 'waiting';`;

/** `:name` stands for the quoted id of that name. */
function filledIn(statement: string, given: Names): string {
  return statement.replaceAll(/(?<![:"]):([a-zA-Z]+)/g, (whole, name: string) => {
    const value = given[name];
    if (value === undefined) throw new Error(`${whole} stands for nothing`);
    return `'${value}'`;
  });
}

/** A hash over every row of every table. */
async function fingerprint(database: UsedTestDatabase): Promise<string> {
  const tables = await database.asSuperuser<{ name: string }>(
    "select relname as name from pg_class where relkind in ('r', 'p') and relnamespace = 'public'::regnamespace and not relispartition order by 1",
  );
  const parts = tables.map(
    ({ name }) =>
      `select '${name}' as name, md5(coalesce(string_agg(row::text, '|' order by row::text), '')) as hash from ${name} as row`,
  );
  return JSON.stringify(await database.asSuperuser(`${parts.join(" union all ")} order by name`));
}
