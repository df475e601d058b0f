import type { FastifyPluginCallbackZod } from "fastify-type-provider-zod";
import { z } from "zod";
import { type BulkItemRow, findBulkOperation, listBulkItems } from "../../db/read-models/bulk-operations.ts";
import { withTenant } from "../../db/tenant.ts";
import { importColumns } from "../../domain/bulk/bulk-row.ts";
import { adviceFor, itemBody, knownBulk } from "../bulk-results.ts";
import { bulkItemsPage, bulkItemsQuery, bulkOperation } from "../contract/bulk.ts";
import { idParameters } from "../contract/common.ts";
import { problemResponse } from "../contract/problem.ts";
import { csvAnswer, csvLines, csvResponse } from "../csv.ts";
import { cutPage, readCursor } from "../cursor.ts";
import type { ApiDependencies } from "../dependencies.ts";
import { sessionOf } from "../plugins/authentication.ts";

const tags = ["bulk"];
const security = [{ accessToken: [] }];
const itemsCursor = z.tuple([z.number().int().min(1)]);
const refusedOfPage = 1_000;

type BulkDependencies = Pick<ApiDependencies, "db">;
type RouteApp = Parameters<FastifyPluginCallbackZod>[0];

/** What has become of imports and batches, and of their rows. */
export function bulkResultRoutes(dependencies: BulkDependencies): FastifyPluginCallbackZod {
  return (app, _options, done) => {
    addGetBulk(app, dependencies);
    addListItems(app, dependencies);
    addRefusedRows(app, dependencies);
    done();
  };
}

function addGetBulk(app: RouteApp, { db }: BulkDependencies): void {
  app.get(
    "/api/bulk/:id",
    {
      config: { permission: "inventory:read" },
      schema: {
        operationId: "getBulkOperation",
        tags,
        security,
        summary: "How far an import or a batch has come",
        description: "Finished when every row has its result.",
        params: idParameters,
        response: { 200: bulkOperation, default: problemResponse },
      },
    },
    async (request) =>
      await withTenant(db, sessionOf(request).tenantId, async (transaction) =>
        knownBulk(await findBulkOperation(transaction, request.params.id)),
      ),
  );
}

function addListItems(app: RouteApp, { db }: BulkDependencies): void {
  app.get(
    "/api/bulk/:id/items",
    {
      config: { permission: "inventory:read" },
      schema: {
        operationId: "listBulkItems",
        tags,
        security,
        summary: "The rows of an import or a batch with their results",
        description: "In the order of the file; `result=refused` for those that somebody must mend.",
        params: idParameters,
        querystring: bulkItemsQuery,
        response: { 200: bulkItemsPage, default: problemResponse },
      },
    },
    async (request) => {
      const { id } = request.params;
      const { result, limit, cursor } = request.query;
      const after = readCursor(cursor, itemsCursor)?.[0] ?? 0;
      const rows = await withTenant(db, sessionOf(request).tenantId, async (transaction) => {
        knownBulk(await findBulkOperation(transaction, id));
        return await listBulkItems(transaction, id, result, limit, after);
      });
      const { page, nextCursor } = cutPage(rows, limit, ({ row }) => [row]);
      return { items: page.map(itemBody), next_cursor: nextCursor };
    },
  );
}

function addRefusedRows(app: RouteApp, { db }: BulkDependencies): void {
  app.get(
    "/api/bulk/:id/refused",
    {
      config: { permission: "inventory:read" },
      schema: {
        operationId: "downloadRefusedRows",
        tags,
        security,
        summary: "The refused rows of an import or a batch as a CSV file",
        description: "The cells as they came, with the line, the problem and what to do about it.",
        params: idParameters,
        response: { 200: csvResponse, default: problemResponse },
      },
    },
    async (request, reply) => {
      const { tenantId } = sessionOf(request);
      const { id } = request.params;
      await withTenant(db, tenantId, async (transaction) =>
        knownBulk(await findBulkOperation(transaction, id)),
      );
      async function* lines(): AsyncGenerator<string, void, undefined> {
        yield csvLines([["line", ...importColumns, "problem", "what_to_do"]]);
        let after = 0;
        while (true) {
          const from = after;
          const rows = await withTenant(db, tenantId, (transaction) =>
            listBulkItems(transaction, id, "refused", refusedOfPage, from),
          );
          const page = rows.slice(0, refusedOfPage);
          if (page.length > 0) yield csvLines(page.map(refusedLine));
          if (rows.length <= refusedOfPage) return;
          after = page.at(-1)?.row ?? after;
        }
      }
      return csvAnswer(reply, "refused-rows.csv", lines());
    },
  );
}

function refusedLine(item: BulkItemRow): readonly (string | number | null)[] {
  const { line, row, given, problem } = item;
  return [line ?? row, ...importColumns.map((column) => given[column]), problem, adviceFor(problem)];
}
