import type { FastifyPluginCallbackZod } from "fastify-type-provider-zod";
import type { z } from "zod";
import { findApprovalOfRequest } from "../../db/read-models/approvals.ts";
import { findLeavableClaims } from "../../db/read-models/explain.ts";
import { findSku, findStockAnswer, listLevels, type SkuRow } from "../../db/read-models/inventory.ts";
import { fixThreshold, isBarcodeTaken, setBarcode } from "../../db/sku-settings.ts";
import { withTenant } from "../../db/tenant.ts";
import { largeChangeUnits } from "../../domain/approval/decide.ts";
import { asId, type LocationId, type SkuId } from "../../domain/ids.ts";
import type { StockAnswer, StockOperation, WaitingClaim } from "../../domain/stock/operation.ts";
import { adjustOrAwait, awaitsApproval } from "../contract/approvals.ts";
import { idempotencyHeaders, idParameters } from "../contract/common.ts";
import {
  adjustAnswer,
  adjustBody,
  barcodeBody,
  countBody,
  countHeaders,
  countParameters,
  productSchema,
  repairStockBody,
  thresholdBody,
} from "../contract/inventory.ts";
import { mayDo } from "../contract/permissions.ts";
import { problemResponse } from "../contract/problem.ts";
import type { ApiDependencies } from "../dependencies.ts";
import { etagOf } from "../etag.ts";
import {
  askForLargeChange,
  awaitingApproval,
  type Change,
  isLargeChange,
  statusOf,
} from "../large-changes.ts";
import { answerOnce } from "../idempotency.ts";
import { originOf, sessionOf } from "../plugins/authentication.ts";
import { notFound, Problem } from "../problem.ts";
import { stockRefusals, stockRefused } from "../stock-refusals.ts";
import { askSku } from "../workflow-requests.ts";

const tags = ["inventory"];
const security = [{ accessToken: [] }];

type StockDependencies = Pick<ApiDependencies, "db" | "temporal" | "queuePrefix">;
type RouteApp = Parameters<FastifyPluginCallbackZod>[0];

/** Changing one SKU: its units, its threshold, its barcode. */
export function stockChangeRoutes(dependencies: StockDependencies): FastifyPluginCallbackZod {
  return (app, _options, done) => {
    addAdjustStock(app, dependencies);
    addCountStock(app, dependencies);
    addRepairStock(app, dependencies);
    addSetThreshold(app, dependencies);
    addSetBarcode(app, dependencies);
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
      const sku = await getSku(dependencies, tenantId, skuId);
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
            : change(dependencies, tenantId, skuId, {
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

function addCountStock(app: RouteApp, dependencies: StockDependencies): void {
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
      const sku = await getSku(dependencies, tenantId, skuId);
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
          return await change(dependencies, tenantId, skuId, {
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
      await getSku(dependencies, tenantId, skuId);
      return await answerOnce(db, request, reply, adjustAnswer, async (effectId) =>
        adjustedBy(
          await askSku(dependencies, tenantId, skuId, {
            kind: "repair",
            repairId: effectId,
            onHand,
            reason,
            actorId: userId,
            locationId: location_id === undefined ? null : asId<"Location">(location_id),
          }),
        ),
      );
    },
  );
}

function addSetThreshold(app: RouteApp, dependencies: StockDependencies): void {
  const { db } = dependencies;
  app.put(
    "/api/inventory/products/:id/threshold",
    {
      config: { permission: "inventory:write" },
      schema: {
        operationId: "setThreshold",
        tags,
        security,
        summary: "Set from how many available units on a SKU is low",
        description: "The old and the new value go on record.",
        headers: idempotencyHeaders,
        params: idParameters,
        body: thresholdBody,
        response: { 200: productSchema, default: problemResponse },
      },
    },
    async (request, reply) => {
      const { tenantId, userId } = sessionOf(request);
      const skuId = asId<"Sku">(request.params.id);
      await getSku(dependencies, tenantId, skuId);
      return await answerOnce(db, request, reply, productSchema, (effectId) =>
        withTenant(db, tenantId, async (transaction) => {
          const by = { userId, ...originOf(request) };
          const { threshold } = request.body;
          if (!(await fixThreshold(transaction, tenantId, skuId, threshold, effectId, by))) {
            throw notFound("product");
          }
          return known(await findSku(transaction, skuId));
        }),
      );
    },
  );
}

function addSetBarcode(app: RouteApp, dependencies: StockDependencies): void {
  const { db } = dependencies;
  app.put(
    "/api/inventory/products/:id/barcode",
    {
      config: { permission: "inventory:write" },
      schema: {
        operationId: "setBarcode",
        tags,
        security,
        summary: "Set what a scanner reads for a SKU",
        description: "Refused (409) when another SKU has it. The old and the new value go on record.",
        headers: idempotencyHeaders,
        params: idParameters,
        body: barcodeBody,
        response: { 200: productSchema, default: problemResponse },
      },
    },
    async (request, reply) => {
      const { tenantId, userId } = sessionOf(request);
      const skuId = asId<"Sku">(request.params.id);
      await getSku(dependencies, tenantId, skuId);
      return await answerOnce(db, request, reply, productSchema, async () => {
        const by = { userId, ...originOf(request) };
        const { barcode } = request.body;
        try {
          return await withTenant(db, tenantId, async (transaction) => {
            const outcome = await setBarcode(transaction, tenantId, skuId, barcode, by);
            if (outcome === "no_sku") throw notFound("product");
            if (outcome === "taken") throw barcodeTaken();
            return known(await findSku(transaction, skuId));
          });
        } catch (error) {
          throw isBarcodeTaken(error) ? barcodeTaken() : error;
        }
      });
    },
  );
}

/**
 * What came of a count whose answer was lost: those whom it left short hold nothing any more, and the level has another
 * version, so it could not be asked for again.
 */
async function findWhatCameOfCount(
  { db }: StockDependencies,
  tenantId: SkuKey["tenantId"],
  effectId: string,
): Promise<Change | null> {
  const { approvalId, answer } = await withTenant(db, tenantId, async (transaction) => ({
    approvalId: await findApprovalOfRequest(transaction, effectId),
    answer: await findStockAnswer(transaction, asId<"Operation">(`count/${effectId}`)),
  }));
  if (approvalId !== null) return awaitingApproval(approvalId);
  return answer === null ? null : adjustedBy(answer);
}

/** The claims that a person has agreed to leave short, as they are now. */
async function findLeftShort(
  { db }: StockDependencies,
  tenantId: SkuKey["tenantId"],
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

/** Has the SKU's entity apply a change. */
async function change(
  dependencies: StockDependencies,
  tenantId: SkuKey["tenantId"],
  skuId: SkuId,
  operation: StockOperation,
): Promise<Change> {
  return adjustedBy(await askSku(dependencies, tenantId, skuId, operation));
}

/** @throws Problem when the stock has refused. */
function adjustedBy(answer: StockAnswer): z.output<typeof adjustAnswer> {
  if (answer.outcome === "adjusted") {
    return { success: true, new_stock_level: answer.onHand, available_stock: answer.available };
  }
  if (answer.outcome === "refused" && answer.reason === "version_changed") throw hasChanged();
  throw stockRefused(answer);
}

type SkuKey = ReturnType<typeof sessionOf>;

async function getSku(
  { db }: StockDependencies,
  tenantId: SkuKey["tenantId"],
  skuId: SkuId,
): Promise<SkuRow> {
  return await withTenant(db, tenantId, async (transaction) => known(await findSku(transaction, skuId)));
}

async function getLevel(
  { db }: StockDependencies,
  tenantId: SkuKey["tenantId"],
  skuId: SkuId,
  locationId: LocationId,
) {
  const levels = await withTenant(db, tenantId, (transaction) => listLevels(transaction, skuId));
  const level = levels.find((each) => each.location_id === locationId);
  if (level === undefined) throw new Problem("refused", stockRefusals.unknown_location);
  return level;
}

function known(sku: SkuRow | null): SkuRow {
  if (sku === null) throw notFound("product");
  return sku;
}

function hasChanged(): Problem {
  return new Problem("precondition-failed", stockRefusals.version_changed);
}

function barcodeTaken(): Problem {
  return new Problem("refused", "Another product has this barcode: scan it to see which.");
}
