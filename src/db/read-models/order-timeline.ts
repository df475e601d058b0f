import { sql } from "kysely";
import type { TenantTransaction } from "../tenant.ts";

export interface TimelineEntry {
  readonly at: string;
  readonly source: "snapshot" | "event" | "movement" | "tracking";
  readonly kind: string;
  readonly data: Record<string, unknown>;
  readonly cause: string;
  readonly actor_id: string | null;
  readonly actor_name: string | null;
  /** `at` to the microsecond; with the rank and the key it is what the list is sorted by. */
  readonly sort_time: string;
  readonly sort_rank: number;
  readonly sort_key: string;
}

export interface TimelinePosition {
  readonly sortTime: string;
  readonly sortRank: number;
  readonly sortKey: string;
}

/**
 * Everything that is known to have happened to an order, oldest first: what the channel said and what made us look, what
 * was decided, what moved in the stock, where the parcel was. One entry more than asked for when there are later ones.
 */
export async function listTimeline(
  transaction: TenantTransaction,
  order: { readonly id: string; readonly order_ref: string },
  limit: number,
  after: TimelinePosition | null,
): Promise<readonly TimelineEntry[]> {
  const isLater =
    after === null
      ? sql`true`
      : sql`(at, sort_rank, sort_key) > (${after.sortTime}::timestamptz, ${after.sortRank}::integer, ${after.sortKey})`;
  const { rows } = await sql<TimelineEntry>`
    with references_of_order as (
      select ${order.order_ref} || '/' || line_id as reference_id from order_lines where order_id = ${order.id}
    ), entries as (
      select stored_at as at, 'snapshot' as source, 'snapshot_stored' as kind,
        jsonb_build_object('version', version, 'status', content ->> 'status', 'channel_updated_at', channel_updated_at)
          as data,
        cause, null::uuid as actor_id, 0 as sort_rank, lpad(version::text, 10, '0') as sort_key
      from order_snapshots where order_id = ${order.id}
      union all
      select created_at, 'event', kind, data, cause, actor_id, 1, lpad(sequence::text, 10, '0')
      from order_events where order_id = ${order.id}
      union all
      select created_at, 'movement', kind,
        jsonb_build_object('sku_id', sku_id, 'quantity', quantity, 'on_hand_effect', on_hand_effect,
          'reserved_effect', reserved_effect, 'new_stock', new_stock, 'new_reserved', new_reserved,
          'reference_id', reference_id),
        reason, created_by, 2, sku_id::text || lpad(sequence::text, 20, '0')
      from inventory_transactions
      where reference_type = 'order_line' and reference_id in (select reference_id from references_of_order)
      union all
      select occurred_at, 'tracking', 'tracking_event', jsonb_build_object('description', description), 'carrier', null,
        3, description
      from tracking_events where order_id = ${order.id}
    )
    select at, source, kind, data, cause, actor_id, actor.name as actor_name, at::text as sort_time, sort_rank, sort_key
    from entries
    left join users as actor on actor.id = entries.actor_id
    where ${isLater}
    order by at, sort_rank, sort_key
    limit ${limit + 1}
  `.execute(transaction);
  return rows;
}
