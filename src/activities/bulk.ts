import pMap from "p-map";
import { crashPoint } from "../crash-points.ts";
import { type BulkPage, finishBulk, readBulkPage, recordBulkResults } from "../db/bulk-operations.ts";
import { tryStockBatch } from "../db/stock-trial.ts";
import { withTenant } from "../db/tenant.ts";
import { invariant } from "../domain/assert.ts";
import { operationOfRow, resultOfRow } from "../domain/bulk/bulk-operation.ts";
import type { TenantId } from "../domain/ids.ts";
import type { StockAnswer } from "../domain/stock/operation.ts";
import type { ActivityDependencies } from "./dependencies.ts";
import type { StockRequest } from "./order-report.ts";

/** Rows of a page, but for what a SKU has more: enough that their results are one statement, few enough to do again. */
const rowsOfPage = 1_000;
/** SKUs asked at once. Each is a start of its entity and a transaction; orders want the same Workers. */
const skusAtOnce = 24;
/** Trials are transactions of this process alone. */
const trialsAtOnce = 4;

export function createBulkActivities(
  { db }: Pick<ActivityDependencies, "db">,
  requestStock: (request: StockRequest) => Promise<readonly StockAnswer[]>,
) {
  async function answersOf(
    tenantId: TenantId,
    bulkId: string,
    { dryRun, requestedBy }: BulkPage,
    { skuId, rows }: BulkPage["skus"][number],
  ): Promise<readonly StockAnswer[]> {
    const operations = rows.map((row) => operationOfRow(bulkId, row, requestedBy));
    // All at once, so that they meet in one batch of the SKU, in their order.
    return dryRun
      ? await tryStockBatch(db, tenantId, skuId, operations)
      : await requestStock({ tenantId, operations: operations.map((operation) => ({ skuId, operation })) });
  }

  return {
    /**
     * Does the next rows of a bulk operation that have no result, SKU by SKU, and writes their results down. Done again it
     * gets the same answers.
     *
     * @returns `finished` when no row was left, which marks the operation so.
     */
    async workOffBulkPage({
      tenantId,
      bulkId,
    }: {
      readonly tenantId: TenantId;
      readonly bulkId: string;
    }): Promise<{ readonly rows: number; readonly finished: boolean }> {
      const page = await withTenant(db, tenantId, (transaction) =>
        readBulkPage(transaction, bulkId, rowsOfPage),
      );
      if (page.skus.length === 0) {
        crashPoint("bulk: every row done, not marked finished");
        await withTenant(db, tenantId, (transaction) => finishBulk(transaction, bulkId));
        return { rows: 0, finished: true };
      }
      crashPoint("bulk: page read, stock not asked");
      const results = await pMap(
        page.skus,
        async (sku) => {
          const answers = await answersOf(tenantId, bulkId, page, sku);
          return sku.rows.map(({ rowNumber }, index) => {
            const answer = answers[index];
            invariant(answer !== undefined, `row ${rowNumber} of ${bulkId} got no answer`);
            return { rowNumber, result: resultOfRow(answer) };
          });
        },
        { concurrency: page.dryRun ? trialsAtOnce : skusAtOnce },
      );
      crashPoint("bulk: stock answered, results not recorded");
      const flat = results.flat();
      await withTenant(db, tenantId, (transaction) => recordBulkResults(transaction, bulkId, flat));
      crashPoint("bulk: results recorded, not told");
      return { rows: flat.length, finished: false };
    },
  };
}
