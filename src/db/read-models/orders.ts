import { type RawBuilder, sql } from "kysely";
import { asId, type ChannelOrderId, type ShopId, type TenantId } from "../../domain/ids.ts";
import type { ChannelStatus, Recipient } from "../../domain/order/channel-order.ts";
import type { Hold, LineStage } from "../../domain/order/order.ts";
import type { OrderSummary } from "../../domain/order/transitions.ts";
import { decrypt, placeOf } from "../encryption.ts";
import type { ShortageCourse } from "../../domain/order/shortage.ts";
import type { TenantTransaction } from "../tenant.ts";
import { escapeLike } from "./inventory.ts";

export interface OrderRow {
  readonly id: string;
  readonly order_number: string;
  readonly shop_id: string;
  readonly shop_name: string;
  readonly status: OrderSummary;
  readonly channel_status: ChannelStatus;
  readonly hold: Hold | null;
  readonly next_step: string;
  readonly needs_attention: boolean;
  readonly units: number;
  readonly currency: string;
  readonly total_minor: number;
  readonly ordered_at: string;
  readonly paid_at: string | null;
  readonly ship_by: string | null;
  readonly cancel_by: string | null;
  readonly tracking_number: string | null;
  readonly touched: boolean;
  readonly updated_at: string;
  /** `ordered_at` to the microsecond: what the list is sorted by, with the id. */
  readonly sort_time: string;
}

export interface OrderFilter {
  readonly status?: OrderSummary | undefined;
  readonly hold?: Hold | undefined;
  readonly needsAttention?: boolean | undefined;
  readonly shopId?: string | undefined;
  /** Beginning of the order's number or of a SKU's code. */
  readonly search?: string | undefined;
  readonly orderedFrom?: string | undefined;
  readonly orderedTo?: string | undefined;
}

const orderColumns = sql`orders.id, orders.channel_order_id as order_number, orders.shop_id, shop.name as shop_name,
  orders.status, orders.channel_status, orders.hold, orders.next_step, orders.needs_attention,
  (select coalesce(sum(ordered), 0)::integer from order_lines
   where order_lines.tenant_id = orders.tenant_id and order_lines.order_id = orders.id) as units,
  orders.currency, orders.total_minor, orders.ordered_at, orders.paid_at, orders.ship_by, orders.cancel_by,
  orders.tracking_number, orders.touched, orders.updated_at, orders.ordered_at::text as sort_time`;

const withShop = sql`orders join shops as shop on shop.tenant_id = orders.tenant_id and shop.id = orders.shop_id`;

/** The tenant's orders, newest first; one more than asked for when there are older ones. */
export async function listOrders(
  transaction: TenantTransaction,
  filter: OrderFilter,
  limit: number,
  before: { readonly sortTime: string; readonly id: string } | null,
): Promise<readonly OrderRow[]> {
  const after =
    before === null
      ? sql`true`
      : sql`(orders.ordered_at, orders.id) < (${before.sortTime}::timestamptz, ${before.id}::uuid)`;
  const { rows } = await sql<OrderRow>`
    select ${orderColumns} from ${withShop}
    where ${matches(filter)} and ${after}
    order by orders.ordered_at desc, orders.id desc
    limit ${limit + 1}
  `.execute(transaction);
  return rows;
}

export async function countOrders(transaction: TenantTransaction, filter: OrderFilter): Promise<number> {
  const { rows } = await sql<{ total: number }>`
    select count(*) as total from orders where ${matches(filter)}`.execute(transaction);
  return rows[0]?.total ?? 0;
}

function matches(filter: OrderFilter): RawBuilder<unknown> {
  const conditions = [
    filter.status === undefined ? null : sql`orders.status = ${filter.status}`,
    filter.hold === undefined ? null : sql`orders.hold = ${filter.hold}`,
    filter.needsAttention === undefined ? null : sql`orders.needs_attention = ${filter.needsAttention}`,
    filter.shopId === undefined ? null : sql`orders.shop_id = ${filter.shopId}`,
    filter.orderedFrom === undefined ? null : sql`orders.ordered_at >= ${filter.orderedFrom}::timestamptz`,
    filter.orderedTo === undefined ? null : sql`orders.ordered_at < ${filter.orderedTo}::timestamptz`,
    filter.search === undefined ? null : matchesSearch(filter.search),
  ].filter((condition) => condition !== null);
  return conditions.length === 0 ? sql`true` : sql.join(conditions, sql` and `);
}

function matchesSearch(search: string): RawBuilder<unknown> {
  const pattern = `${escapeLike(search)}%`;
  return sql`(orders.channel_order_id like ${pattern} or exists (
    select from order_lines as line join skus as sku on sku.tenant_id = line.tenant_id and sku.id = line.sku_id
    where line.tenant_id = orders.tenant_id and line.order_id = orders.id and sku.code ilike ${pattern}))`;
}

export interface OrderDetailRow extends OrderRow {
  readonly order_ref: string;
  readonly shipping: "channel" | "seller";
  readonly warehouse_id: string | null;
  readonly buyer_requests_cancel: boolean;
  readonly shipment_refusal: string | null;
  readonly cancel_state: "requested" | "accepted" | "refused" | null;
  readonly cancel_reason: string | null;
  readonly cancel_requested_by: string | null;
  readonly shortage_course: ShortageCourse["course"] | null;
  readonly shortage_decided_by: string | null;
  /** Encrypted; `openRecipient` reads it. */
  readonly recipient: Buffer | null;
}

const uuidText = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;

/**
 * One order by its id or its channel's number. Should two shops of a tenant have the same number, the newer order is
 * meant.
 */
export async function findOrder(
  transaction: TenantTransaction,
  idOrNumber: string,
): Promise<OrderDetailRow | null> {
  const isMeant = uuidText.test(idOrNumber)
    ? sql`orders.id = ${idOrNumber}`
    : sql`orders.channel_order_id = ${idOrNumber}`;
  const { rows } = await sql<OrderDetailRow>`
    select ${orderColumns}, orders.order_ref, orders.shipping, orders.warehouse_id, orders.buyer_requests_cancel,
      orders.shipment_refusal, orders.cancel_state, orders.cancel_reason, orders.cancel_requested_by, orders.recipient,
      orders.shortage_course, orders.shortage_decided_by
    from ${withShop}
    where ${isMeant}
    order by orders.ordered_at desc
    limit 1
  `.execute(transaction);
  return rows[0] ?? null;
}

/** @throws Error when the value was encrypted with another key or for another order. */
export function openRecipient(
  secretKey: Buffer,
  tenantId: TenantId,
  order: Pick<OrderDetailRow, "recipient" | "order_ref">,
): Recipient | null {
  if (order.recipient === null) return null;
  const place = placeOf({ tenantId, table: "orders", column: "recipient", rowId: order.order_ref });
  return JSON.parse(decrypt(secretKey, order.recipient, place)) as Recipient;
}

/** How an order's workflow is addressed. */
export function orderKeyOf(
  tenantId: TenantId,
  order: Pick<OrderRow, "shop_id" | "order_number">,
): { readonly tenantId: TenantId; readonly shopId: ShopId; readonly orderId: ChannelOrderId } {
  return {
    tenantId,
    shopId: asId<"Shop">(order.shop_id),
    orderId: asId<"ChannelOrder">(order.order_number),
  };
}

export async function listOrderLines(transaction: TenantTransaction, orderId: string) {
  const rows = await transaction
    .selectFrom("order_lines as line")
    .leftJoin("skus as sku", (join) =>
      join.onRef("sku.tenant_id", "=", "line.tenant_id").onRef("sku.id", "=", "line.sku_id"),
    )
    .where("line.order_id", "=", orderId)
    .orderBy("line.line_id")
    .select([
      "line.line_id",
      "line.sku_id",
      "sku.code as sku",
      "line.channel_sku_id",
      "line.product_name",
      "line.sku_name",
      sql<number>`line.sale_price_minor`.as("sale_price_minor"),
      "line.package_id",
      sql<LineStage>`line.stage`.as("stage"),
      "line.ordered",
      "line.reserved",
      "line.short",
      "line.shipped",
      "line.delivered",
      "line.cancelled",
      "line.returned_good",
      "line.returned_damaged",
    ])
    .execute();
  return rows;
}

export async function listPackages(transaction: TenantTransaction, orderId: string) {
  return await transaction
    .selectFrom("packages")
    .where("order_id", "=", orderId)
    .orderBy("channel_package_id")
    .select([
      "channel_package_id as package_id",
      "tracking_number",
      "document_url",
      "document_expires_at",
      "arranged_at",
    ])
    .execute();
}

export async function listTracking(transaction: TenantTransaction, orderId: string) {
  return await transaction
    .selectFrom("tracking_events")
    .where("order_id", "=", orderId)
    .orderBy("occurred_at")
    .orderBy("description")
    .select(["occurred_at", "description"])
    .execute();
}
