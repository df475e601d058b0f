import type { FastifyPluginCallbackZod } from "fastify-type-provider-zod";
import { z } from "zod";
import { appendAudit } from "../../db/audit-log.ts";
import {
  deliveryExists,
  listDeliveries,
  listRejections,
  seeUnclaimedDeliveries,
} from "../../db/read-models/deliveries.ts";
import type { Database } from "../../db/connection.ts";
import { withTenant } from "../../db/tenant.ts";
import { type ReplayFilter, replayDeliveries } from "../../db/webhook-deliveries.ts";
import { idParameters } from "../contract/common.ts";
import { deliveriesPage, deliveriesQuery, replayAnswer, replayBody } from "../contract/deliveries.ts";
import { mayDo } from "../contract/permissions.ts";
import { problemResponse } from "../contract/problem.ts";
import { cutPage, readCursor } from "../cursor.ts";
import type { ApiDependencies } from "../dependencies.ts";
import { originOf, sessionOf } from "../plugins/authentication.ts";
import { notFound, Problem } from "../problem.ts";

const tags = ["deliveries"];
const security = [{ accessToken: [] }];
const cursorShape = z.tuple([z.string().regex(/^[0-9 :.+-]{10,40}$/), z.uuid()]);

type DeliveryDependencies = Pick<ApiDependencies, "db">;

export function deliveryRoutes(dependencies: DeliveryDependencies): FastifyPluginCallbackZod {
  return (app, _options, done) => {
    addListDeliveries(app, dependencies);
    addReplayDelivery(app, dependencies);
    addReplayDeliveries(app, dependencies);
    done();
  };
}

type RouteApp = Parameters<FastifyPluginCallbackZod>[0];

function addListDeliveries(app: RouteApp, { db }: DeliveryDependencies): void {
  app.get(
    "/api/deliveries",
    {
      config: { permission: "deliveries:read" },
      schema: {
        operationId: "listDeliveries",
        tags,
        security,
        summary: "Webhook requests as received, and their fate",
        description:
          "Newest first, with the beginning of the body. The platform's operators also see those that belong to no known shop.",
        querystring: deliveriesQuery,
        response: { 200: deliveriesPage, default: problemResponse },
      },
    },
    async (request) => {
      const { tenantId, role } = sessionOf(request);
      const { limit, cursor, state, topic, order_id: orderId } = request.query;
      const before = readCursor(cursor, cursorShape);
      const { rows, rejections } = await withTenant(db, tenantId, async (transaction) => {
        if (mayDo(role, "deliveries:unclaimed")) await seeUnclaimedDeliveries(transaction);
        const position = before === null ? null : { sortTime: before[0], id: before[1] };
        return {
          rows: await listDeliveries(transaction, { state, topic, orderId }, limit, position),
          rejections: await listRejections(transaction),
        };
      });
      const { page, nextCursor } = cutPage(rows, limit, (row) => [row.sort_time, row.id]);
      return { deliveries: [...page], rejections, next_cursor: nextCursor };
    },
  );
}

function addReplayDelivery(app: RouteApp, { db }: DeliveryDependencies): void {
  app.post(
    "/api/deliveries/:id/replay",
    {
      config: { permission: "deliveries:replay" },
      schema: {
        operationId: "replayDelivery",
        tags,
        security,
        summary: "Work one delivery off again",
        description: "Harmless at any time: the order is fetched anew, and what is no news changes nothing.",
        params: idParameters,
        response: { 200: replayAnswer, default: problemResponse },
      },
    },
    async (request) => {
      const { id } = request.params;
      return { success: true as const, replayed: await replay(db, request, { id }) };
    },
  );
}

function addReplayDeliveries(app: RouteApp, { db }: DeliveryDependencies): void {
  app.post(
    "/api/deliveries/replay",
    {
      config: { permission: "deliveries:replay" },
      schema: {
        operationId: "replayDeliveries",
        tags,
        security,
        summary: "Work all parked or kept deliveries off again",
        description: "Those that name no order stay as they are: there is nothing to work off.",
        body: replayBody,
        response: { 200: replayAnswer, default: problemResponse },
      },
    },
    async (request) => ({ success: true as const, replayed: await replay(db, request, request.body) }),
  );
}

async function replay(
  db: Database,
  request: Parameters<typeof sessionOf>[0] & Parameters<typeof originOf>[0],
  filter: ReplayFilter,
): Promise<number> {
  const { tenantId, userId } = sessionOf(request);
  return await withTenant(db, tenantId, async (transaction) => {
    const replayed = await replayDeliveries(transaction, filter);
    if (replayed === 0 && "id" in filter) {
      if (!(await deliveryExists(transaction, filter.id))) throw notFound("delivery");
      throw new Problem("refused", "The delivery waits already, or it names no order to work off.");
    }
    await appendAudit(transaction, tenantId, {
      eventType: "deliveries_replay",
      userId,
      newValues: { ...filter, replayed },
      ...originOf(request),
    });
    return replayed;
  });
}
