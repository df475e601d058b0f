import type { FastifyPluginCallbackZod } from "fastify-type-provider-zod";
import { findSku } from "../../db/read-models/inventory.ts";
import { fixThreshold, isBarcodeTaken, setBarcode } from "../../db/sku-settings.ts";
import { withTenant } from "../../db/tenant.ts";
import { asId } from "../../domain/ids.ts";
import { idempotencyHeaders, idParameters } from "../contract/common.ts";
import {
  adjustAnswer,
  backorderBody,
  barcodeBody,
  productSchema,
  thresholdBody,
} from "../contract/inventory.ts";
import { problemResponse } from "../contract/problem.ts";
import type { ApiDependencies } from "../dependencies.ts";
import { answerOnce } from "../idempotency.ts";
import { originOf, sessionOf } from "../plugins/authentication.ts";
import { notFound, Problem } from "../problem.ts";
import { getSku, knownSku } from "../skus.ts";
import { changeStock } from "../stock-requests.ts";

const tags = ["inventory"];
const security = [{ accessToken: [] }];

type RouteApp = Parameters<FastifyPluginCallbackZod>[0];
type SettingDependencies = Pick<ApiDependencies, "db" | "temporal" | "queuePrefix">;

/** What is set of one SKU: its threshold, its barcode, how far it takes backorders. */
export function skuSettingRoutes(dependencies: SettingDependencies): FastifyPluginCallbackZod {
  return (app, _options, done) => {
    addSetThreshold(app, dependencies);
    addSetBarcode(app, dependencies);
    addSetBackorderFloor(app, dependencies);
    done();
  };
}

function addSetThreshold(app: RouteApp, dependencies: SettingDependencies): void {
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
      await getSku(db, tenantId, skuId);
      return await answerOnce(db, request, reply, productSchema, (effectId) =>
        withTenant(db, tenantId, async (transaction) => {
          const by = { userId, ...originOf(request) };
          const { threshold } = request.body;
          if (!(await fixThreshold(transaction, tenantId, skuId, threshold, effectId, by))) {
            throw notFound("product");
          }
          return knownSku(await findSku(transaction, skuId));
        }),
      );
    },
  );
}

function addSetBarcode(app: RouteApp, dependencies: SettingDependencies): void {
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
      await getSku(db, tenantId, skuId);
      return await answerOnce(db, request, reply, productSchema, async () => {
        const by = { userId, ...originOf(request) };
        const { barcode } = request.body;
        try {
          return await withTenant(db, tenantId, async (transaction) => {
            const outcome = await setBarcode(transaction, tenantId, skuId, barcode, by);
            if (outcome === "no_sku") throw notFound("product");
            if (outcome === "taken") throw barcodeTaken();
            return knownSku(await findSku(transaction, skuId));
          });
        } catch (error) {
          throw isBarcodeTaken(error) ? barcodeTaken() : error;
        }
      });
    },
  );
}

function addSetBackorderFloor(app: RouteApp, dependencies: SettingDependencies): void {
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
      await getSku(db, session.tenantId, skuId);
      return await answerOnce(db, request, reply, adjustAnswer, (effectId) =>
        changeStock(dependencies, session.tenantId, skuId, {
          kind: "set_backorder_floor",
          changeId: effectId,
          floor: request.body.floor,
          locationId: null,
        }),
      );
    },
  );
}

function barcodeTaken(): Problem {
  return new Problem("refused", "Another product has this barcode: scan it to see which.");
}
