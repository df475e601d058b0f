import { z } from "zod";
import { cancelStatuses, type Order } from "../records.ts";
import { badRequest, refusals, refuse } from "../refusal.ts";
import type { Simulation } from "../simulation.ts";
import { endpoint, wholeNumber, wireId } from "./endpoint.ts";
import { pageOf } from "./paging.ts";
import { pounds } from "./products.ts";

type CancelledOrder = Order & { cancellation: NonNullable<Order["cancellation"]> };

const cancelParams = z.object({ cancelId: z.string() });

export const cancellationEndpoints = [
  endpoint({
    method: "POST",
    path: "/return_refund/202309/cancellations",
    access: "shop",
    body: z.object({
      order_id: wireId,
      cancel_reason: z.string().min(1),
      order_line_item_ids: z.array(wireId).optional(),
      skus: z.array(z.unknown()).optional(),
    }),
    answer: ({ books, orders }, { body }) => {
      const order = books.orders.find(body.order_id);
      if (order === undefined) return refuse(refusals.orderUnknown);
      const named = new Set(body.order_line_item_ids ?? order.lines.map(({ id }) => id));
      if (body.skus !== undefined || !order.lines.every(({ id }) => named.has(id))) {
        return refuse(badRequest("order_line_item_ids is invalid: this shop cancels whole orders only"));
      }
      const refusal = orders.cancelling.bySeller(order, body.cancel_reason);
      if (refusal !== null) return refuse(refusal);
      return { data: { cancel_id: order.cancellation?.id, cancel_status: order.cancellation?.status } };
    },
  }),
  endpoint({
    method: "POST",
    path: "/return_refund/202309/cancellations/search",
    access: "shop",
    query: z.object({
      page_size: wholeNumber(1, 50).default(10),
      page_token: z.string().optional(),
      sort_order: z.enum(["ASC", "DESC"]).default("ASC"),
    }),
    body: z.object({
      cancel_ids: z.array(wireId).optional(),
      order_ids: z.array(wireId).optional(),
      cancel_status: z.array(z.enum(cancelStatuses)).optional(),
    }),
    answer: (simulation, { query, body }) => {
      const wanted = cancelledOrders(simulation).filter(
        ({ id, cancellation }) =>
          (body.order_ids === undefined || body.order_ids.includes(id)) &&
          (body.cancel_ids === undefined || body.cancel_ids.includes(cancellation.id)) &&
          (body.cancel_status === undefined || body.cancel_status.includes(cancellation.status)),
      );
      const page = pageOf(wanted, query, ({ cancellation }) => [cancellation.createTime, cancellation.id]);
      if ("refusal" in page) return page;
      const cancellations = page.items.map((order) => cancellationOnWire(simulation, order));
      return { data: { cancellations, ...page.rest } };
    },
  }),
  answerEndpoint("approve", z.object({})),
  answerEndpoint("reject", z.object({ reject_reason: z.string().min(1) })),
];

function answerEndpoint(answer: "approve" | "reject", body: z.ZodType) {
  return endpoint({
    method: "POST",
    path: `/return_refund/202309/cancellations/:cancelId/${answer}`,
    access: "shop",
    params: cancelParams,
    body,
    answer: (simulation, { params }) => {
      const order = cancelledOrders(simulation).find(
        ({ cancellation }) => cancellation.id === params.cancelId,
      );
      if (order === undefined) return refuse(refusals.cancelUnknown);
      const refusal = simulation.orders.cancelling.answer(order, answer === "approve");
      return refusal === null ? { data: {} } : refuse(refusal);
    },
  });
}

function cancelledOrders({ books }: Simulation): CancelledOrder[] {
  return [...books.orders.all()].filter((order): order is CancelledOrder => order.cancellation !== null);
}

function cancellationOnWire({ books }: Simulation, { id, cancellation, lines }: CancelledOrder) {
  const pending = cancellation.status === "CANCELLATION_REQUEST_PENDING";
  return {
    cancel_id: cancellation.id,
    order_id: id,
    cancel_type: pending || cancellation.role === "BUYER" ? "BUYER_CANCEL" : "CANCEL",
    cancel_status:
      cancellation.status === "CANCELLATION_REQUEST_CANCEL"
        ? "CANCELLATION_REQUEST_CANCELLED"
        : cancellation.status,
    cancel_reason: cancellation.reason,
    role: cancellation.role,
    cancel_line_items: lines.map((line) => {
      const sku = books.skus.get(line.skuId);
      return {
        cancel_line_item_id: line.id,
        order_line_item_id: line.id,
        sku_id: sku.id,
        seller_sku: sku.sellerSku,
        refund_amount: { currency: "GBP", refund_total: pounds(sku.pricePence) },
      };
    }),
    seller_next_action_response:
      cancellation.approvedMilliseconds === null
        ? []
        : [
            {
              action: "SELLER_RESPOND_CANCEL",
              deadline: Math.floor(cancellation.approvedMilliseconds / 1000),
            },
          ],
    create_time: cancellation.createTime,
    update_time: cancellation.updateTime,
  };
}
