import { type RawBuilder, sql } from "kysely";
import { jsonArrayFrom } from "kysely/helpers/postgres";
import {
  asId,
  type ChannelOrderId,
  type LocationId,
  type ReservationId,
  type ShopId,
} from "../domain/ids.ts";
import type { ChannelOrder, ChannelStatus } from "../domain/order/channel-order.ts";
import type { SnapshotContext } from "../domain/order/decide.ts";
import type { LineStage, OrderLine, OrderState } from "../domain/order/order.ts";
import type { ShortageCourse, ShortagePolicy } from "../domain/order/shortage.ts";
import type { TenantTransaction } from "./tenant.ts";

/** An order under its lock, with everything that deciding about it may need. */
export interface LockedOrder {
  readonly id: string;
  readonly shopId: ShopId;
  readonly channelOrderId: ChannelOrderId;
  /** Null until its first snapshot was handled. */
  readonly state: OrderState | null;
  readonly snapshotVersion: number;
  readonly handledVersion: number;
  readonly eventSequence: number;
  /** The newest stored snapshot; null when it was handled and every SKU of the order was known by then. */
  readonly latest: {
    readonly snapshot: ChannelOrder;
    readonly cause: string;
    readonly context: SnapshotContext;
  } | null;
  /** The database's time, which is everybody's. ISO 8601. */
  readonly now: string;
  /** What its seller wants done about shortages. */
  readonly shortagePolicy: ShortagePolicy;
  /** The reservations that the order holds now. */
  readonly held: ReadonlySet<ReservationId>;
  /** The claims of the order that wait for units now. */
  readonly waiting: ReadonlySet<ReservationId>;
}

/**
 * Locks an order by its channel's number and reads it whole. Null when it was never stored.
 *
 * Two statements, and not one: what a statement reads besides the row it waited for is older than that row.
 */
export async function lockOrder(
  transaction: TenantTransaction,
  shopId: ShopId,
  channelOrderId: ChannelOrderId,
): Promise<LockedOrder | null> {
  const locked = await transaction
    .selectFrom("orders")
    .where("shop_id", "=", shopId)
    .where("channel_order_id", "=", channelOrderId)
    .select("id")
    .forUpdate()
    .executeTakeFirst();
  if (locked === undefined) return null;
  const row = await readOrder(transaction, locked.id);
  return {
    id: row.id,
    shopId,
    channelOrderId,
    snapshotVersion: row.snapshot_version,
    handledVersion: row.handled_version,
    eventSequence: row.event_sequence,
    now: row.now,
    shortagePolicy: row.shortage_policy as ShortagePolicy,
    state: row.handled_version === 0 ? null : stateOf(row),
    latest:
      row.content === null
        ? null
        : {
            snapshot: row.content as unknown as ChannelOrder,
            cause: row.cause ?? "",
            context: {
              orderRef: row.order_ref,
              skuIds: new Map(
                row.listings.map((listing) => [
                  asId<"ChannelSku">(listing.channel_sku_id),
                  asId<"Sku">(listing.sku_id),
                ]),
              ),
              locationId: locationOf(row.snapshot_location),
              stockOpenedAt: row.opened_at,
            },
          },
    held: new Set((row.held ?? []).map((id) => asId<"Reservation">(id))),
    waiting: new Set((row.waiting ?? []).map((id) => asId<"Reservation">(id))),
  };
}

type OrderRow = Awaited<ReturnType<typeof readOrder>>;

function readOrder(transaction: TenantTransaction, id: string) {
  return transaction
    .selectFrom("orders")
    .innerJoin("shops", "shops.id", "orders.shop_id")
    .innerJoin("tenants", "tenants.tenant_id", "orders.tenant_id")
    .leftJoin("order_snapshots as latest", (join) =>
      join
        .onRef("latest.order_id", "=", "orders.id")
        .onRef("latest.version", "=", "orders.snapshot_version")
        // A SKU that was unknown may be in the catalogue by now, without any news of the order.
        .on(sql<boolean>`(orders.handled_version < orders.snapshot_version or exists (select from order_lines
          where order_id = orders.id and sku_id is null and stage = 'new'))`),
    )
    .where("orders.id", "=", id)
    .select([
      "orders.id",
      "orders.order_ref",
      "orders.snapshot_version",
      "orders.handled_version",
      "orders.event_sequence",
      "orders.channel_status",
      "orders.channel_on_hold",
      "orders.buyer_requests_cancel",
      "orders.shipping",
      "orders.ordered_at",
      "orders.paid_at",
      "orders.ship_by",
      "orders.cancel_by",
      "orders.tracking_number",
      "orders.shipment_refusal",
      "orders.cancel_state",
      "orders.cancel_reason",
      "orders.cancel_requested_by",
      "orders.shortage_course",
      "orders.shortage_decided_by",
      "orders.others_released",
      "tenants.shortage_policy",
      "latest.content",
      "latest.cause",
      "shops.opened_at",
      sql<string>`clock_timestamp()`.as("now"),
    ])
    .select((eb) => [
      jsonArrayFrom(
        eb
          .selectFrom("order_lines")
          .whereRef("order_id", "=", "orders.id")
          .orderBy("line_id")
          .select([
            "line_id",
            "sku_id",
            "channel_sku_id",
            "ordered",
            "package_id",
            "stage",
            "generation",
            "ranked_paid_at",
          ]),
      ).as("lines"),
      jsonArrayFrom(
        eb
          .selectFrom("order_lines")
          .innerJoin("listings", "listings.channel_sku_id", "order_lines.channel_sku_id")
          .whereRef("order_lines.order_id", "=", "orders.id")
          .whereRef("listings.shop_id", "=", "orders.shop_id")
          .select(["listings.channel_sku_id", "listings.sku_id"]),
      ).as("listings"),
      sql<readonly string[] | null>`(select array_agg(reservation_id) from reservations
        where reservations.order_ref = orders.order_ref and reservations.state = 'held')`.as("held"),
      sql<readonly string[] | null>`(select array_agg(reservation_id) from shortages
        where shortages.order_ref = orders.order_ref and shortages.state = 'waiting')`.as("waiting"),
      locationAt(sql.ref("orders.warehouse_id")).as("location"),
      locationAt(sql`latest.content ->> 'warehouseId'`).as("snapshot_location"),
    ])
    .executeTakeFirstOrThrow();
}

function locationAt(warehouseId: RawBuilder<unknown>) {
  return sql<string | null>`(select location_id from shop_warehouses
    where shop_warehouses.shop_id = orders.shop_id and channel_warehouse_id = ${warehouseId})`;
}

function locationOf(id: string | null): LocationId | null {
  return id === null ? null : asId<"Location">(id);
}

function stateOf(row: OrderRow): OrderState {
  return {
    orderRef: row.order_ref,
    channelStatus: row.channel_status as ChannelStatus,
    channelOnHold: row.channel_on_hold,
    buyerRequestsCancel: row.buyer_requests_cancel,
    shipping: row.shipping as OrderState["shipping"],
    locationId: locationOf(row.location),
    orderedAt: row.ordered_at,
    paidAt: row.paid_at,
    shipBy: row.ship_by,
    cancelBy: row.cancel_by,
    trackingNumber: row.tracking_number,
    shipmentRefusal: row.shipment_refusal,
    cancelRequest:
      row.cancel_state === null
        ? null
        : {
            state: row.cancel_state as "requested" | "accepted" | "refused",
            reason: row.cancel_reason ?? "",
            by: row.cancel_requested_by === null ? null : asId<"User">(row.cancel_requested_by),
          },
    shortage:
      row.shortage_course === null
        ? null
        : {
            course: row.shortage_course as ShortageCourse["course"],
            by: row.shortage_decided_by === null ? null : asId<"User">(row.shortage_decided_by),
          },
    othersReleased: row.others_released,
    lines: row.lines.map(
      (line): OrderLine => ({
        lineId: asId<"ChannelLine">(line.line_id),
        skuId: line.sku_id === null ? null : asId<"Sku">(line.sku_id),
        channelSkuId: asId<"ChannelSku">(line.channel_sku_id),
        quantity: line.ordered,
        packageId: line.package_id === null ? null : asId<"ChannelPackage">(line.package_id),
        stage: line.stage as LineStage,
        generation: line.generation,
        // Inside JSON a time is spelled as Postgres does; ours are spelled one way, since they are compared as text.
        rankedPaidAt: line.ranked_paid_at === null ? null : new Date(line.ranked_paid_at).toISOString(),
      }),
    ),
  };
}
