import type { FastifyPluginCallbackZod } from "fastify-type-provider-zod";
import { z } from "zod";
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
} from "../../db/read-models/orders.ts";
import { withTenant, withTenantSnapshot } from "../../db/tenant.ts";
import type { Recipient } from "../../domain/order/channel-order.ts";
import {
  orderDetail,
  orderParameters,
  ordersPage,
  ordersQuery,
  timelinePage,
  timelineQuery,
} from "../contract/orders.ts";
import { mayDo } from "../contract/permissions.ts";
import { problemResponse } from "../contract/problem.ts";
import { cutPage, readCursor } from "../cursor.ts";
import type { ApiDependencies } from "../dependencies.ts";
import { knownOrder } from "../orders.ts";
import { originOf, sessionOf } from "../plugins/authentication.ts";

const tags = ["orders"];
const security = [{ accessToken: [] }];
const sortTime = z.string().regex(/^[0-9 :.+-]{10,40}$/);
const ordersCursor = z.tuple([sortTime, z.uuid()]);
const timelineCursor = z.tuple([sortTime, z.number().int().min(0).max(9), z.string().max(1_000)]);

type OrderDependencies = Pick<ApiDependencies, "db" | "secretKey">;

/** What there is to know of orders. */
export function orderRoutes(dependencies: OrderDependencies): FastifyPluginCallbackZod {
  return (app, _options, done) => {
    addListOrders(app, dependencies);
    addGetOrder(app, dependencies);
    addGetOrderTimeline(app, dependencies);
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
        const found = knownOrder(await findOrder(transaction, request.params.id));
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
        const order = knownOrder(await findOrder(transaction, request.params.id));
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
