import { committedStatuses } from "../src/domain/order/transitions.ts";
import { millisecondsUntilRight, standingsOf, timesOverwritten } from "./push-delay.ts";
import type { StockChange } from "./simulator.ts";
import type { BenchStack } from "./stack.ts";
import type { TwoShops } from "./two-shops.ts";

/** What made a listing wrong. */
export const causeKinds = ["change", "sale elsewhere", "buffer"] as const;
export type CauseKind = (typeof causeKinds)[number];

interface MeasuredCause {
  readonly kind: CauseKind;
  readonly shopId: string;
  readonly skuId: string;
  readonly at: number;
  /** Milliseconds until the listing was right. */
  readonly delay: number;
  /** Names causes that are one: an adjustment concerns two listings. */
  readonly id: string;
}

/** A listing that was right until it was told a number of before. */
interface Overwritten {
  /** Milliseconds since the epoch. */
  readonly at: number;
  /** When it was right again. */
  readonly until: number;
}

interface Caused {
  readonly id: string;
  readonly kind: CauseKind;
  readonly skuId: string;
  /** The only shop that it does not concern; null: it concerns both. */
  readonly notIn: string | null;
  readonly at: number;
  readonly delta: number;
}

/** A pass over sales tells the time of a change before it commits: longer than one takes. */
const bufferPassMilliseconds = 2_000;

/**
 * How long each listing has shown the wrong number after what made it wrong. What it should show comes from our ledger, what it
 * does show from the simulator's own books.
 *
 * @param since milliseconds since the epoch, when everything had settled; `until` the same, when it had settled again: what
 *   is kept back for other shops may change afterwards.
 * @throws Error when a listing was never right.
 */
export async function measureCauses(
  stack: BenchStack,
  { skus, shops }: TwoShops,
  since: number,
  until: number,
): Promise<{ readonly causes: readonly MeasuredCause[]; readonly overwritten: readonly Overwritten[] }> {
  const causes = (
    await Promise.all([movementsSince(stack, since), salesSince(stack, since), buffersSince(stack, since)])
  )
    .flat()
    .filter(({ kind, at }) => kind !== "buffer" || at <= until - bufferPassMilliseconds)
    .sort((one, other) => one.at - other.at);
  const measured: MeasuredCause[] = [];
  const overwritten: Overwritten[] = [];
  const never: Omit<MeasuredCause, "delay">[] = [];
  for (const { shopId, simulator } of shops) {
    const journal = (await simulator.stockJournal()).filter(
      (shown) => shown.at >= since && movesTotal(shown),
    );
    for (const { skuId, channelSkuIds } of skus) {
      const own = causes.filter((cause) => cause.skuId === skuId && cause.notIn !== shopId);
      const shown = journal.filter(({ channelSkuId }) => channelSkuId === channelSkuIds.get(shopId));
      const should = standingsOf(own);
      const told = standingsOf(shown.map(({ at, totalDelta }) => ({ at, delta: totalDelta })));
      const delays = millisecondsUntilRight(should, told);
      // What was never right again is among the causes that were never made good.
      overwritten.push(
        ...timesOverwritten(should, told).flatMap(({ at, until: right }) =>
          right === null ? [] : [{ at, until: right }],
        ),
      );
      for (const [index, { id, kind, at }] of own.entries()) {
        const cause = { id, kind, shopId, skuId, at };
        const delay = delays[index] ?? null;
        if (delay === null) never.push(cause);
        else measured.push({ ...cause, delay });
      }
    }
  }
  if (never.length > 0)
    throw new Error(`${never.length} causes were never made good, the first: ${JSON.stringify(never[0])}`);
  return { causes: measured, overwritten };
}

/** Units that leave with the carrier leave our total as well: they make nothing right or wrong. */
function movesTotal({ trigger, totalDelta }: StockChange): boolean {
  return trigger !== "order_shipped" && totalDelta !== 0;
}

/**
 * Lines of orders that had sold units when they were stored. From then on the other shops should offer less; when the units are
 * reserved nothing changes.
 */
const soldLines = `
  select line.sku_id, line.ordered, line.line_id, orders.id as order_id, orders.shop_id::text as shop, first.stored_at,
    orders.order_ref || '/' || line.line_id || '/reserve/1' as reserve_id
  from order_lines as line
  join orders on orders.id = line.order_id
  join order_snapshots as first on first.order_id = orders.id and first.version = 1
  where line.sku_id is not null
    and first.content ->> 'status' in (${committedStatuses.map((status) => `'${status}'`).join(", ")})`;

/** What was sold, and what was given up of it without having been reserved: the line was short, or cancelled by then. */
async function salesSince(stack: BenchStack, since: number): Promise<readonly Caused[]> {
  const rows = await stack.query<{ id: string; sku_id: string; shop: string; delta: number; at: number }>(
    `with sold as (${soldLines}), changes as (
       select reserve_id as id, sku_id, shop, -ordered as delta, stored_at as at from sold
       union all
       select reserve_id || ' given up', sku_id, shop, ordered, (
         select min(created_at) from order_events
         where order_id = sold.order_id and kind in ('lines_short', 'lines_cancelled', 'lines_untracked')
           and data -> 'lineIds' ? sold.line_id)
       from sold where not exists (select from inventory_transactions where operation_id = sold.reserve_id)
     )
     select id, sku_id, shop, delta, (extract(epoch from at) * 1000)::double precision as at from changes
     where at >= to_timestamp($1::double precision / 1000)`,
    [since],
  );
  return rows.map(({ id, sku_id: skuId, shop, delta, at }) => ({
    id,
    kind: "sale elsewhere",
    skuId,
    notIn: shop,
    at,
    delta,
  }));
}

/** What our ledger says should have changed in the shops besides. A shop knows of its own sales. */
async function movementsSince(stack: BenchStack, since: number): Promise<readonly Caused[]> {
  const rows = await stack.query<{
    id: string;
    sku_id: string;
    kind: string;
    on_hand_effect: number;
    reserved_effect: number;
    shop: string;
    at: number;
  }>(
    `select operation_id as id, sku_id, kind, on_hand_effect, reserved_effect, split_part(operation_id, '/', 1) as shop,
       (extract(epoch from created_at) * 1000)::double precision as at
     from inventory_transactions
     where created_at >= to_timestamp($1::double precision / 1000)
       and operation_id not in (select reserve_id from (${soldLines}) as sold)
     order by created_at, sequence`,
    [since],
  );
  return rows.flatMap((row): Caused[] => {
    const cause = { id: row.id, skuId: row.sku_id, at: row.at };
    switch (row.kind) {
      case "reserve":
      case "release":
        return [{ ...cause, kind: "sale elsewhere", notIn: row.shop, delta: -row.reserved_effect }];
      case "ship":
        return [];
      default:
        return [{ ...cause, kind: "change", notIn: null, delta: row.on_hand_effect }];
    }
  });
}

/** What was kept back for the other shop's sales, from when on. */
async function buffersSince(stack: BenchStack, since: number): Promise<readonly Caused[]> {
  const rows = await stack.query<{ sku_id: string; delta: number; at: number }>(
    `select * from (
       select sku_id, (adaptive_buffer - lag(adaptive_buffer, 1, 0) over (partition by sku_id order by at))::integer as delta,
         (extract(epoch from at) * 1000)::double precision as at
       from bench_buffers) as changes
     where delta <> 0 and at >= $1`,
    [since],
  );
  return rows.map(({ sku_id: skuId, delta, at }) => ({
    id: `${skuId}/buffer/${at}`,
    kind: "buffer",
    skuId,
    notIn: null,
    at,
    delta: -delta,
  }));
}
