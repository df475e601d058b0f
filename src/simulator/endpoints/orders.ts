import { z } from "zod";
import { type Order, orderStatuses, shippingTypes } from "../records.ts";
import { endpoint, wholeNumber, wireId } from "./endpoint.ts";
import { orderOnWire } from "./order-wire.ts";
import { pageOf } from "./paging.ts";

const idsMax = 50;
const unixSeconds = z.number().int().min(0).optional();

const filters = z.object({
  order_status: z.enum(orderStatuses).optional(),
  create_time_ge: unixSeconds,
  create_time_lt: unixSeconds,
  update_time_ge: unixSeconds,
  update_time_lt: unixSeconds,
  shipping_type: z.enum(shippingTypes).optional(),
  buyer_user_id: wireId.optional(),
  is_buyer_request_cancel: z.boolean().optional(),
  warehouse_ids: z.array(wireId).max(100).optional(),
});

const getOrders = (version: string) =>
  endpoint({
    method: "GET",
    path: `/order/${version}/orders`,
    access: "shop",
    query: z.object({
      ids: z
        .string()
        .transform((text) => text.split(","))
        .pipe(z.array(wireId).min(1).max(idsMax, "takes at most 50 ids")),
    }),
    answer: ({ books, faults }, { query }) => {
      const found = [...new Set(query.ids)].flatMap((id) => books.orders.find(id) ?? []);
      const orders = found.filter((order) => !faults.hides(order));
      return { data: { orders: orders.map((order) => orderOnWire(books, order)) } };
    },
  });

export const orderEndpoints = [
  endpoint({
    method: "POST",
    path: "/order/202309/orders/search",
    access: "shop",
    query: z.object({
      page_size: wholeNumber(1, 100).default(20),
      page_token: z.string().optional(),
      sort_field: z.enum(["create_time", "update_time"]).default("create_time"),
      sort_order: z.enum(["ASC", "DESC"]).default("DESC"),
    }),
    body: filters,
    answer: ({ books }, { query, body }) => {
      const member = query.sort_field === "create_time" ? "createTime" : "updateTime";
      const wanted = [...books.orders.all()].filter((order) => matches(order, body));
      const page = pageOf(wanted, query, (order) => [order[member], order.id]);
      if ("refusal" in page) return page;
      return { data: { orders: page.items.map((order) => orderOnWire(books, order)), ...page.rest } };
    },
  }),
  getOrders("202309"),
  getOrders("202507"),
];

function matches(order: Order, filter: z.output<typeof filters>): boolean {
  const asksToCancel =
    order.cancellation?.role === "BUYER" && order.cancellation.status === "CANCELLATION_REQUEST_PENDING";
  return (
    order.createTime >= (filter.create_time_ge ?? 0) &&
    order.createTime < (filter.create_time_lt ?? Number.POSITIVE_INFINITY) &&
    order.updateTime >= (filter.update_time_ge ?? 0) &&
    order.updateTime < (filter.update_time_lt ?? Number.POSITIVE_INFINITY) &&
    (filter.order_status === undefined || order.status === filter.order_status) &&
    (filter.shipping_type === undefined || order.shippingType === filter.shipping_type) &&
    (filter.buyer_user_id === undefined || order.buyerId === filter.buyer_user_id) &&
    (filter.is_buyer_request_cancel === undefined || asksToCancel === filter.is_buyer_request_cancel) &&
    (filter.warehouse_ids === undefined || filter.warehouse_ids.includes(order.warehouseId))
  );
}
