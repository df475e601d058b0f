import type { FastifyPluginCallbackZod } from "fastify-type-provider-zod";
import { z } from "zod";
import { crashPoint } from "../../crash-points.ts";
import { appendAudit } from "../../db/audit-log.ts";
import { listTimeline } from "../../db/read-models/order-timeline.ts";
import {
  countOrders,
  findOrder,
  listOrderLines,
  listOrders,
  listPackages,
  listTracking,
  openRecipient,
  type OrderDetailRow,
  orderKeyOf,
} from "../../db/read-models/orders.ts";
import { withTenant, withTenantSnapshot } from "../../db/tenant.ts";
import { isRefusal } from "../../domain/decision.ts";
import type { Recipient } from "../../domain/order/channel-order.ts";
import type { Session } from "../auth/access-tokens.ts";
import { idempotencyHeaders } from "../contract/common.ts";
import {
  cancelAnswer,
  cancelBody,
  orderDetail,
  orderParameters,
  ordersPage,
  ordersQuery,
  shortageAnswer,
  shortageBody,
  timelinePage,
  timelineQuery,
} from "../contract/orders.ts";
import { mayDo } from "../contract/permissions.ts";
import { problemResponse } from "../contract/problem.ts";
import { cutPage, readCursor } from "../cursor.ts";
import type { ApiDependencies } from "../dependencies.ts";
import { answerOnce } from "../idempotency.ts";
import { originOf, sessionOf } from "../plugins/authentication.ts";
import { notFound, Problem } from "../problem.ts";
import { askOrderToCancel, askOrderToTakeCourse } from "../workflow-requests.ts";

const tags = ["orders"];
const security = [{ accessToken: [] }];
const sortTime = z.string().regex(/^[0-9 :.+-]{10,40}$/);
const ordersCursor = z.tuple([sortTime, z.uuid()]);
const timelineCursor = z.tuple([sortTime, z.number().int().min(0).max(9), z.string().max(1_000)]);

type OrderDependencies = Pick<ApiDependencies, "db" | "temporal" | "queuePrefix" | "secretKey">;

export function orderRoutes(dependencies: OrderDependencies): FastifyPluginCallbackZod {
  return (app, _options, done) => {
    addListOrders(app, dependencies);
    addGetOrder(app, dependencies);
    addGetOrderTimeline(app, dependencies);
    addCancelOrder(app, dependencies);
    addDecideShortage(app, dependencies);
    done();
  };
}

type RouteApp = Parameters<FastifyPluginCallbackZod>[0];

function addListOrders(app: RouteApp, { db }: OrderDependencies): void {
  app.get(
    "/api/orders",
    {
      config: { permission: "orders:read" },
      schema: {
        operationId: "listOrders",
        tags,
        security,
        summary: "Orders",
        description: "Newest first; filters narrow together.",
        querystring: ordersQuery,
        response: { 200: ordersPage, default: problemResponse },
      },
    },
    async (request) => {
      const { limit, cursor, ...query } = request.query;
      const before = readCursor(cursor, ordersCursor);
      const filter = {
        status: query.status,
        hold: query.hold,
        needsAttention: query.needs_attention === undefined ? undefined : query.needs_attention === "true",
        shopId: query.shop_id,
        search: query.search,
        orderedFrom: query.ordered_from,
        orderedTo: query.ordered_to,
      };
      const position = before === null ? null : { sortTime: before[0], id: before[1] };
      const { rows, total } = await withTenantSnapshot(
        db,
        sessionOf(request).tenantId,
        async (transaction) => ({
          rows: await listOrders(transaction, filter, limit, position),
          total: await countOrders(transaction, filter),
        }),
      );
      const { page, nextCursor } = cutPage(rows, limit, (row) => [row.sort_time, row.id]);
      return { orders: [...page], pagination: { limit, total, next_cursor: nextCursor } };
    },
  );
}

function addGetOrder(app: RouteApp, { db, secretKey }: OrderDependencies): void {
  app.get(
    "/api/orders/:id",
    {
      config: { permission: "orders:read" },
      schema: {
        operationId: "getOrder",
        tags,
        security,
        summary: "One order with its lines, packages and recipient",
        description: "Support sees the recipient masked; each look at one in clear is recorded.",
        params: orderParameters,
        response: { 200: orderDetail, default: problemResponse },
      },
    },
    async (request) => {
      const session = sessionOf(request);
      const { order, ...belongings } = await withTenantSnapshot(db, session.tenantId, async (transaction) => {
        const found = known(await findOrder(transaction, request.params.id));
        return {
          order: found,
          lines: await listOrderLines(transaction, found.id),
          packages: await listPackages(transaction, found.id),
          tracking: await listTracking(transaction, found.id),
        };
      });
      const recipient = openRecipient(secretKey, session.tenantId, order);
      const seesRecipient = mayDo(session.role, "orders:recipient");
      if (recipient !== null && seesRecipient) {
        // A snapshot writes nothing. The look is on record before anybody has seen.
        await withTenant(db, session.tenantId, (transaction) =>
          appendAudit(transaction, session.tenantId, {
            eventType: "recipient_read",
            userId: session.userId,
            orderRef: order.order_ref,
            ...originOf(request),
          }),
        );
      }
      return {
        ...order,
        ...belongings,
        cancellation: cancellationOf(order),
        shortage:
          order.shortage_course === null
            ? null
            : { course: order.shortage_course, decided_by: order.shortage_decided_by },
        recipient: recipient === null ? null : recipientBody(recipient, seesRecipient),
      };
    },
  );
}

function addGetOrderTimeline(app: RouteApp, { db }: OrderDependencies): void {
  app.get(
    "/api/orders/:id/timeline",
    {
      config: { permission: "orders:read" },
      schema: {
        operationId: "getOrderTimeline",
        tags,
        security,
        summary: "Everything that happened to an order",
        description:
          "Oldest first: what the channel said and what made us look, what was decided, what moved in the stock, where the parcel was.",
        params: orderParameters,
        querystring: timelineQuery,
        response: { 200: timelinePage, default: problemResponse },
      },
    },
    async (request) => {
      const { limit, cursor } = request.query;
      const after = readCursor(cursor, timelineCursor);
      const rows = await withTenantSnapshot(db, sessionOf(request).tenantId, async (transaction) => {
        const order = known(await findOrder(transaction, request.params.id));
        const position =
          after === null ? null : { sortTime: after[0], sortRank: after[1], sortKey: after[2] };
        return await listTimeline(transaction, order, limit, position);
      });
      const { page, nextCursor } = cutPage(rows, limit, (row) => [
        row.sort_time,
        row.sort_rank,
        row.sort_key,
      ]);
      return { entries: [...page], next_cursor: nextCursor };
    },
  );
}

function addCancelOrder(app: RouteApp, dependencies: OrderDependencies): void {
  const { db } = dependencies;
  app.post(
    "/api/orders/:id/cancel",
    {
      config: { permission: "orders:write" },
      schema: {
        operationId: "cancelOrder",
        tags,
        security,
        summary: "Cancel an order as its seller",
        description:
          "Answered when the channel has accepted (202); its units are released when the channel reports the cancellation. " +
          "409 says why not. 503 means not answered in time: send the same again with the same key.",
        headers: idempotencyHeaders,
        params: orderParameters,
        body: cancelBody,
        response: { 202: cancelAnswer, default: problemResponse },
      },
    },
    async (request, reply) => {
      const session = sessionOf(request);
      const order = await withTenant(db, session.tenantId, async (transaction) =>
        known(await findOrder(transaction, request.params.id)),
      );
      void reply.code(202);
      return await answerOnce(db, request, reply, cancelAnswer, async (effectId) => {
        await withTenant(db, session.tenantId, (transaction) =>
          appendAudit(transaction, session.tenantId, {
            eventType: "order_cancel",
            userId: session.userId,
            orderRef: order.order_ref,
            reason: request.body.reason,
            ...originOf(request),
          }),
        );
        crashPoint("cancellation: audited, order not asked");
        return await cancel(dependencies, session, order, request.body.reason, effectId);
      });
    },
  );
}

function addDecideShortage(app: RouteApp, dependencies: OrderDependencies): void {
  const { db } = dependencies;
  app.post(
    "/api/orders/:id/shortage",
    {
      config: { permission: "orders:write" },
      schema: {
        operationId: "decideShortage",
        tags,
        security,
        summary: "Decide what is done about units that are missing",
        description:
          "Instead of what the seller's policy says, for this order. To say no to the buyer, cancel the order. 409: nothing is missing, or " +
          "the order is not paid yet. 503 means not answered in time: send the same again with the same key.",
        headers: idempotencyHeaders,
        params: orderParameters,
        body: shortageBody,
        response: { 200: shortageAnswer, default: problemResponse },
      },
    },
    async (request, reply) => {
      const { tenantId, userId } = sessionOf(request);
      const order = await withTenant(db, tenantId, async (transaction) =>
        known(await findOrder(transaction, request.params.id)),
      );
      return await answerOnce(db, request, reply, shortageAnswer, async (effectId) => {
        await withTenant(db, tenantId, (transaction) =>
          appendAudit(transaction, tenantId, {
            eventType: "shortage_course",
            userId,
            orderRef: order.order_ref,
            newValues: { course: request.body.course },
            ...originOf(request),
          }),
        );
        const wish = { course: request.body.course, by: userId };
        const answer = await askOrderToTakeCourse(dependencies, orderKeyOf(tenantId, order), wish, effectId);
        if (isRefusal(answer)) throw new Problem("refused", answer.explanation);
        return await withTenant(db, tenantId, async (transaction) => {
          const now = known(await findOrder(transaction, order.id));
          return { success: true as const, status: now.status, next_step: now.next_step };
        });
      });
    },
  );
}

function known(order: OrderDetailRow | null): OrderDetailRow {
  if (order === null) throw notFound("order");
  return order;
}

function cancellationOf(order: OrderDetailRow): z.output<typeof orderDetail>["cancellation"] {
  if (order.cancel_state === null) return null;
  return {
    state: order.cancel_state,
    reason: order.cancel_reason,
    requested_by: order.cancel_requested_by,
  };
}

function recipientBody(
  recipient: Recipient,
  inClear: boolean,
): NonNullable<z.output<typeof orderDetail>["recipient"]> {
  return {
    name: inClear ? recipient.name : firstCharacters(recipient.name, 1),
    phone: inClear ? recipient.phone : lastCharacters(recipient.phone, 2),
    full_address: inClear ? recipient.fullAddress : null,
    postal_code: inClear ? recipient.postalCode : firstCharacters(recipient.postalCode, 2),
    region_code: recipient.regionCode,
    masked: !inClear,
  };
}

function firstCharacters(text: string | null, count: number): string | null {
  return text === null ? null : `${text.slice(0, count)}***`;
}

function lastCharacters(text: string | null, count: number): string | null {
  return text === null ? null : `***${text.slice(-count)}`;
}

async function cancel(
  dependencies: OrderDependencies,
  session: Session,
  order: OrderDetailRow,
  reason: string,
  effectId: string,
): Promise<z.output<typeof cancelAnswer>> {
  const wish = { reason, by: session.userId };
  const answer = await askOrderToCancel(dependencies, orderKeyOf(session.tenantId, order), wish, effectId);
  if (isRefusal(answer)) throw new Problem("refused", answer.explanation);
  return await withTenant(dependencies.db, session.tenantId, async (transaction) => {
    const now = known(await findOrder(transaction, order.id));
    return { success: true, status: now.status, next_step: now.next_step };
  });
}
