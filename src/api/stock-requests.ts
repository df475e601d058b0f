import type { z } from "zod";
import type { SkuId, TenantId } from "../domain/ids.ts";
import type { StockAnswer, StockOperation } from "../domain/stock/operation.ts";
import type { adjustAnswer } from "./contract/inventory.ts";
import type { ApiDependencies } from "./dependencies.ts";
import { Problem } from "./problem.ts";
import { stockRefusals, stockRefused } from "./stock-refusals.ts";
import { askSku } from "./workflow-requests.ts";

/** The numbers that a change by hand has left. */
type ChangedStock = z.output<typeof adjustAnswer>;

/**
 * Has the SKU's entity apply a change by hand.
 *
 * @throws Problem when the stock has refused.
 */
export async function changeStock(
  dependencies: Pick<ApiDependencies, "temporal" | "queuePrefix">,
  tenantId: TenantId,
  skuId: SkuId,
  operation: StockOperation,
): Promise<ChangedStock> {
  return changedBy(await askSku(dependencies, tenantId, skuId, operation));
}

/** @throws Problem when the stock has refused. */
export function changedBy(answer: StockAnswer): ChangedStock {
  if (answer.outcome === "adjusted") {
    return { success: true, new_stock_level: answer.onHand, available_stock: answer.available };
  }
  if (answer.outcome === "refused" && answer.reason === "version_changed") throw hasChanged();
  throw stockRefused(answer);
}

export function hasChanged(): Problem {
  return new Problem("precondition-failed", stockRefusals.version_changed);
}
