import type { FastifyPluginCallbackZod } from "fastify-type-provider-zod";
import type { z } from "zod";
import { crashPoint } from "../../crash-points.ts";
import { appendAudit } from "../../db/audit-log.ts";
import { findOrder, type OrderDetailRow, orderKeyOf } from "../../db/read-models/orders.ts";
import { withTenant } from "../../db/tenant.ts";
import { isRefusal } from "../../domain/decision.ts";
import type { Session } from "../auth/access-tokens.ts";
import { idempotencyHeaders } from "../contract/common.ts";
import {
  cancelAnswer,
  cancelBody,
  orderParameters,
  shortageAnswer,
  shortageBody,
} from "../contract/orders.ts";
import { problemResponse } from "../contract/problem.ts";
import type { ApiDependencies } from "../dependencies.ts";
import { answerOnce } from "../idempotency.ts";
import { knownOrder } from "../orders.ts";
import { originOf, sessionOf } from "../plugins/authentication.ts";
import { Problem } from "../problem.ts";
import { askOrderToCancel, askOrderToTakeCourse } from "../workflow-requests.ts";

const tags = ["orders"];
const security = [{ accessToken: [] }];

type CommandDependencies = Pick<ApiDependencies, "db" | "temporal" | "queuePrefix">;
type RouteApp = Parameters<FastifyPluginCallbackZod>[0];

/** What people ask of orders; each order's workflow decides. */
export function orderCommandRoutes(dependencies: CommandDependencies): FastifyPluginCallbackZod {
  return (app, _options, done) => {
    addCancelOrder(app, dependencies);
    addDecideShortage(app, dependencies);
    done();
  };
}

function addCancelOrder(app: RouteApp, dependencies: CommandDependencies): void {
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
        knownOrder(await findOrder(transaction, request.params.id)),
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

async function cancel(
  dependencies: CommandDependencies,
  session: Session,
  order: OrderDetailRow,
  reason: string,
  effectId: string,
): Promise<z.output<typeof cancelAnswer>> {
  const wish = { reason, by: session.userId };
  const answer = await askOrderToCancel(dependencies, orderKeyOf(session.tenantId, order), wish, effectId);
  if (isRefusal(answer)) throw new Problem("refused", answer.explanation);
  return await withTenant(dependencies.db, session.tenantId, async (transaction) => {
    const now = knownOrder(await findOrder(transaction, order.id));
    return { success: true, status: now.status, next_step: now.next_step };
  });
}

function addDecideShortage(app: RouteApp, dependencies: CommandDependencies): void {
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
        knownOrder(await findOrder(transaction, request.params.id)),
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
          const now = knownOrder(await findOrder(transaction, order.id));
          return { success: true as const, status: now.status, next_step: now.next_step };
        });
      });
    },
  );
}
