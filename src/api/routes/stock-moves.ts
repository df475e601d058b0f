import { createHash } from "node:crypto";
import type { FastifyPluginCallbackZod } from "fastify-type-provider-zod";
import {
  findClaimSku,
  findLeavableClaims,
  findTransferSku,
  listTransfersUnderWay,
} from "../../db/read-models/explain.ts";
import { findSku, listLevels, type SkuRow } from "../../db/read-models/inventory.ts";
import { withTenant, withTenantSnapshot } from "../../db/tenant.ts";
import { largeChangeUnits } from "../../domain/approval/decide.ts";
import { asId, type SkuId, type TenantId } from "../../domain/ids.ts";
import { proposeLeavingShort } from "../../domain/stock/leave-short.ts";
import {
  holdClaim,
  reservationIdOf,
  type StockAnswer,
  type StockOperation,
} from "../../domain/stock/operation.ts";
import { idempotencyHeaders, idParameters } from "../contract/common.ts";
import { adjustOrAwait, awaitsApproval } from "../contract/approvals.ts";
import { adjustAnswer } from "../contract/inventory.ts";
import { problemResponse } from "../contract/problem.ts";
import {
  backorderBody,
  holdAnswer,
  holdBody,
  moveBody,
  proposalAnswer,
  proposalQuery,
  releaseAnswer,
  takeTransferBody,
  transferAnswer,
  transferBody,
  transfersAnswer,
  transfersQuery,
} from "../contract/stock-moves.ts";
import type { ApiDependencies } from "../dependencies.ts";
import { answerOnce } from "../idempotency.ts";
import { askForLargeChange, isLargeChange, statusOf } from "../large-changes.ts";
import type { Session } from "../auth/access-tokens.ts";
import { sessionOf } from "../plugins/authentication.ts";
import { notFound, Problem } from "../problem.ts";
import { stockRefused } from "../stock-refusals.ts";
import { askSku } from "../workflow-requests.ts";

const tags = ["inventory"];
const security = [{ accessToken: [] }];

type MoveDependencies = Pick<ApiDependencies, "db" | "temporal" | "queuePrefix">;
type RouteApp = Parameters<FastifyPluginCallbackZod>[0];

/** Receipts, write-offs, transfers, holds, backorders, and whom a count would leave short. */
export function stockMoveRoutes(dependencies: MoveDependencies): FastifyPluginCallbackZod {
  return (app, _options, done) => {
    addMove(app, dependencies);
    addTransfers(app, dependencies);
    addHolds(app, dependencies);
    addBackorder(app, dependencies);
    addProposal(app, dependencies);
    done();
  };
}

function addMove(app: RouteApp, dependencies: MoveDependencies): void {
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
      const sku = await getSku(dependencies, session.tenantId, skuId);
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
          const { onHand, available } = await changeStock(dependencies, session.tenantId, skuId, {
            kind,
            changeId: effectId,
            quantity,
            reason,
            actorId: session.userId,
            locationId,
          });
          return { success: true as const, new_stock_level: onHand, available_stock: available };
        },
        statusOf,
      );
    },
  );
}

function addTransfers(app: RouteApp, dependencies: MoveDependencies): void {
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
      await getSku(dependencies, session.tenantId, skuId);
      return await answerOnce(db, request, reply, transferAnswer, async (effectId) => {
        const transferId = uuidOf(effectId);
        const { onHand, available } = await changeStock(dependencies, session.tenantId, skuId, {
          kind: "send_transfer",
          transferId,
          fromLocationId: asId<"Location">(body.from_location_id),
          toLocationId: asId<"Location">(body.to_location_id),
          quantity: body.quantity,
          reason: body.reason,
          actorId: session.userId,
        });
        return {
          success: true as const,
          transfer_id: transferId,
          new_stock_level: onHand,
          available_stock: available,
        };
      });
    },
  );
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
        const { onHand, available } = await changeStock(dependencies, session.tenantId, skuId, {
          kind: "take_transfer",
          transferId,
          takingId: uuidOf(effectId),
          received: request.body.received,
          missing: request.body.missing,
          reason: request.body.reason,
          actorId: session.userId,
        });
        return {
          success: true as const,
          transfer_id: transferId,
          new_stock_level: onHand,
          available_stock: available,
        };
      });
    },
  );
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

function addHolds(app: RouteApp, dependencies: MoveDependencies): void {
  const { db } = dependencies;
  app.post(
    "/api/inventory/products/:id/holds",
    {
      config: { permission: "inventory:write" },
      schema: {
        operationId: "holdStock",
        tags,
        security,
        summary: "Keep units for something that is no order",
        description:
          "Takes only what is free while no order waits (409 otherwise). Ends by itself at `expires_at`; until then the units count as reserved.",
        headers: idempotencyHeaders,
        params: idParameters,
        body: holdBody,
        response: { 200: holdAnswer, default: problemResponse },
      },
    },
    async (request, reply) => {
      const session = sessionOf(request);
      const skuId = asId<"Sku">(request.params.id);
      const { quantity, expires_at: expiresAt, reason, location_id: locationId } = request.body;
      refuseLargeHold(session, quantity);
      await getSku(dependencies, session.tenantId, skuId);
      return await answerOnce(db, request, reply, holdAnswer, async (effectId) => {
        const holdId = uuidOf(effectId);
        const { available } = await changeStock(dependencies, session.tenantId, skuId, {
          kind: "hold",
          holdId,
          quantity,
          expiresAt,
          reason,
          actorId: session.userId,
          locationId: locationId === undefined ? null : asId<"Location">(locationId),
        });
        return { success: true as const, hold_id: holdId, available_stock: available };
      });
    },
  );
  app.post(
    "/api/inventory/holds/:id/release",
    {
      config: { permission: "inventory:write" },
      schema: {
        operationId: "releaseHold",
        tags,
        security,
        summary: "End a hold before its time",
        description:
          "Its end is one operation, whoever asks for it: `released` is true also when it had ended already.",
        headers: idempotencyHeaders,
        params: idParameters,
        response: { 200: releaseAnswer, default: problemResponse },
      },
    },
    async (request, reply) => {
      const session = sessionOf(request);
      const claim = holdClaim(request.params.id);
      const skuId = await withTenant(db, session.tenantId, (transaction) =>
        findClaimSku(transaction, reservationIdOf(claim)),
      );
      if (skuId === null) throw notFound("hold");
      return await answerOnce(db, request, reply, releaseAnswer, async () => {
        const answer = await askSku(dependencies, session.tenantId, skuId, {
          kind: "release",
          claim,
          reason: "Ended by hand",
        });
        if (answer.outcome === "refused") throw stockRefused(answer);
        return { success: true as const, released: answer.outcome === "released" };
      });
    },
  );
}

function addBackorder(app: RouteApp, dependencies: MoveDependencies): void {
  const { db } = dependencies;
  app.put(
    "/api/inventory/products/:id/backorder",
    {
      config: { permission: "inventory:write" },
      schema: {
        operationId: "setBackorderFloor",
        tags,
        security,
        summary: "Take backorders down to a floor, or none",
        description:
          "A lower floor serves those who wait. It is never raised above what is promised already (409).",
        headers: idempotencyHeaders,
        params: idParameters,
        body: backorderBody,
        response: { 200: adjustAnswer, default: problemResponse },
      },
    },
    async (request, reply) => {
      const session = sessionOf(request);
      const skuId = asId<"Sku">(request.params.id);
      await getSku(dependencies, session.tenantId, skuId);
      return await answerOnce(db, request, reply, adjustAnswer, async (effectId) => {
        const { onHand, available } = await changeStock(dependencies, session.tenantId, skuId, {
          kind: "set_backorder_floor",
          changeId: effectId,
          floor: request.body.floor,
          locationId: null,
        });
        return { success: true as const, new_stock_level: onHand, available_stock: available };
      });
    },
  );
}

function addProposal(app: RouteApp, dependencies: MoveDependencies): void {
  const { db } = dependencies;
  app.get(
    "/api/inventory/products/:id/count-proposal",
    {
      config: { permission: "inventory:read" },
      schema: {
        operationId: "proposeCount",
        tags,
        security,
        summary: "Whom a count would leave short",
        description:
          "What is on the shelf is true, whatever was promised. When fewer units were counted than are promised, these orders would wait again, " +
          "those whose turn is last. Confirm by counting with `leave_short`.",
        params: idParameters,
        querystring: proposalQuery,
        response: { 200: proposalAnswer, default: problemResponse },
      },
    },
    async (request) => {
      const skuId = asId<"Sku">(request.params.id);
      const { on_hand: onHand, location_id: locationId } = request.query;
      return await withTenantSnapshot(db, sessionOf(request).tenantId, async (transaction) => {
        const levels = await listLevels(transaction, skuId);
        const level =
          locationId === undefined
            ? levels[0]
            : levels.find((candidate) => candidate.location_id === locationId);
        if (level === undefined) throw notFound("stock level");
        const leavable = await findLeavableClaims(transaction, skuId, level.location_id);
        const proposal = proposeLeavingShort(
          { reserved: level.reserved_stock, backorderFloor: level.backorder_floor },
          onHand,
          leavable.map((row) => ({
            claim: { orderRef: row.order_ref, lineId: row.line_id, generation: row.generation },
            quantity: row.quantity,
            unitsThere: row.units_there,
            rank: { paidAt: row.paid_at, orderedAt: row.ordered_at },
            locationId: null,
            row,
          })),
        );
        return {
          location_id: level.location_id,
          version: level.version,
          current_stock: level.current_stock,
          reserved_stock: level.reserved_stock,
          missing_units: proposal.missingUnits,
          covered: proposal.covered,
          leave_short: proposal.claims.map(({ row }) => ({
            reservation_id: row.reservation_id,
            order_id: row.order_id,
            order_number: row.order_number,
            quantity: row.quantity,
            paid_at: row.paid_at,
            ordered_at: row.ordered_at,
          })),
        };
      });
    },
  );
}

/** @throws Problem `refused` with what the stock had against it. */
async function changeStock(
  dependencies: MoveDependencies,
  tenantId: TenantId,
  skuId: SkuId,
  operation: StockOperation,
): Promise<Extract<StockAnswer, { outcome: "adjusted" }>> {
  const answer = await askSku(dependencies, tenantId, skuId, operation);
  if (answer.outcome !== "adjusted") throw stockRefused(answer);
  return answer;
}

/** A hold changes no stock, so there is nothing that could wait for an approval. */
function refuseLargeHold({ role }: Session, quantity: number): void {
  if (!isLargeChange(role, quantity)) return;
  throw new Problem(
    "permission-denied",
    `Holds of more than ${largeChangeUnits} units need an admin: ask one of your admins to make this one.`,
  );
}

/** The same UUID for the same effect, for what is named by one. */
function uuidOf(effectId: string): string {
  const hex = createHash("sha256").update(effectId).digest("hex");
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-8${hex.slice(13, 16)}-8${hex.slice(17, 20)}-${hex.slice(20, 32)}`;
}

async function getSku({ db }: MoveDependencies, tenantId: TenantId, skuId: SkuId): Promise<SkuRow> {
  const sku = await withTenant(db, tenantId, (transaction) => findSku(transaction, skuId));
  if (sku === null) throw notFound("product");
  return sku;
}
