import type { SkuId, TenantId } from "../domain/ids.ts";
import type { StockAnswer, StockOperation } from "../domain/stock/operation.ts";
import type { Database } from "./connection.ts";
import { isRefusedByDatabase } from "./failure.ts";
import { applyInTransaction } from "./stock.ts";
import { withTenant } from "./tenant.ts";

/**
 * What the stock would answer to these operations now. It is the real batch, constraints and all, taken back at its end, so a
 * trial and the real thing cannot differ by anything but the time between them.
 *
 * @throws what the driver throws when the database cannot be reached or gives up.
 */
export async function tryStockBatch(
  db: Database,
  tenantId: TenantId,
  skuId: SkuId,
  operations: readonly StockOperation[],
): Promise<readonly StockAnswer[]> {
  try {
    return await withTenant(db, tenantId, async (transaction) => {
      const { answers } = await applyInTransaction(transaction, tenantId, skuId, operations);
      throw new TakenBack(answers);
    });
  } catch (error) {
    if (error instanceof TakenBack) return error.answers;
    if (!isRefusedByDatabase(error)) throw error;
    if (operations.length <= 1) return operations.map(() => ({ outcome: "refused", reason: "poisoned" }));
    const middle = Math.ceil(operations.length / 2);
    return [
      ...(await tryStockBatch(db, tenantId, skuId, operations.slice(0, middle))),
      ...(await tryStockBatch(db, tenantId, skuId, operations.slice(middle))),
    ];
  }
}

class TakenBack extends Error {
  readonly answers: readonly StockAnswer[];

  constructor(answers: readonly StockAnswer[]) {
    super("A trial is taken back");
    this.answers = answers;
  }
}
