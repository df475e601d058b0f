import type { FastifyPluginCallbackZod } from "fastify-type-provider-zod";
import { findTransferSku, listTransfersUnderWay } from "../../db/read-models/transfers.ts";
import { withTenant } from "../../db/tenant.ts";
import { asId } from "../../domain/ids.ts";
import { idempotencyHeaders, idParameters } from "../contract/common.ts";
import { problemResponse } from "../contract/problem.ts";
import {
  takeTransferBody,
  transferAnswer,
  transferBody,
  transfersAnswer,
  transfersQuery,
} from "../contract/transfers.ts";
import type { ApiDependencies } from "../dependencies.ts";
import { answerOnce, uuidOf } from "../idempotency.ts";
import { sessionOf } from "../plugins/authentication.ts";
import { notFound } from "../problem.ts";
import { getSku } from "../skus.ts";
import { changeStock } from "../stock-requests.ts";

const tags = ["inventory"];
const security = [{ accessToken: [] }];

type RouteApp = Parameters<FastifyPluginCallbackZod>[0];
type TransferDependencies = Pick<ApiDependencies, "db" | "temporal" | "queuePrefix">;

/** Units on their way from one location to another. */
export function transferRoutes(dependencies: TransferDependencies): FastifyPluginCallbackZod {
  return (app, _options, done) => {
    addSendTransfer(app, dependencies);
    addTakeTransfer(app, dependencies);
    addListTransfers(app, dependencies);
    done();
  };
}

function addSendTransfer(app: RouteApp, dependencies: TransferDependencies): void {
  const { db } = dependencies;
  app.post(
    "/api/inventory/products/:id/transfers",
    {
      config: { permission: "inventory:write" },
      schema: {
        operationId: "sendTransfer",
        tags,
        security,
        summary: "Send units from one location to another",
        description:
          "They leave the one at once and are under way, in no level, until they are taken at the other.",
        headers: idempotencyHeaders,
        params: idParameters,
        body: transferBody,
        response: { 200: transferAnswer, default: problemResponse },
      },
    },
    async (request, reply) => {
      const session = sessionOf(request);
      const skuId = asId<"Sku">(request.params.id);
      const { body } = request;
      await getSku(db, session.tenantId, skuId);
      return await answerOnce(db, request, reply, transferAnswer, async (effectId) => {
        const transferId = uuidOf(effectId);
        const changed = await changeStock(dependencies, session.tenantId, skuId, {
          kind: "send_transfer",
          transferId,
          fromLocationId: asId<"Location">(body.from_location_id),
          toLocationId: asId<"Location">(body.to_location_id),
          quantity: body.quantity,
          reason: body.reason,
          actorId: session.userId,
        });
        return { ...changed, transfer_id: transferId };
      });
    },
  );
}

function addTakeTransfer(app: RouteApp, dependencies: TransferDependencies): void {
  const { db } = dependencies;
  app.post(
    "/api/inventory/transfers/:id/take",
    {
      config: { permission: "inventory:write" },
      schema: {
        operationId: "takeTransfer",
        tags,
        security,
        summary: "Take units of a transfer in",
        description: "A transfer may come in parts. Units that are known not to come are noted as missing.",
        headers: idempotencyHeaders,
        params: idParameters,
        body: takeTransferBody,
        response: { 200: transferAnswer, default: problemResponse },
      },
    },
    async (request, reply) => {
      const session = sessionOf(request);
      const { id: transferId } = request.params;
      const skuId = await withTenant(db, session.tenantId, (transaction) =>
        findTransferSku(transaction, transferId),
      );
      if (skuId === null) throw notFound("transfer");
      return await answerOnce(db, request, reply, transferAnswer, async (effectId) => {
        const changed = await changeStock(dependencies, session.tenantId, skuId, {
          kind: "take_transfer",
          transferId,
          takingId: uuidOf(effectId),
          received: request.body.received,
          missing: request.body.missing,
          reason: request.body.reason,
          actorId: session.userId,
        });
        return { ...changed, transfer_id: transferId };
      });
    },
  );
}

function addListTransfers(app: RouteApp, { db }: TransferDependencies): void {
  app.get(
    "/api/inventory/transfers",
    {
      config: { permission: "inventory:read" },
      schema: {
        operationId: "listTransfers",
        tags,
        security,
        summary: "Transfers with units under way",
        description: "The oldest first: those that should have come long ago stand at the top.",
        querystring: transfersQuery,
        response: { 200: transfersAnswer, default: problemResponse },
      },
    },
    async (request) => ({
      transfers: [
        ...(await withTenant(db, sessionOf(request).tenantId, (transaction) =>
          listTransfersUnderWay(transaction, null, request.query.limit),
        )),
      ],
    }),
  );
}
