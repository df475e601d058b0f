import type { FastifyPluginCallbackZod } from "fastify-type-provider-zod";
import { findApprovalOfRequest } from "../../db/read-models/approvals.ts";
import { findLeavableClaims } from "../../db/read-models/claims.ts";
import { findStockAnswer, listLevels } from "../../db/read-models/inventory.ts";
import { withTenant, withTenantSnapshot } from "../../db/tenant.ts";
import { largeChangeUnits } from "../../domain/approval/decide.ts";
import { asId, type LocationId, type SkuId, type TenantId } from "../../domain/ids.ts";
import { proposeLeavingShort } from "../../domain/stock/leave-short.ts";
import type { WaitingClaim } from "../../domain/stock/operation.ts";
import { adjustOrAwait, awaitsApproval } from "../contract/approvals.ts";
import { idParameters } from "../contract/common.ts";
import {
  adjustAnswer,
  countBody,
  countHeaders,
  countParameters,
  proposalAnswer,
  proposalQuery,
} from "../contract/inventory.ts";
import { mayDo } from "../contract/permissions.ts";
import { problemResponse } from "../contract/problem.ts";
import type { ApiDependencies } from "../dependencies.ts";
import { etagOf } from "../etag.ts";
import { answerOnce } from "../idempotency.ts";
import { askForLargeChange, awaitingApproval, type Change, statusOf } from "../large-changes.ts";
import { sessionOf } from "../plugins/authentication.ts";
import { notFound, Problem } from "../problem.ts";
import { getSku } from "../skus.ts";
import { stockRefusals } from "../stock-refusals.ts";
import { changedBy, changeStock, hasChanged } from "../stock-requests.ts";

const tags = ["inventory"];
const security = [{ accessToken: [] }];

type RouteApp = Parameters<FastifyPluginCallbackZod>[0];
type CountDependencies = Pick<ApiDependencies, "db" | "temporal" | "queuePrefix">;

/** Counting what lies at a location, and whom a count would leave short. */
export function stockCountRoutes(dependencies: CountDependencies): FastifyPluginCallbackZod {
  return (app, _options, done) => {
    addProposeCount(app, dependencies);
    addCountStock(app, dependencies);
    done();
  };
}

function addProposeCount(app: RouteApp, { db }: CountDependencies): void {
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

function addCountStock(app: RouteApp, dependencies: CountDependencies): void {
  const { db } = dependencies;
  app.put(
    "/api/inventory/products/:id/levels/:locationId",
    {
      config: { permission: "inventory:write" },
      schema: {
        operationId: "countStock",
        tags,
        security,
        summary: "Say how many units there are at a location",
        description:
          "An absolute count, so it must be based on the numbers as they are: send the level's etag as If-Match. Without it 428; " +
          "412 when something has moved since, which is the moment to count again. One below what is promised is refused (409) unless " +
          "`leave_short` names the orders that wait again, as the count's proposal does. A count that changes more than " +
          `${largeChangeUnits} units waits for an admin's approval (202) unless an admin makes it; what is approved is the difference ` +
          "that was found, since the count itself is out of date as soon as something is sold.",
        headers: countHeaders,
        params: countParameters,
        body: countBody,
        response: { 200: adjustAnswer, 202: awaitsApproval, default: problemResponse },
      },
    },
    async (request, reply) => {
      const { tenantId, userId, role } = sessionOf(request);
      const skuId = asId<"Sku">(request.params.id);
      const locationId = asId<"Location">(request.params.locationId);
      const sku = await getSku(db, tenantId, skuId);
      const basedOn = request.headers["if-match"];
      if (basedOn === undefined) {
        throw new Problem(
          "precondition-required",
          "Send the etag of the level that you counted, as GET of the product gives it, in If-Match.",
        );
      }
      const { on_hand: onHand, reason, leave_short: leaveShort } = request.body;
      return await answerOnce(
        db,
        request,
        reply,
        adjustOrAwait,
        async (effectId) => {
          const known = await findWhatCameOfCount(dependencies, tenantId, effectId);
          if (known !== null) return known;
          const expectedVersion = Number(basedOn.replaceAll('"', ""));
          if (!mayDo(role, "inventory:write_large")) {
            const level = await getLevel(dependencies, tenantId, skuId, locationId);
            const quantity = onHand - level.current_stock;
            if (Math.abs(quantity) > largeChangeUnits) {
              if (etagOf(level) !== basedOn) throw hasChanged();
              return await askForLargeChange(db, request, sku, {
                kind: "adjust",
                effectId,
                locationId,
                quantity,
                counted: onHand,
                reason,
              });
            }
          }
          if (!Number.isSafeInteger(expectedVersion)) throw hasChanged();
          return await changeStock(dependencies, tenantId, skuId, {
            kind: "count",
            countId: effectId,
            onHand,
            expectedVersion,
            reason,
            actorId: userId,
            locationId,
            leaveShort: await findLeftShort(dependencies, tenantId, skuId, locationId, leaveShort),
          });
        },
        statusOf,
      );
    },
  );
}

/**
 * What came of a count whose answer was lost: those whom it left short hold nothing any more, and the level has another
 * version, so it could not be asked for again.
 */
async function findWhatCameOfCount(
  { db }: CountDependencies,
  tenantId: TenantId,
  effectId: string,
): Promise<Change | null> {
  const { approvalId, answer } = await withTenant(db, tenantId, async (transaction) => ({
    approvalId: await findApprovalOfRequest(transaction, effectId),
    answer: await findStockAnswer(transaction, asId<"Operation">(`count/${effectId}`)),
  }));
  if (approvalId !== null) return awaitingApproval(approvalId);
  return answer === null ? null : changedBy(answer);
}

async function getLevel({ db }: CountDependencies, tenantId: TenantId, skuId: SkuId, locationId: LocationId) {
  const levels = await withTenant(db, tenantId, (transaction) => listLevels(transaction, skuId));
  const level = levels.find((each) => each.location_id === locationId);
  if (level === undefined) throw new Problem("refused", stockRefusals.unknown_location);
  return level;
}

/** The claims that a person has agreed to leave short, as they are now. */
async function findLeftShort(
  { db }: CountDependencies,
  tenantId: TenantId,
  skuId: SkuId,
  locationId: LocationId,
  reservationIds: readonly string[],
): Promise<readonly WaitingClaim[]> {
  if (reservationIds.length === 0) return [];
  const leavable = await withTenant(db, tenantId, (transaction) =>
    findLeavableClaims(transaction, skuId, locationId),
  );
  return reservationIds.map((reservationId) => {
    const row = leavable.find((each) => each.reservation_id === reservationId);
    if (row === undefined) throw new Problem("refused", stockRefusals.nothing_to_leave_short);
    return {
      claim: { orderRef: row.order_ref, lineId: row.line_id, generation: row.generation },
      quantity: row.quantity,
      rank: { paidAt: row.paid_at, orderedAt: row.ordered_at },
      locationId: null,
    };
  });
}
