import type { FastifyPluginCallbackZod } from "fastify-type-provider-zod";
import { z } from "zod";
import {
  countSkus,
  findSku,
  listLevels,
  listListings,
  listMovements,
  listSkus,
  type SkuRow,
} from "../../db/read-models/inventory.ts";
import { listLevelsAsOf } from "../../db/read-models/explain.ts";
import { withTenant } from "../../db/tenant.ts";
import { asId, type SkuId } from "../../domain/ids.ts";
import { idempotencyHeaders, idParameters } from "../contract/common.ts";
import {
  type AdjustBody,
  adjustAnswer,
  adjustBody,
  productDetail,
  productsPage,
  productsQuery,
  transactionsPage,
  transactionsQuery,
} from "../contract/inventory.ts";
import { largeChangeUnits, mayDo } from "../contract/permissions.ts";
import { problemResponse } from "../contract/problem.ts";
import { cutPage, readCursor } from "../cursor.ts";
import type { ApiDependencies } from "../dependencies.ts";
import { answerOnce } from "../idempotency.ts";
import type { Session } from "../auth/access-tokens.ts";
import { sessionOf } from "../plugins/authentication.ts";
import { notFound, Problem } from "../problem.ts";
import { stockRefused } from "../stock-refusals.ts";
import { askSku } from "../workflow-requests.ts";

const historyLength = 50;
const tags = ["inventory"];
const security = [{ accessToken: [] }];
const productsCursor = z.tuple([z.string().max(300), z.uuid()]);
const movementsCursor = z.tuple([z.number().int().min(1)]);

type InventoryDependencies = Pick<ApiDependencies, "db" | "temporal" | "queuePrefix">;

export function inventoryRoutes(dependencies: InventoryDependencies): FastifyPluginCallbackZod {
  return (app, _options, done) => {
    addListProducts(app, dependencies);
    addGetProduct(app, dependencies);
    addListTransactions(app, dependencies);
    addAdjustStock(app, dependencies);
    done();
  };
}

type RouteApp = Parameters<FastifyPluginCallbackZod>[0];

function addListProducts(app: RouteApp, { db }: InventoryDependencies): void {
  app.get(
    "/api/inventory/products",
    {
      config: { permission: "inventory:read" },
      schema: {
        operationId: "listProducts",
        tags,
        security,
        summary: "SKUs with their stock",
        description:
          "By name. Page through by number, or by cursor, which neither skips nor repeats when SKUs come and go.",
        querystring: productsQuery,
        response: { 200: productsPage, default: problemResponse },
      },
    },
    async (request) => {
      const { page, limit, cursor, ...filter } = request.query;
      const after = readCursor(cursor, productsCursor);
      const start = after === null ? (page - 1) * limit : { sortName: after[0], id: after[1] };
      const { rows, total } = await withTenant(db, sessionOf(request).tenantId, async (transaction) => ({
        rows: await listSkus(transaction, filter, { limit, start }),
        total: await countSkus(transaction, filter),
      }));
      const { page: products, nextCursor } = cutPage(rows, limit, (row) => [row.sort_name, row.id]);
      return { products: [...products], pagination: { page, limit, total, next_cursor: nextCursor } };
    },
  );
}

function addGetProduct(app: RouteApp, { db }: InventoryDependencies): void {
  app.get(
    "/api/inventory/products/:id",
    {
      config: { permission: "inventory:read" },
      schema: {
        operationId: "getProduct",
        tags,
        security,
        summary: "One SKU with its levels, listings and latest movements",
        description: "The numbers, the last 50 movements that made them, and where the SKU lies and is sold.",
        params: idParameters,
        response: { 200: productDetail, default: problemResponse },
      },
    },
    async (request) => {
      const skuId = asId<"Sku">(request.params.id);
      return await withTenant(db, sessionOf(request).tenantId, async (transaction) => {
        const sku = known(await findSku(transaction, skuId));
        const history = await listMovements(transaction, skuId, historyLength);
        return {
          ...sku,
          levels: await listLevels(transaction, skuId),
          listings: await listListings(transaction, skuId),
          history: history.slice(0, historyLength),
        };
      });
    },
  );
}

function addListTransactions(app: RouteApp, { db }: InventoryDependencies): void {
  app.get(
    "/api/inventory/products/:id/transactions",
    {
      config: { permission: "inventory:read" },
      schema: {
        operationId: "listTransactions",
        tags,
        security,
        summary: "The ledger of one SKU",
        description:
          "Every movement with its before, after, reason, reference and actor; newest first. With `as_of` also the stock as it was then.",
        params: idParameters,
        querystring: transactionsQuery,
        response: { 200: transactionsPage, default: problemResponse },
      },
    },
    async (request) => {
      const skuId = asId<"Sku">(request.params.id);
      const { limit, cursor, as_of: asOf } = request.query;
      const before = readCursor(cursor, movementsCursor);
      const { rows, levels } = await withTenant(db, sessionOf(request).tenantId, async (transaction) => {
        known(await findSku(transaction, skuId));
        return {
          rows: await listMovements(transaction, skuId, limit, {
            beforeSequence: before?.[0] ?? null,
            asOf: asOf ?? null,
          }),
          levels: asOf === undefined ? null : await listLevelsAsOf(transaction, skuId, asOf),
        };
      });
      const { page, nextCursor } = cutPage(rows, limit, (row) => [row.sequence]);
      return {
        transactions: [...page],
        levels_as_of: levels === null ? null : [...levels],
        next_cursor: nextCursor,
      };
    },
  );
}

function addAdjustStock(app: RouteApp, dependencies: InventoryDependencies): void {
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
          "Changes of more than 100 units need an admin. 503 means not answered in time: send the same again with the same key.",
        headers: idempotencyHeaders,
        params: idParameters,
        body: adjustBody,
        response: { 200: adjustAnswer, default: problemResponse },
      },
    },
    async (request, reply) => {
      const session = sessionOf(request);
      const skuId = asId<"Sku">(request.params.id);
      refuseLargeChange(session, request.body);
      await withTenant(db, session.tenantId, async (transaction) => known(await findSku(transaction, skuId)));
      return await answerOnce(db, request, reply, adjustAnswer, (effectId) =>
        adjust(dependencies, session, skuId, request.body, effectId),
      );
    },
  );
}

function known(sku: SkuRow | null): SkuRow {
  if (sku === null) throw notFound("product");
  return sku;
}

function refuseLargeChange({ role }: Session, { quantity }: AdjustBody): void {
  if (Math.abs(quantity) <= largeChangeUnits || mayDo(role, "inventory:write_large")) return;
  throw new Problem(
    "permission-denied",
    `Changes of more than ${largeChangeUnits} units need an admin: ask one of your admins to make this one.`,
  );
}

async function adjust(
  dependencies: InventoryDependencies,
  session: Session,
  skuId: SkuId,
  body: AdjustBody,
  adjustmentId: string,
): Promise<z.output<typeof adjustAnswer>> {
  const answer = await askSku(dependencies, session.tenantId, skuId, {
    kind: "adjust",
    adjustmentId,
    quantity: body.quantity,
    reason: body.reason,
    actorId: session.userId,
    locationId: body.location_id === undefined ? null : asId<"Location">(body.location_id),
  });
  if (answer.outcome === "adjusted") {
    return { success: true, new_stock_level: answer.onHand, available_stock: answer.available };
  }
  throw stockRefused(answer);
}
