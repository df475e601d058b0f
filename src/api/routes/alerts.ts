import type { FastifyPluginCallbackZod } from "fastify-type-provider-zod";
import type { FastifyRequest } from "fastify";
import { z } from "zod";
import { type AlertAnswer, answerAlert } from "../../db/alerts.ts";
import { appendAudit } from "../../db/audit-log.ts";
import { findAlert, listAlertDeliveries, listAlerts } from "../../db/read-models/alerts.ts";
import { withTenant } from "../../db/tenant.ts";
import { asId } from "../../domain/ids.ts";
import {
  acknowledgeBody,
  alertAnswer,
  alertDetail,
  alertsPage,
  alertsQuery,
  resolveBody,
  snoozeBody,
} from "../contract/alerts.ts";
import { idempotencyHeaders, idParameters } from "../contract/common.ts";
import { problemResponse } from "../contract/problem.ts";
import { cutPage, readCursor } from "../cursor.ts";
import type { ApiDependencies } from "../dependencies.ts";
import { answerOnce } from "../idempotency.ts";
import { originOf, sessionOf } from "../plugins/authentication.ts";
import { notFound, Problem } from "../problem.ts";

const tags = ["alerts"];
const security = [{ accessToken: [] }];
const cursorShape = z.tuple([z.string().regex(/^[0-9 :.+-]{10,40}$/), z.uuid()]);

type AlertDependencies = Pick<ApiDependencies, "db">;

export function alertRoutes(dependencies: AlertDependencies): FastifyPluginCallbackZod {
  return (app, _options, done) => {
    addListAlerts(app, dependencies);
    addGetAlert(app, dependencies);
    addAcknowledgeAlert(app, dependencies);
    addSnoozeAlert(app, dependencies);
    addResolveAlert(app, dependencies);
    done();
  };
}

type RouteApp = Parameters<FastifyPluginCallbackZod>[0];

function addListAlerts(app: RouteApp, { db }: AlertDependencies): void {
  app.get(
    "/api/alerts",
    {
      config: { permission: "inventory:read" },
      schema: {
        operationId: "listAlerts",
        tags,
        security,
        summary: "What the seller is warned of",
        description:
          "Newest first. Those that are over are listed as well: ask for a state to leave them out.",
        querystring: alertsQuery,
        response: { 200: alertsPage, default: problemResponse },
      },
    },
    async (request) => {
      const { limit, cursor, ...filter } = request.query;
      const before = readCursor(cursor, cursorShape);
      const position = before === null ? null : { sortTime: before[0], id: before[1] };
      const rows = await withTenant(db, sessionOf(request).tenantId, (transaction) =>
        listAlerts(transaction, filter, limit, position),
      );
      const { page, nextCursor } = cutPage(rows, limit, (row) => [row.sort_time, row.id]);
      return { alerts: [...page], next_cursor: nextCursor };
    },
  );
}

function addGetAlert(app: RouteApp, { db }: AlertDependencies): void {
  app.get(
    "/api/alerts/:id",
    {
      config: { permission: "inventory:read" },
      schema: {
        operationId: "getAlert",
        tags,
        security,
        summary: "One alert, and to whom it went",
        description:
          "With its reorder recommendation, and every message that was sent about it or waits to be sent.",
        params: idParameters,
        response: { 200: alertDetail, default: problemResponse },
      },
    },
    async (request) => {
      const alertId = asId<"Alert">(request.params.id);
      return await withTenant(db, sessionOf(request).tenantId, async (transaction) => {
        const alert = await findAlert(transaction, alertId);
        if (alert === null) throw notFound("alert");
        return { ...alert, deliveries: [...(await listAlertDeliveries(transaction, alertId))] };
      });
    },
  );
}

function addAcknowledgeAlert(app: RouteApp, { db }: AlertDependencies): void {
  app.post(
    "/api/alerts/:id/acknowledge",
    {
      config: { permission: "inventory:alerts_manage" },
      schema: {
        operationId: "acknowledgeAlert",
        tags,
        security,
        summary: "Take an alert on",
        description: "Nobody is told of it any more. Again, it changes nothing.",
        headers: idempotencyHeaders,
        params: idParameters,
        body: acknowledgeBody,
        response: { 200: alertAnswer, default: problemResponse },
      },
    },
    async (request, reply) => {
      await refuseUnknown(db, request);
      return await answerOnce(db, request, reply, alertAnswer, (effectId) =>
        answer(db, request, request.params.id, { event: "acknowledge" }, effectId),
      );
    },
  );
}

function addSnoozeAlert(app: RouteApp, { db }: AlertDependencies): void {
  app.post(
    "/api/alerts/:id/snooze",
    {
      config: { permission: "inventory:alerts_manage" },
      schema: {
        operationId: "snoozeAlert",
        tags,
        security,
        summary: "Put an alert off",
        description:
          "Nobody is told of it until then; if it is not over by then, people are told as of a new one.",
        headers: idempotencyHeaders,
        params: idParameters,
        body: snoozeBody,
        response: { 200: alertAnswer, default: problemResponse },
      },
    },
    async (request, reply) => {
      await refuseUnknown(db, request);
      return await answerOnce(db, request, reply, alertAnswer, (effectId) =>
        answer(db, request, request.params.id, { event: "snooze", until: request.body.until }, effectId),
      );
    },
  );
}

function addResolveAlert(app: RouteApp, { db }: AlertDependencies): void {
  app.post(
    "/api/alerts/:id/resolve",
    {
      config: { permission: "inventory:alerts_manage" },
      schema: {
        operationId: "resolveAlert",
        tags,
        security,
        summary: "Say that an alert is dealt with",
        description:
          "Nobody is told of it any more, and as long as its condition holds no second alert is opened. When the condition is over the alert ends by itself.",
        headers: idempotencyHeaders,
        params: idParameters,
        body: resolveBody,
        response: { 200: alertAnswer, default: problemResponse },
      },
    },
    async (request, reply) => {
      await refuseUnknown(db, request);
      return await answerOnce(db, request, reply, alertAnswer, (effectId) =>
        answer(db, request, request.params.id, { event: "resolve" }, effectId, request.body.reason),
      );
    },
  );
}

/** Before the key is claimed: what does not exist leaves nothing behind. */
async function refuseUnknown(
  db: AlertDependencies["db"],
  request: Parameters<typeof sessionOf>[0] & { readonly params: { readonly id: string } },
): Promise<void> {
  const alertId = asId<"Alert">(request.params.id);
  const alert = await withTenant(db, sessionOf(request).tenantId, (transaction) =>
    findAlert(transaction, alertId),
  );
  if (alert === null) throw notFound("alert");
}

async function answer(
  db: AlertDependencies["db"],
  request: Parameters<typeof sessionOf>[0] & FastifyRequest,
  id: string,
  said: AlertAnswer,
  effectId: string,
  reason?: string,
): Promise<z.output<typeof alertAnswer>> {
  const { tenantId, userId } = sessionOf(request);
  const state = await withTenant(db, tenantId, async (transaction) => {
    const alertId = asId<"Alert">(id);
    const next = await answerAlert(transaction, tenantId, alertId, said, userId, effectId);
    if (typeof next === "string") {
      await appendAudit(transaction, tenantId, {
        eventType: `alert_${said.event}`,
        userId,
        newValues: { alertId, ...said },
        ...(reason === undefined ? {} : { reason }),
        ...originOf(request),
      });
    }
    return next;
  });
  if (state === null) throw notFound("alert");
  if (typeof state !== "string") throw new Problem("refused", state.explanation);
  return { success: true, state };
}
