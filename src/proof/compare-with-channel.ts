import { sql, type Transaction } from "kysely";
import type { DB } from "../db/schema.generated.ts";
import type { BookedOrder, BookedStock, ChannelBooks } from "./channel-books.ts";
import { type CheckResult, type Finding, resultOf } from "./finding.ts";

/** News that are younger than this may still be on their way to us. */
const youngMilliseconds = 15_000;

interface OurOrder {
  readonly channel_order_id: string;
  readonly channel_status: string;
  readonly behind: boolean;
  readonly lines: readonly {
    readonly line_id: string;
    readonly stage: string;
    readonly has_sku: boolean;
    readonly reservation: string | null;
    readonly reversed: boolean;
    readonly shortage: string | null;
  }[];
}

/** Compares every order and every unit in the books of all shops with ours; what is found of several shops is one result. */
export async function compareWithChannels(
  transaction: Transaction<DB>,
  shops: readonly ChannelBooks[],
  now: Date,
): Promise<readonly CheckResult[]> {
  const results = new Map<string, CheckResult>();
  for (const books of shops) {
    for (const result of await compareWithChannel(transaction, books, now)) {
      const known = results.get(result.check);
      results.set(
        result.check,
        known === undefined
          ? result
          : {
              check: result.check,
              examined: known.examined + result.examined,
              violations: [...known.violations, ...result.violations],
              underWay: [...known.underWay, ...result.underWay],
            },
      );
    }
  }
  return [...results.values()];
}

async function compareWithChannel(
  transaction: Transaction<DB>,
  books: ChannelBooks,
  now: Date,
): Promise<readonly CheckResult[]> {
  const ours = await loadOurOrders(transaction, books.channelShopId);
  const isYoung = (order: BookedOrder): boolean => {
    const changedAt = Date.parse(order.statusChanges.at(-1)?.at ?? "");
    return now.getTime() - changedAt < youngMilliseconds;
  };
  return [
    resultOf(
      "every order of the channel exists here in a compatible state",
      books.orders.length,
      books.orders.flatMap((order) => compareOrder(order, ours.get(order.orderId), isYoung(order))),
    ),
    resultOf(
      "every unit the channel sold is reserved, shipped or a recorded shortage",
      books.orders.reduce((units, order) => units + order.lines.length, 0),
      books.orders.flatMap((order) => compareUnits(order, ours.get(order.orderId), isYoung(order))),
    ),
    resultOf(
      "no order was shipped or cancelled twice at the channel",
      books.orders.length,
      books.orders.flatMap(findDoubledEffects),
    ),
    resultOf(
      "the channel offers no more than is available here",
      books.stock.length,
      await compareOffers(transaction, books),
    ),
  ];
}

async function loadOurOrders(
  transaction: Transaction<DB>,
  channelShopId: string,
): Promise<ReadonlyMap<string, OurOrder>> {
  const { rows } = await sql<OurOrder>`
    select orders.channel_order_id, orders.channel_status, orders.handled_version < orders.snapshot_version as behind,
      (select coalesce(jsonb_agg(jsonb_build_object('line_id', line.line_id, 'stage', line.stage,
          'has_sku', line.sku_id is not null, 'reservation', reservation.state,
          'reversed', reservation.reversed_at is not null, 'shortage', shortage.state)), '[]')
        from order_lines line
        left join reservations reservation on reservation.tenant_id = line.tenant_id
          and reservation.reservation_id = orders.order_ref || '/' || line.line_id || '/' || line.generation
          and reservation.part = 1
        left join shortages shortage on shortage.tenant_id = line.tenant_id
          and shortage.reservation_id = orders.order_ref || '/' || line.line_id || '/' || line.generation
        where line.tenant_id = orders.tenant_id and line.order_id = orders.id) as lines
    from orders
    join shops on shops.tenant_id = orders.tenant_id and shops.id = orders.shop_id
    where shops.channel_shop_id = ${channelShopId}
  `.execute(transaction);
  return new Map(rows.map((row) => [row.channel_order_id, row]));
}

/** The channel may be ahead of us for as long as its news travel; we may never be ahead of the channel's final word. */
function compareOrder(theirs: BookedOrder, ours: OurOrder | undefined, young: boolean): Finding[] {
  if (ours === undefined) {
    return [
      {
        subject: theirs.orderId,
        delta: null,
        explanation: `${theirs.status} there, unknown here`,
        underWay: young,
      },
    ];
  }
  const status = ours.channel_status.toUpperCase();
  if (status === theirs.status) return [];
  return [
    {
      subject: theirs.orderId,
      delta: null,
      explanation: `${theirs.status} there, ${status} here`,
      underWay: young || ours.behind,
    },
  ];
}

function compareUnits(theirs: BookedOrder, ours: OurOrder | undefined, young: boolean): Finding[] {
  if (ours === undefined) {
    return [
      {
        subject: theirs.orderId,
        delta: theirs.lines.length,
        explanation: `${theirs.lines.length} units sold there, none known here`,
        underWay: young,
      },
    ];
  }
  const lines = new Map(ours.lines.map((line) => [line.line_id, line]));
  return theirs.lines.flatMap((line): Finding[] => {
    const known = lines.get(line.id);
    const explained =
      theirs.status === "CANCELLED"
        ? known?.reservation !== "held" && known?.shortage !== "waiting"
        : known !== undefined &&
          (known.stage === "untracked" ||
            !known.has_sku ||
            known.reservation === "held" ||
            (known.reservation === "shipped" && !known.reversed) ||
            known.shortage === "waiting");
    if (explained) return [];
    return [
      {
        subject: theirs.orderId,
        delta: 1,
        explanation: `unit ${line.id} of SKU ${line.skuId} is ${theirs.status} there and ${known?.stage ?? "unknown"} here (reservation ${known?.reservation ?? "none"})`,
        underWay: young || ours.behind,
      },
    ];
  });
}

function findDoubledEffects(order: BookedOrder): Finding[] {
  const packages = 1;
  return order.shipCallsAccepted > packages || order.cancelCount > 1
    ? [
        {
          subject: order.orderId,
          delta: null,
          explanation: `shipped ${order.shipCallsAccepted} times, cancelled ${order.cancelCount} times`,
          underWay: false,
        },
      ]
    : [];
}

/**
 * An offer above what is available sells a unit twice; one that was just changed is being pushed, and one of a paused SKU will
 * be when a person resumes it. Units that the channel has
 * locked for a campaign or a creator are his, and cannot be taken away.
 */
async function compareOffers(transaction: Transaction<DB>, books: ChannelBooks): Promise<readonly Finding[]> {
  const { rows } = await sql<{
    channel_sku_id: string;
    channel_warehouse_id: string;
    code: string;
    available: number;
    young: boolean;
  }>`
    select listing.channel_sku_id, warehouse.channel_warehouse_id, sku.code,
      coalesce(level.available_stock, 0) as available,
      coalesce(level.updated_at > now() - make_interval(secs => ${youngMilliseconds / 1_000}), false)
        or sku.sync_status in ('pending', 'paused') as young
    from listings listing
    join shops on shops.tenant_id = listing.tenant_id and shops.id = listing.shop_id
    join skus sku on sku.tenant_id = listing.tenant_id and sku.id = listing.sku_id
    join shop_warehouses warehouse on warehouse.tenant_id = listing.tenant_id and warehouse.shop_id = listing.shop_id
      and warehouse.channel_warehouse_id = any (listing.warehouse_ids)
    left join stock_levels level on level.tenant_id = listing.tenant_id and level.sku_id = listing.sku_id
      and level.location_id = warehouse.location_id
    where shops.channel_shop_id = ${books.channelShopId}
  `.execute(transaction);
  const theirs = new Map(books.stock.flatMap((sku) => cellsOf(sku)));
  return rows.flatMap((row): Finding[] => {
    const offered = theirs.get(`${row.channel_sku_id} ${row.channel_warehouse_id}`);
    if (offered === undefined) return [];
    const mayOffer = Math.max(0, row.available, offered.locked);
    if (offered.available <= mayOffer) return [];
    return [
      {
        subject: row.code,
        delta: offered.available - mayOffer,
        explanation: `${offered.available} offered there, ${row.available} available here`,
        underWay: row.young,
      },
    ];
  });
}

function cellsOf(sku: BookedStock) {
  const locked = sku.campaignLocked + sku.creatorLocked;
  return sku.warehouses.map(
    ({ warehouseId, available }) => [`${sku.skuId} ${warehouseId}`, { available, locked }] as const,
  );
}
