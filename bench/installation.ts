import { sealAuditRows } from "../src/db/audit-seals.ts";
import type { Database } from "../src/db/connection.ts";
import { markHandedOver } from "../src/db/our-numbers.ts";
import { withTenant } from "../src/db/tenant.ts";
import { asId, type SkuId, type TenantId } from "../src/domain/ids.ts";
import { type SeededShop, seedShop, seededWarehouse } from "../test/support/seed.ts";
import type { BenchServers } from "./servers.ts";

export interface InstallationSize {
  readonly skus: number;
  /** Rows of the ledger, about. */
  readonly movements: number;
}

export interface Installation {
  readonly shop: SeededShop;
  /** By their codes; the first of them are the hot ones. */
  readonly skuIds: readonly SkuId[];
  readonly hotSkus: readonly SkuId[];
  /** Those without a unit to sell; orders wait for some of them. */
  readonly soldOutSkus: ReadonlySet<SkuId>;
  /** Rows by table. */
  readonly rows: Readonly<Record<string, number>>;
}

/** SKUs with three in twenty of all movements between them. */
const hotSkuCount = 5;
const monthsOfHistory = 12;
/** An order and what becomes of it, in the shares that a year leaves behind. */
const fates = { shipped: 0.8, cancelled: 0.12 };
const linesPerOrder = 1.4;
/** Movements that an average line leaves in the ledger. */
const movementsPerLine = 1.92;

/**
 * An installation after a year: SKUs with listings in two shops, movements by orders, deliveries and write-offs, and the
 * orders, reservations and answers that belong to them, as the product would have written them. Written by set and not by
 * the product, which would take an hour; the proof says whether it agrees with itself.
 */
export async function buildInstallation(
  servers: BenchServers,
  db: Database,
  size: InstallationSize,
): Promise<Installation> {
  const shop = await seedShop(db);
  // As many rows as are wanted, without those that each SKU has of its own.
  const lines = Math.max(size.skus, Math.round((size.movements - 2 * size.skus) / movementsPerLine));
  await servers.query(buildStatements(shop, size.skus, Math.ceil(lines / linesPerOrder)));
  await sealAll(db, shop.tenantId);
  while ((await withTenant(db, shop.tenantId, markHandedOver)) > 0);
  await servers.query("vacuum (analyze)");
  const skus = await servers.query<{ id: string; available: number }>(
    `select skus.id, available_stock as available from skus join stock_levels on sku_id = skus.id
     where skus.tenant_id = $1 order by code`,
    [shop.tenantId],
  );
  const skuIds = skus.map(({ id }) => asId<"Sku">(id));
  return {
    shop,
    skuIds,
    hotSkus: skuIds.slice(0, hotSkuCount),
    soldOutSkus: new Set(skus.flatMap(({ id, available }) => (available === 0 ? [asId<"Sku">(id)] : []))),
    rows: await countRows(servers),
  };
}

/** Seals what the running system would have sealed by now. */
export async function sealAll(db: Database, tenantId: TenantId): Promise<void> {
  let sealed: number;
  do {
    ({ sealed } = await withTenant(db, tenantId, (transaction) => sealAuditRows(transaction, tenantId)));
  } while (sealed > 0);
}

async function countRows(servers: BenchServers): Promise<Record<string, number>> {
  const tables = [
    "skus",
    "listings",
    "inventory_transactions",
    "stock_operations",
    "reservations",
    "shortages",
    "orders",
    "order_lines",
    "audit_seals",
  ];
  const counts = await servers.query<{ table: string; count: string }>(
    tables.map((table) => `select '${table}' as table, count(*) from ${table}`).join(" union all "),
  );
  return Object.fromEntries(counts.map(({ table, count }) => [table, Number(count)]));
}

function buildStatements({ tenantId, shopId, locationId }: SeededShop, skus: number, orders: number): string {
  const tenant = `'${tenantId}'::uuid`;
  const location = `'${locationId}'::uuid`;
  return `
    begin;
    set local synchronous_commit = off;
    set local work_mem = '256MB';
    select setseed(0.5);
    select ensure_ledger_partition((date_trunc('month', now()) - month * interval '1 month')::date)
      from generate_series(0, ${monthsOfHistory + 1}) as month;

    insert into shops (tenant_id, channel, channel_shop_id, name, region, opened_at)
      values (${tenant}, 'tiktok-shop', gen_random_uuid()::text, 'Second shop', 'GB', now());
    insert into shop_warehouses (tenant_id, shop_id, channel_warehouse_id, location_id)
      select tenant_id, id, '${seededWarehouse}', ${location} from shops
      where tenant_id = ${tenant} and id <> '${shopId}';

    -- The catalogue: four SKUs a product; one in ten is sold in both shops, one in twenty is sold out, one in twenty is low.
    create temp table made_sku on commit drop as
      select number, gen_random_uuid() as id, number % 10 = 1 as is_shared, number % 20 = 3 as is_sold_out,
        number % 20 = 4 as is_low, 10 + number % 190 as spare,
        now() - interval '${monthsOfHistory} months' + random() * interval '1 day' as opened_at
      from generate_series(0, ${skus} - 1) as number;
    create temp table made_product on commit drop as
      select number, gen_random_uuid() as id from generate_series(0, ${skus} / 4) as number;
    insert into products (id, tenant_id, title) select id, ${tenant}, 'Product ' || number from made_product;
    insert into skus (id, tenant_id, product_id, code, name, low_stock_threshold, sync_status, last_synced_at,
        sold_in_several_shops)
      select made_sku.id, ${tenant}, made_product.id, 'SKU-' || to_char(made_sku.number, 'FM0000000'),
        (array['Canvas', 'Linen', 'Cotton', 'Velvet', 'Woollen', 'Silk', 'Denim'])[1 + made_sku.number * 31 % 7] || ' '
          || (array['Tote Bag', 'Scarf', 'T-Shirt', 'Cushion', 'Hoodie', 'Cap', 'Apron', 'Blanket', 'Pouch'])[1 + made_sku.number * 17 % 9]
          || ' ' || (array['red', 'blue', 'green', 'black', 'white'])[1 + made_sku.number % 5] || ' ' || made_sku.number,
        10, case when made_sku.number % 50 = 7 then 'pending' else 'synced' end, now() - interval '10 minutes', is_shared
      from made_sku join made_product on made_product.number = made_sku.number / 4;
    insert into listings (tenant_id, shop_id, sku_id, channel_product_id, channel_sku_id, warehouse_ids)
      select ${tenant}, shops.id, made_sku.id, 'product-' || number / 4, 'listed-' || number, array['${seededWarehouse}']
      from made_sku join shops on shops.tenant_id = ${tenant} and (shops.id = '${shopId}' or is_shared);
    insert into channel_observations (tenant_id, listing_id, sku_id, warehouse_id, available, committed, observed_at)
      select ${tenant}, id, sku_id, '${seededWarehouse}', 10, 0, now() - minutes * interval '1 minute'
      from listings, unnest(array[5, 20]) as minutes;
    insert into push_intents (tenant_id, listing_id, sku_id, warehouse_id, desired_available, available_seen, committed_seen,
        state, outcome, created_at, closed_at)
      select ${tenant}, id, sku_id, '${seededWarehouse}', 10, 11, 0, 'confirmed', 'confirmed', now() - interval '1 hour',
        now() - interval '59 minutes'
      from listings;

    -- Orders of one line or two. Those of the last week are open; older ones were shipped or cancelled within two days.
    create temp table made_order on commit drop as
      select number, gen_random_uuid() as id, '${shopId}/' || number as order_ref, fate, ordered_at,
        ordered_at + interval '10 minutes' as paid_at,
        case when fate <> 'held' then ordered_at + interval '1 hour' + random() * interval '2 days' end as resolved_at
      from (
        select number, fate, now() - case when fate = 'held' then interval '1 hour' + random() * interval '6 days'
          else interval '3 days' + random() * interval '${monthsOfHistory * 30 - 10} days' end as ordered_at
        from (
          select number, case when chance < ${fates.shipped} then 'shipped'
            when chance < ${fates.shipped + fates.cancelled} then 'cancelled' else 'held' end as fate
          from (select number, random() as chance from generate_series(1, ${orders}) as number) as drawn
        ) as fated
      ) as placed;
    create temp table made_line on commit drop as
      select made_order.*, line_id, made_sku.id as sku_id, made_sku.number as sku_number,
        case when random() < 0.1 then 2 else 1 end as quantity
      from (
        select made_order.number, line_number::text as line_id,
          case when random() < 0.15 then floor(random() * least(${hotSkuCount}, ${skus}))
            else floor(power(random(), 2) * ${skus}) end::integer as sku_number
        from made_order, generate_series(1, 2) as line_number
        where line_number = 1 or made_order.number % 5 < 2
      ) as line
      join made_order using (number)
      join made_sku on made_sku.number = line.sku_number;

    -- Who waits for what is sold out: twenty orders a SKU, and up to 2,000 for the hot one.
    create temp table made_wait on commit drop as
      select ${orders} + row_number() over (order by made_sku.number, place) as number, gen_random_uuid() as id,
        made_sku.id as sku_id, now() - interval '50 minutes' + place * interval '1 second' as ordered_at
      from made_sku, generate_series(1, case when number < ${hotSkuCount} then ${Math.min(2_000, skus)} when number % 200 = 3 then 20 else 0 end) as place
      where is_sold_out;

    insert into orders (id, tenant_id, shop_id, channel_order_id, status, channel_status, next_step, snapshot_version,
        handled_version, shipping, warehouse_id, currency, total_minor, ordered_at, paid_at, updated_at)
      select id, ${tenant}, '${shopId}'::uuid, number::text,
        case fate when 'shipped' then 'delivered' when 'cancelled' then 'cancelled' else 'processing' end,
        case fate when 'shipped' then 'completed' when 'cancelled' then 'cancelled' else 'awaiting_shipment' end,
        'none', 1, 1, 'channel', '${seededWarehouse}', 'GBP', 1999, ordered_at, paid_at, coalesce(resolved_at, paid_at)
      from made_order
      union all
      select id, ${tenant}, '${shopId}'::uuid, number::text, 'processing', 'awaiting_shipment', 'none', 1, 1, 'channel',
        '${seededWarehouse}', 'GBP', 1999, ordered_at, ordered_at, ordered_at
      from made_wait;
    insert into order_lines (tenant_id, order_id, line_id, sku_id, channel_sku_id, product_name, sale_price_minor, stage,
        ordered, reserved, short, shipped, delivered, cancelled)
      select ${tenant}, id, line_id, sku_id, 'listed-' || sku_number, 'Product', 1999, fate, quantity,
        case fate when 'held' then quantity else 0 end, 0, case fate when 'shipped' then quantity else 0 end,
        case fate when 'shipped' then quantity else 0 end, case fate when 'cancelled' then quantity else 0 end
      from made_line
      union all
      select ${tenant}, id, '1', sku_id, 'listed', 'Product', 1999, 'short', 1, 0, 1, 0, 0, 0 from made_wait;

    -- The ledger: opening, a delivery, what orders did, and a write-off of what is left where nothing or little shall be.
    create temp table made_sum on commit drop as
      select sku_id, sum(quantity) as promised, sum(quantity) filter (where fate = 'cancelled') as returned
      from made_line group by sku_id;
    create temp table made_movement on commit drop as
      select moved.*, row_number() over before as sequence, sum(on_hand) over before as new_stock,
        sum(reserved) over before as new_reserved
      from (
        select id as sku_id, opened_at as at, 0 as step, 'opening' as kind, spare + coalesce(promised, 0)::integer as quantity,
          spare + coalesce(promised, 0)::integer as on_hand, 0 as reserved, 'Opening stock' as reason, 'opening' as reference_type,
          id::text as reference_id, 'open/' || id || '/${locationId}' as operation_id, 'open' as input
        from made_sku left join made_sum on sku_id = id
        union all
        select id, opened_at + interval '1 day', 0, 'receive', 20, 20, 0, 'Delivery', 'receipt', 'delivery-' || id,
          'receive/delivery-' || id, 'receive 20 at default: Delivery'
        from made_sku
        union all
        select sku_id, paid_at, 1, 'reserve', quantity, 0, quantity, 'Reserved for an order', 'order_line',
          order_ref || '/' || line_id, order_ref || '/' || line_id || '/reserve/1', 'reserve ' || quantity || ' at any'
        from made_line
        union all
        select sku_id, resolved_at, 2, case fate when 'shipped' then 'ship' else 'release' end, quantity,
          case fate when 'shipped' then -quantity else 0 end, -quantity, 'Order ' || fate, 'order_line',
          order_ref || '/' || line_id,
          order_ref || '/' || line_id || case fate when 'shipped' then '/ship/1' else '/release/1' end,
          case fate when 'shipped' then 'ship ' || quantity else 'release' end
        from made_line where fate <> 'held'
        union all
        select id, now() - interval '55 minutes', 3, 'damage', left_over, -left_over, 0, 'Water damage', 'write_off',
          'damage-' || id, 'damage/damage-' || id, 'damage ' || left_over || ' at default: Water damage'
        from (
          select id, spare + 20 + coalesce(returned, 0)::integer - case when is_low then 5 else 0 end as left_over
          from made_sku left join made_sum on sku_id = id where is_sold_out or is_low
        ) as ending
      ) as moved
      window before as (partition by sku_id order by at, step, operation_id rows unbounded preceding);

    insert into stock_levels (tenant_id, sku_id, location_id, current_stock, reserved_stock, version, last_sequence)
      select ${tenant}, sku_id, ${location}, sum(on_hand), sum(reserved), max(sequence), max(sequence)
      from made_movement group by sku_id;
    insert into inventory_transactions (tenant_id, sku_id, location_id, sequence, kind, quantity, on_hand_effect, reserved_effect,
        previous_stock, new_stock, previous_reserved, new_reserved, reason, operation_id, reference_type, reference_id, created_at)
      select ${tenant}, sku_id, ${location}, sequence, kind, quantity, on_hand, reserved, new_stock - on_hand, new_stock,
        new_reserved - reserved, new_reserved, reason, operation_id, reference_type, reference_id, at
      from made_movement order by at;
    insert into stock_operations (tenant_id, operation_id, sku_id, input, answer, applied_at)
      select ${tenant}, operation_id, sku_id, input, case kind
        when 'reserve' then '{"outcome": "reserved", "locationId": "${locationId}"}'
        when 'ship' then '{"outcome": "shipped"}' when 'release' then '{"outcome": "released"}'
        when 'opening' then '{"outcome": "opened"}'
        else format('{"outcome": "adjusted", "onHand": %s, "available": %s}', new_stock, new_stock - new_reserved) end::jsonb, at
      from made_movement
      union all
      select ${tenant}, '${shopId}/' || number || '/1/reserve/1', sku_id, 'reserve 1 at any', '{"outcome": "short"}', ordered_at
      from made_wait;
    insert into reservations (tenant_id, reservation_id, sku_id, location_id, order_ref, line_id, generation, quantity, state,
        held_at, resolved_at)
      select ${tenant}, order_ref || '/' || line_id || '/1', sku_id, ${location}, order_ref, line_id, 1, quantity,
        case fate when 'cancelled' then 'released' else fate end, paid_at, resolved_at
      from made_line;
    insert into shortages (tenant_id, reservation_id, sku_id, order_ref, line_id, generation, quantity, paid_at, ordered_at, created_at)
      select ${tenant}, '${shopId}/' || number || '/1/1', sku_id, '${shopId}/' || number, '1', 1, 1, ordered_at, ordered_at, ordered_at
      from made_wait;
    insert into inventory_audit_log (tenant_id, event_type, sku_id, old_values, new_values, reason, request_id, created_at)
      select ${tenant}, kind, sku_id, jsonb_build_object('current_stock', new_stock - on_hand),
        jsonb_build_object('current_stock', new_stock), reason, reference_id, at
      from made_movement where kind in ('receive', 'damage');
    commit;`;
}
