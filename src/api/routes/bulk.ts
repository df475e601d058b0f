import { createHash } from "node:crypto";
import { Readable } from "node:stream";
import { setTimeout as pause } from "node:timers/promises";
import type { FastifyPluginCallbackZod } from "fastify-type-provider-zod";
import { z } from "zod";
import { crashPoint } from "../../crash-points.ts";
import { appendAudit } from "../../db/audit-log.ts";
import {
  acceptBulk,
  beginBulk,
  dropStagedBulk,
  findSkusByCodes,
  listLocations,
  stageBulkRows,
} from "../../db/bulk-operations.ts";
import { findBulkOperation, listBulkItems } from "../../db/read-models/bulk-operations.ts";
import { findSku } from "../../db/read-models/inventory.ts";
import { type TenantTransaction, withTenant } from "../../db/tenant.ts";
import { asId, type SkuId } from "../../domain/ids.ts";
import { itemBody, knownBulk } from "../bulk-results.ts";
import { resolveRow } from "../bulk-rows.ts";
import { batchAnswer, batchBody, importAnswer, importQuery } from "../contract/bulk.ts";
import { idempotencyHeaders } from "../contract/common.ts";
import { problemResponse } from "../contract/problem.ts";
import type { ApiDependencies } from "../dependencies.ts";
import { answerOnce } from "../idempotency.ts";
import { stageImport } from "../import-staging.ts";
import { originOf, sessionOf } from "../plugins/authentication.ts";
import { Problem } from "../problem.ts";

const tags = ["bulk"];
const security = [{ accessToken: [] }];
const batchBytesMax = 2 * 1_024 * 1_024;
/** Milliseconds for which a batch's results are waited for; then its id is the answer. */
const batchAnswerMilliseconds = 10_000;
const lookAgainMilliseconds = 50;

type BulkDependencies = Pick<ApiDependencies, "db">;
type RouteApp = Parameters<FastifyPluginCallbackZod>[0];

/** Changes by the thousand: a batch in one request, or a CSV file. */
export function bulkRoutes(dependencies: BulkDependencies): FastifyPluginCallbackZod {
  return (app, _options, done) => {
    // The file is read by its route, as it comes in.
    app.addContentTypeParser("text/csv", (_request, file, parsed) => parsed(null, file));
    addBatch(app, dependencies);
    addImport(app, dependencies);
    done();
  };
}

function addBatch(app: RouteApp, { db }: BulkDependencies): void {
  app.post(
    "/api/inventory/batch",
    {
      bodyLimit: batchBytesMax,
      config: { permission: "inventory:bulk_update" },
      schema: {
        operationId: "adjustMany",
        tags,
        security,
        summary: "Change the stock of up to 1,000 SKUs",
        description:
          "Each item has its own result: what is refused leaves the others alone. Applied once under the request's key, whatever " +
          "happens in between. 202 means that not every item has its result yet: follow it at GET /api/bulk/{id}.",
        headers: idempotencyHeaders,
        body: batchBody,
        response: { 200: batchAnswer, 202: batchAnswer, default: problemResponse },
      },
    },
    async (request, reply) => {
      const { tenantId, userId } = sessionOf(request);
      const { items } = request.body;
      const contentHash = createHash("sha256").update(JSON.stringify(items)).digest();
      return await answerOnce(
        db,
        request,
        reply,
        batchAnswer,
        async (effectId) => {
          const bulkId = await withTenant(db, tenantId, async (transaction) => {
            const staged = await beginBulk(transaction, tenantId, {
              kind: "batch",
              dryRun: false,
              requestedBy: userId,
            });
            await stageBulkRows(transaction, tenantId, staged, await rowsOf(transaction, items));
            const rowCount = items.length;
            return await accept(transaction, request, staged, { effectId, contentHash, rowCount });
          });
          return await untilFinished({ db }, request, bulkId);
        },
        ({ state }) => (state === "finished" ? 200 : 202),
      );
    },
  );
}

type Items = z.output<typeof batchBody>["items"];

async function rowsOf(transaction: TenantTransaction, items: Items) {
  const codes = items.flatMap(({ sku }) => sku ?? []);
  const locations = await listLocations(transaction);
  const skus = await findSkusByCodes(transaction, codes, []);
  const ids = new Map<string, SkuId>();
  for (const id of new Set(items.flatMap(({ product_id }) => product_id ?? []))) {
    const sku = await findSku(transaction, asId<"Sku">(id));
    if (sku !== null) ids.set(id, asId<"Sku">(sku.id));
  }
  return items.map((item, index) => {
    const { sku = "", product_id = "", location_id = "", quantity, reason } = item;
    const cells = {
      ...{ sku: sku === "" ? product_id : sku, barcode: "", location: location_id, mode: "delta" },
      ...{ quantity: String(quantity), reason },
    };
    const byCode = sku === "" ? ids : skus.byCode;
    const names = { locations, skus: { byCode, byBarcode: skus.byBarcode } };
    return resolveRow({ rowNumber: index + 1, line: null, cells }, names);
  });
}

async function untilFinished(
  { db }: BulkDependencies,
  request: Parameters<typeof sessionOf>[0],
  bulkId: string,
): Promise<z.output<typeof batchAnswer>> {
  const { tenantId } = sessionOf(request);
  const deadline = performance.now() + batchAnswerMilliseconds;
  while (true) {
    const { operation, items } = await withTenant(db, tenantId, async (transaction) => {
      const found = knownBulk(await findBulkOperation(transaction, bulkId));
      const isTold = found.state === "finished" || performance.now() > deadline;
      const rows = isTold ? await listBulkItems(transaction, bulkId, undefined, found.rows, 0) : null;
      return { operation: found, items: rows };
    });
    if (items !== null) return { ...operation, bulk_id: bulkId, items: items.map(itemBody) };
    await pause(lookAgainMilliseconds);
  }
}

function addImport(app: RouteApp, { db }: BulkDependencies): void {
  app.post(
    "/api/inventory/import",
    {
      config: { permission: "inventory:bulk_update" },
      schema: {
        operationId: "importStock",
        tags,
        security,
        consumes: ["text/csv"],
        summary: "Change stock by a CSV file",
        description:
          "Columns: sku or barcode, quantity, reason; location (name or id) and mode (delta or count) may be left out. At most 50,000 " +
          "rows and 20 MB. The answer (202) names the operation; each row gets its own result, and what is wrong with one leaves the " +
          "others alone. The same file sent again with its key is applied once. With dry_run=true nothing is changed.",
        headers: idempotencyHeaders,
        querystring: importQuery,
        body: z.unknown().describe("The file"),
        response: { 202: importAnswer, default: problemResponse },
      },
    },
    async (request, reply) => {
      const session = sessionOf(request);
      const { body: file } = request;
      if (!(file instanceof Readable)) throw new Problem("unsupported-media-type", "Send text/csv.");
      const dryRun = request.query.dry_run === "true";
      let staged: string | null = null;
      try {
        const { rowCount, contentHash } = await stageImport(db, session, file, dryRun, (bulkId) => {
          staged = bulkId;
        });
        crashPoint("import: rows staged, not accepted");
        const named = {
          ...{ method: request.method, url: request.url, id: request.id, log: request.log },
          ...{ session: request.session, headers: request.headers },
          body: { dryRun, content: contentHash.toString("hex") },
        };
        void reply.code(202);
        return await answerOnce(db, named, reply, importAnswer, async (effectId) => {
          const bulkId = await withTenant(db, session.tenantId, (transaction) =>
            accept(transaction, request, staged ?? "", { effectId, contentHash, rowCount }),
          );
          return { bulk_id: bulkId, rows: rowCount, dry_run: dryRun };
        });
      } finally {
        // What the client still sends must go somewhere, or he never reads our answer.
        file.resume();
        await dropUnlessAccepted(db, request, staged);
      }
    },
  );
}

/** Rows that were staged in vain; who fails at that leaves them to the next import. */
async function dropUnlessAccepted(
  db: BulkDependencies["db"],
  request: Parameters<typeof sessionOf>[0] & { readonly log: { warn(fields: object, text: string): void } },
  bulkId: string | null,
): Promise<void> {
  if (bulkId === null) return;
  await withTenant(db, sessionOf(request).tenantId, (transaction) =>
    dropStagedBulk(transaction, bulkId),
  ).catch((error: unknown) => request.log.warn({ err: error, bulkId }, "Staged rows were not dropped"));
}

async function accept(
  transaction: TenantTransaction,
  request: Parameters<typeof sessionOf>[0] & Parameters<typeof originOf>[0],
  staged: string,
  operation: Parameters<typeof acceptBulk>[3],
): Promise<string> {
  const { tenantId, userId } = sessionOf(request);
  const accepted = await acceptBulk(transaction, tenantId, staged, operation);
  if (accepted === "other_content") {
    throw new Problem("idempotency-key-reused", "The key belongs to another file: take a new one.");
  }
  await appendAudit(transaction, tenantId, {
    eventType: "bulk_asked",
    userId,
    newValues: { bulk_id: accepted.bulkId, rows: operation.rowCount },
    ...originOf(request),
  });
  return accepted.bulkId;
}
