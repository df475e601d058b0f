import { invariant } from "../../domain/assert.ts";
import { asId } from "../../domain/ids.ts";
import type { FetchedOrder, SalesChannel, ShopKey, UnreadableOrder } from "../ports/sales-channel.ts";
import type { Client } from "./client.ts";
import { describeCall } from "./failure.ts";
import { readItems, refuseAllUnreadable, type Warner } from "./reading.ts";
import { translateOrder, translateRecipient } from "./translate.ts";
import { cancelAnswer, orderSchema, ordersAnswer, strangeOrderSchema } from "./wire.ts";

const fetchedMax = 50;
const pageSize = "100";

/** Reading and cancelling orders. */
export function orderCalls(
  client: Client,
  logger: Warner | undefined,
): Pick<SalesChannel, "fetchOrders" | "searchOrders" | "cancelOrder"> {
  const read = (
    shop: ShopKey,
    orders: readonly unknown[],
    leftOut?: (item: unknown, reason: string) => void,
  ): readonly FetchedOrder[] =>
    readItems(
      orders,
      orderSchema,
      (wire) => ({ order: translateOrder(wire), recipient: translateRecipient(wire) }),
      { what: "An order", shopId: shop.shopId, logger, ...(leftOut === undefined ? {} : { leftOut }) },
    );

  return {
    fetchOrders: async (shop, orderIds, priority) => {
      if (orderIds.length === 0) return [];
      invariant(orderIds.length <= fetchedMax, `at most ${fetchedMax} orders a call`);
      const call = { method: "GET", path: "/order/202507/orders" } as const;
      const { orders } = await client.call(shop, {
        ...call,
        query: { ids: orderIds.join(",") },
        priority,
        answer: ordersAnswer,
      });
      const fetched = read(shop, orders);
      refuseAllUnreadable(orders.length, fetched.length, describeCall({ ...call, shopId: shop.shopId }));
      return fetched;
    },

    searchOrders: async (shop, window, pageToken) => {
      const { orders, next_page_token: nextPageToken } = await client.call(shop, {
        method: "POST",
        path: "/order/202309/orders/search",
        query: { page_size: pageSize, page_token: pageToken, sort_field: "update_time", sort_order: "ASC" },
        body: {
          update_time_ge: Math.floor(Date.parse(window.updatedFrom) / 1_000),
          ...(window.updatedBefore === null
            ? {}
            : { update_time_lt: Math.ceil(Date.parse(window.updatedBefore) / 1_000) }),
        },
        priority: 3,
        answer: ordersAnswer,
      });
      const unreadable: UnreadableOrder[] = [];
      const fetched = read(shop, orders, (item, reason) => {
        const { id, update_time: updatedAt } = strangeOrderSchema.parse(item);
        unreadable.push({ orderId: id == null ? null : asId(id), updatedAt: updatedAt ?? null, reason });
      });
      return { orders: fetched, unreadable, nextPageToken };
    },

    cancelOrder: async (shop, orderId, reason) => {
      const { cancel_id: cancelId, cancel_status: status } = await client.call(shop, {
        method: "POST",
        path: "/return_refund/202309/cancellations",
        body: { order_id: orderId, cancel_reason: reason },
        priority: 1,
        answer: cancelAnswer,
      });
      return { cancelId, status };
    },
  };
}
