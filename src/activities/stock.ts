import { LRUCache } from "lru-cache";
import { createCoalescer } from "../coalescer.ts";
import { crashPoint } from "../crash-points.ts";
import type { PushAsked } from "../db/outbox.ts";
import { applyStockBatch as applyInDatabase, type StockBatchOutcome } from "../db/stock.ts";
import type { SkuId, TenantId } from "../domain/ids.ts";
import type { StockAnswer, StockOperation } from "../domain/stock/operation.ts";
import { askEntity } from "../sku-entity.ts";
import { entityIdleMilliseconds, type SkuInput } from "../workflows/messages.ts";
import type { ActivityDependencies } from "./dependencies.ts";
import type { StockRequest } from "./order-report.ts";

const operationsPerUpdateMaximum = 1_000;
const updateBytesMaximum = 256 * 1024;
/**
 * Entities that this process asks at the same time. In a rush of many SKUs what more is asked would wait at Temporal, each wish by
 * itself; here the wishes of a SKU become one update.
 */
const updatesUnderWayMaximum = 64;
/** SKUs of which is remembered that they were asked; one that falls out only has its entity started once more. */
const rememberedMaximum = 10_000;

/** What the entity learns of a batch. */
interface AppliedBatch extends Pick<StockBatchOutcome, "answers" | "queueRemains"> {
  /** Told by earlier versions, which left the push to the entity. */
  readonly offerChanged?: boolean;
  readonly pushCauses?: readonly string[];
}

/** @param beginPush begins to push what a batch has changed (`createOffers`); without it all pushes wait for their messages. */
export function createStockActivities(
  { db, client, logger, queuePrefix }: Pick<ActivityDependencies, "db" | "client" | "logger" | "queuePrefix">,
  beginPush?: (tenantId: TenantId, skuId: SkuId, asked: readonly PushAsked[]) => boolean,
) {
  const askedLately = new LRUCache<string, true>({ max: rememberedMaximum, ttl: entityIdleMilliseconds });
  const ask = createCoalescer<{ tenantId: TenantId; operation: StockOperation }, StockAnswer>({
    itemsMaximum: operationsPerUpdateMaximum,
    sizeMaximum: updateBytesMaximum,
    sizeOf: ({ operation }) => JSON.stringify(operation).length,
    lingerMilliseconds: 3,
    callsInAllMaximum: updatesUnderWayMaximum,
    // A SKU belongs to one tenant, so all items of one key agree on it.
    send: async (key, items) => {
      const [first] = items;
      if (first === undefined) return [];
      const input: SkuInput = {
        tenantId: first.tenantId,
        skuId: key as SkuId,
        ...(queuePrefix === "" ? {} : { queuePrefix }),
        // After a lone request the idle time is a timer and a second task for nothing.
        ...(items.length === 1 && !askedLately.has(key) ? { endsAtOnce: true } : {}),
      };
      askedLately.set(key, true);
      crashPoint("stock: request gathered, entity not asked");
      const answers = await askEntity(
        client,
        input,
        items.map(({ operation }) => operation),
      );
      crashPoint("stock: entity answered, order not told");
      return answers;
    },
  });

  const underWay = new Map<string, Promise<StockAnswer>>();

  /** An order that has given up waiting and asks again joins its own question: in a rush of many SKUs nearly all do. */
  function askOnce(tenantId: TenantId, skuId: SkuId, operation: StockOperation): Promise<StockAnswer> {
    const question = `${skuId} ${JSON.stringify(operation)}`;
    const known = underWay.get(question);
    if (known !== undefined) return known;
    const answer = ask(skuId, { tenantId, operation }).finally(() => underWay.delete(question));
    underWay.set(question, answer);
    return answer;
  }

  /** Asks the entities of the SKUs; one answer for each operation, in their order. May be asked again. */
  const requestStock = async ({ tenantId, operations }: StockRequest): Promise<readonly StockAnswer[]> =>
    await Promise.all(operations.map(({ skuId, operation }) => askOnce(tenantId, skuId, operation)));

  return {
    requestStock,

    /** Applies a batch of one SKU in one transaction, and begins to push what it has changed; called by the SKU's entity alone. */
    async applyStockBatch(batch: {
      readonly tenantId: TenantId;
      readonly skuId: SkuId;
      readonly operations: readonly StockOperation[];
    }): Promise<AppliedBatch> {
      crashPoint("stock: batch asked for, not begun");
      const { tenantId, skuId, operations } = batch;
      const { answers, queueRemains, pushes, poisoned } = await applyInDatabase(
        db,
        tenantId,
        skuId,
        operations,
      );
      crashPoint("stock: batch committed, not answered");
      beginPush?.(tenantId, skuId, pushes);
      for (const each of poisoned) {
        logger.error({ skuId, ...each }, "The database refused a stock operation that stood alone");
      }
      return { answers, queueRemains };
    },
  };
}
