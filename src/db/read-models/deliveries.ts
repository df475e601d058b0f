import { sql } from "kysely";
import type { TenantTransaction } from "../tenant.ts";

export type DeliveryState = "waiting" | "processed" | "parked" | "kept";

const previewBytes = 2_000;

export interface DeliveryRow {
  readonly id: string;
  readonly channel: string;
  readonly shop_id: string | null;
  readonly sender: string;
  readonly topic: number | null;
  readonly order_id: string | null;
  readonly state: DeliveryState;
  readonly reason: string | null;
  readonly attempts: number;
  readonly duplicates: number;
  readonly received_at: string;
  readonly next_attempt_at: string | null;
  readonly processed_at: string | null;
  readonly body_length: number;
  readonly body_preview: string;
  /** `received_at` to the microsecond: what the list is sorted by, with the id. */
  readonly sort_time: string;
}

export interface DeliveryFilter {
  readonly state?: DeliveryState | undefined;
  readonly topic?: number | undefined;
  readonly orderId?: string | undefined;
}

/**
 * Lets the transaction see the deliveries that no seller was found for as well. For the platform's operators alone: the
 * caller has checked that.
 */
export async function seeUnclaimedDeliveries(transaction: TenantTransaction): Promise<void> {
  await sql`select set_config('app.sees_unclaimed', 'yes', true)`.execute(transaction);
}

/** Deliveries that the transaction may see, newest first; one more than asked for when there are older ones. */
export async function listDeliveries(
  transaction: TenantTransaction,
  filter: DeliveryFilter,
  limit: number,
  before: { readonly sortTime: string; readonly id: string } | null,
): Promise<readonly DeliveryRow[]> {
  const { rows } = await sql<Omit<DeliveryRow, "body_preview"> & { readonly body_start: Buffer }>`
    select id, channel, shop_id, sender, topic, channel_order_id as order_id, state, reason, attempts, duplicates,
      received_at, case when state = 'waiting' then next_attempt_at end as next_attempt_at, processed_at,
      length(body) as body_length, substring(body from 1 for ${previewBytes}) as body_start,
      received_at::text as sort_time
    from webhook_deliveries
    where ${filter.state === undefined ? sql`true` : sql`state = ${filter.state}`}
      and ${filter.topic === undefined ? sql`true` : sql`topic = ${filter.topic}`}
      and ${filter.orderId === undefined ? sql`true` : sql`channel_order_id = ${filter.orderId}`}
      and ${before === null ? sql`true` : sql`(received_at, id) < (${before.sortTime}::timestamptz, ${before.id}::uuid)`}
    order by received_at desc, id desc
    limit ${limit + 1}
  `.execute(transaction);
  return rows.map(({ body_start, ...row }) => ({ ...row, body_preview: body_start.toString("utf8") }));
}

/** True when the transaction may see a delivery of that id. */
export async function deliveryExists(transaction: TenantTransaction, id: string): Promise<boolean> {
  const row = await transaction
    .selectFrom("webhook_deliveries")
    .where("id", "=", id)
    .select("id")
    .executeTakeFirst();
  return row !== undefined;
}

/** Refused requests of the last day, all senders together, newest minute first. */
export async function listRejections(transaction: TenantTransaction) {
  return await transaction
    .selectFrom("webhook_rejections")
    .where("minute", ">", sql<string>`now() - interval '1 day'`)
    .orderBy("minute", "desc")
    .select(["minute", "count", "last_reason"])
    .execute();
}
