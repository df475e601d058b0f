import type { FastifyPluginCallbackZod } from "fastify-type-provider-zod";
import { largeChangeUnits } from "../../domain/approval/decide.ts";
import { asId } from "../../domain/ids.ts";
import { adjustOrAwait, awaitsApproval } from "../contract/approvals.ts";
import { idempotencyHeaders, idParameters } from "../contract/common.ts";
import { adjustAnswer, adjustBody, moveBody, repairStockBody } from "../contract/inventory.ts";
import { problemResponse } from "../contract/problem.ts";
import type { ApiDependencies } from "../dependencies.ts";
import { answerOnce } from "../idempotency.ts";
import { askForLargeChange, isLargeChange, statusOf } from "../large-changes.ts";
import { sessionOf } from "../plugins/authentication.ts";
import { getSku } from "../skus.ts";
import { changeStock } from "../stock-requests.ts";

const tags = ["inventory"];
const security = [{ accessToken: [] }];

type RouteApp = Parameters<FastifyPluginCallbackZod>[0];
type StockDependencies = Pick<ApiDependencies, "db" | "temporal" | "queuePrefix">;

/** Changing a SKU's units by hand. Counts, transfers and holds have files of their own. */
export function stockChangeRoutes(dependencies: StockDependencies): FastifyPluginCallbackZod {
  return (app, _options, done) => {
    addAdjustStock(app, dependencies);
    addMoveStock(app, dependencies);
    addRepairStock(app, dependencies);
    done();
  };
}

function addAdjustStock(app: RouteApp, dependencies: StockDependencies): void {
  const { db } = dependencies;
  app.post(
    "/api/inventory/products/:id/adjust",
    {
      config: { permission: "inventory:write" },
      schema: {
        operationId: "adjustStock",
        tags,
        security,
        summary: "Change a SKU's stock by hand",
        description:
          "Adds or takes away units with a reason. Refused (409) when fewer units would remain than are promised to orders. " +
          `Changes of more than ${largeChangeUnits} units wait for an admin's approval (202) unless an admin makes them. ` +
          "503 means not answered in time: send the same again with the same key.",
        headers: idempotencyHeaders,
        params: idParameters,
        body: adjustBody,
        response: { 200: adjustAnswer, 202: awaitsApproval, default: problemResponse },
      },
    },
    async (request, reply) => {
      const { tenantId, userId, role } = sessionOf(request);
      const skuId = asId<"Sku">(request.params.id);
      const { quantity, reason, location_id } = request.body;
      const locationId = location_id === undefined ? null : asId<"Location">(location_id);
      const sku = await getSku(db, tenantId, skuId);
      const isLarge = isLargeChange(role, quantity);
      return await answerOnce(
        db,
        request,
        reply,
        adjustOrAwait,
        (effectId) =>
          isLarge
            ? askForLargeChange(db, request, sku, {
                kind: "adjust",
                effectId,
                locationId,
                quantity,
                counted: null,
                reason,
              })
            : changeStock(dependencies, tenantId, skuId, {
                kind: "adjust",
                adjustmentId: effectId,
                quantity,
                reason,
                actorId: userId,
                locationId,
              }),
        statusOf,
      );
    },
  );
}

function addMoveStock(app: RouteApp, dependencies: StockDependencies): void {
  const { db } = dependencies;
  app.post(
    "/api/inventory/products/:id/movements",
    {
      config: { permission: "inventory:write" },
      schema: {
        operationId: "moveStock",
        tags,
        security,
        summary: "Receive units, or write them off",
        description:
          "Units that arrive go to who waits first. Units that are promised to orders cannot be written off (409): count, and say who waits. " +
          `More than ${largeChangeUnits} units wait for an admin's approval (202) unless an admin moves them.`,
        headers: idempotencyHeaders,
        params: idParameters,
        body: moveBody,
        response: { 200: adjustOrAwait, 202: awaitsApproval, default: problemResponse },
      },
    },
    async (request, reply) => {
      const session = sessionOf(request);
      const skuId = asId<"Sku">(request.params.id);
      const { kind, quantity, reason, location_id } = request.body;
      const locationId = location_id === undefined ? null : asId<"Location">(location_id);
      const sku = await getSku(db, session.tenantId, skuId);
      return await answerOnce(
        db,
        request,
        reply,
        adjustOrAwait,
        async (effectId) => {
          if (isLargeChange(session.role, quantity)) {
            const signed = kind === "receive" ? quantity : -quantity;
            const wanted = { effectId, kind, locationId, quantity: signed, counted: null, reason };
            return await askForLargeChange(db, request, sku, wanted);
          }
          return await changeStock(dependencies, session.tenantId, skuId, {
            kind,
            changeId: effectId,
            quantity,
            reason,
            actorId: session.userId,
            locationId,
          });
        },
        statusOf,
      );
    },
  );
}

function addRepairStock(app: RouteApp, dependencies: StockDependencies): void {
  const { db } = dependencies;
  app.post(
    "/api/inventory/products/:id/repair",
    {
      config: { permission: "inventory:write_large" },
      schema: {
        operationId: "repairStock",
        tags,
        security,
        summary: "Let a SKU go on whose numbers were corrupted",
        description:
          "A number that did not agree with its ledger took the ledger's again, and reservations of the SKU stopped. Count, and say how " +
          "many units there are: the difference is booked as one movement with the reason, and who waits is served. Refused (409) when " +
          "the SKU is not stopped and agrees with its ledger.",
        headers: idempotencyHeaders,
        params: idParameters,
        body: repairStockBody,
        response: { 200: adjustAnswer, default: problemResponse },
      },
    },
    async (request, reply) => {
      const { tenantId, userId } = sessionOf(request);
      const skuId = asId<"Sku">(request.params.id);
      const { on_hand: onHand, reason, location_id } = request.body;
      await getSku(db, tenantId, skuId);
      return await answerOnce(db, request, reply, adjustAnswer, (effectId) =>
        changeStock(dependencies, tenantId, skuId, {
          kind: "repair",
          repairId: effectId,
          onHand,
          reason,
          actorId: userId,
          locationId: location_id === undefined ? null : asId<"Location">(location_id),
        }),
      );
    },
  );
}
