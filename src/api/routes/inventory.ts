import type { FastifyPluginCallbackZod } from "fastify-type-provider-zod";
import { z } from "zod";
import {
  findSku,
  findSkuByBarcode,
  listLevels,
  listLevelsAsOf,
  listListings,
  listMovements,
  listSkus,
} from "../../db/read-models/inventory.ts";
import { withTenant, withTenantSnapshot } from "../../db/tenant.ts";
import { asId } from "../../domain/ids.ts";
import { idParameters } from "../contract/common.ts";
import {
  barcodeParameters,
  exportQuery,
  productDetail,
  productSchema,
  productsPage,
  productsQuery,
  transactionsPage,
  transactionsQuery,
} from "../contract/inventory.ts";
import { problemResponse } from "../contract/problem.ts";
import { cutPage, readCursor } from "../cursor.ts";
import type { ApiDependencies } from "../dependencies.ts";
import { sessionOf } from "../plugins/authentication.ts";
import { csvResponse, csvAnswer } from "../csv.ts";
import { etagOf } from "../etag.ts";
import { knownSku } from "../skus.ts";
import { exportStock } from "../stock-export.ts";

const historyLength = 50;
const tags = ["inventory"];
const security = [{ accessToken: [] }];
const productsCursor = z.tuple([z.string().max(300), z.uuid()]);
const movementsCursor = z.tuple([z.number().int().min(1)]);

type InventoryDependencies = Pick<ApiDependencies, "db">;

/** Reading the stock. */
export function inventoryRoutes(dependencies: InventoryDependencies): FastifyPluginCallbackZod {
  return (app, _options, done) => {
    addListProducts(app, dependencies);
    addGetProduct(app, dependencies);
    addListTransactions(app, dependencies);
    addScan(app, dependencies);
    addExport(app, dependencies);
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
      const { rows, total } = await withTenant(db, sessionOf(request).tenantId, (transaction) =>
        listSkus(transaction, filter, { limit, start }),
      );
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
    async (request, reply) => {
      const skuId = asId<"Sku">(request.params.id);
      return await withTenantSnapshot(db, sessionOf(request).tenantId, async (transaction) => {
        const sku = knownSku(await findSku(transaction, skuId));
        const history = await listMovements(transaction, skuId, historyLength);
        const levels = await listLevels(transaction, skuId);
        // Of a SKU at one location it is the etag of that level.
        void reply.header("etag", `"${levels.map(({ version }) => version).join(".")}"`);
        return {
          ...sku,
          levels: levels.map((level) => ({ ...level, etag: etagOf(level) })),
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
      const { rows, levels } = await withTenantSnapshot(
        db,
        sessionOf(request).tenantId,
        async (transaction) => {
          knownSku(await findSku(transaction, skuId));
          return {
            rows: await listMovements(transaction, skuId, limit, {
              beforeSequence: before?.[0] ?? null,
              asOf: asOf ?? null,
            }),
            levels: asOf === undefined ? null : await listLevelsAsOf(transaction, skuId, asOf),
          };
        },
      );
      const { page, nextCursor } = cutPage(rows, limit, (row) => [row.sequence]);
      return {
        transactions: [...page],
        levels_as_of: levels === null ? null : [...levels],
        next_cursor: nextCursor,
      };
    },
  );
}

function addScan(app: RouteApp, { db }: InventoryDependencies): void {
  app.get(
    "/api/inventory/barcodes/:barcode",
    {
      config: { permission: "inventory:read" },
      schema: {
        operationId: "scanBarcode",
        tags,
        security,
        summary: "The SKU that a scanner has read",
        description: "By its barcode, or by its code when no barcode is the same.",
        params: barcodeParameters,
        response: { 200: productSchema, default: problemResponse },
      },
    },
    async (request) =>
      await withTenant(db, sessionOf(request).tenantId, async (transaction) =>
        knownSku(await findSkuByBarcode(transaction, request.params.barcode)),
      ),
  );
}

function addExport(app: RouteApp, { db }: InventoryDependencies): void {
  app.get(
    "/api/inventory/export",
    {
      config: { permission: "inventory:read" },
      schema: {
        operationId: "exportStock",
        tags,
        security,
        summary: "The stock as a CSV file",
        description:
          "A line for each SKU at each location, by name, read page by page while it is sent: it is no picture of one moment. " +
          "Text that a spreadsheet would take for a formula gets an apostrophe.",
        querystring: exportQuery,
        response: { 200: csvResponse, default: problemResponse },
      },
    },
    (request, reply) =>
      csvAnswer(reply, "stock.csv", exportStock(db, sessionOf(request).tenantId, request.query)),
  );
}
