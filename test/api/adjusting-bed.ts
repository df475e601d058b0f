import { randomUUID } from "node:crypto";
import type { InjectOptions, LightMyRequestResponse } from "fastify";
import { startDispatcher } from "../../src/intake/dispatcher.ts";
import { until } from "../support/until.ts";
import { type TestTemporal, testTemporal } from "../support/temporal.ts";
import { noChannel, silent, startTestWorkers } from "../support/workers.ts";
import { type ApiBed, type Seller, startApiBed } from "./api-bed.ts";

type Headers = Readonly<Record<string, string>>;

/** The API with its Workers and its dispatcher, for what people ask of it and workflows carry out. */
export interface AdjustingBed {
  readonly bed: ApiBed;
  readonly temporal: TestTemporal;
  ask(method: "GET" | "POST" | "PUT", url: string, as: Headers, payload?: object, key?: string): AskAnswer;
  importCsv(as: Headers, text: string, options?: { key?: string; dryRun?: boolean }): AskAnswer;
  /** Waits until every row of an operation has its result. */
  finished(as: Headers, bulkId: string): Promise<BulkStatus>;
  refused(as: Headers, bulkId: string): Promise<readonly BulkItem[]>;
  stockOf(skuId: string): Promise<{ on_hand: number; movements: number }>;
  close(): Promise<void>;
}

type AskAnswer = Promise<LightMyRequestResponse>;
export interface BulkStatus {
  readonly state: string;
  readonly rows: number;
  readonly applied: number;
  readonly refused: number;
  readonly waiting: number;
}
export interface BulkItem {
  readonly row: number;
  readonly line: number | null;
  readonly result: string;
  readonly problem: string | null;
  readonly detail: string | null;
}

export async function startAdjustingBed(): Promise<AdjustingBed> {
  const temporal = await testTemporal();
  const bed = await startApiBed({ temporal: temporal.client, queuePrefix: temporal.taskQueuePrefix });
  const workers = await startTestWorkers(temporal, bed.db, noChannel);
  const dispatcher = startDispatcher({
    db: bed.dispatcherDb,
    channel: noChannel,
    client: temporal.client,
    secretKey: bed.secretKey,
    logger: silent,
    queuePrefix: temporal.taskQueuePrefix,
    timeScale: 1,
    orderSyncMilliseconds: 3_600_000,
    inventorySyncMilliseconds: 3_600_000,
  });
  const ask: AdjustingBed["ask"] = (method, url, as, payload, key = randomUUID()) => {
    const request: InjectOptions = { method, url, headers: { "idempotency-key": key, ...as } };
    return bed.app.inject(payload === undefined ? request : { ...request, payload });
  };
  return {
    bed,
    temporal,
    ask,
    importCsv: (as, text, { key = randomUUID(), dryRun = false } = {}) =>
      bed.app.inject({
        method: "POST",
        url: `/api/inventory/import?dry_run=${dryRun}`,
        headers: { ...as, "idempotency-key": key, "content-type": "text/csv" },
        payload: text,
      }),
    finished: (as, bulkId) =>
      until(
        "every row has its result",
        async () => {
          const status = (await ask("GET", `/api/bulk/${bulkId}`, as)).json<BulkStatus>();
          return status.state === "finished" ? status : null;
        },
        { seconds: 90 },
      ),
    refused: async (as, bulkId) => {
      const answer = await ask("GET", `/api/bulk/${bulkId}/items?result=refused&limit=200`, as);
      return answer.json<{ items: BulkItem[] }>().items;
    },
    stockOf: async (skuId) => {
      const { rows } = await bed.superuser.query<{ on_hand: number; movements: number }>(
        `select (select sum(current_stock)::integer from stock_levels where sku_id = $1) as on_hand,
           (select count(*)::integer from inventory_transactions where sku_id = $1 and kind = 'adjust') as movements`,
        [skuId],
      );
      return rows[0]!;
    },
    close: async () => {
      await dispatcher.stop();
      await workers.stop();
      await bed.close();
      await temporal.close();
    },
  };
}

export interface People {
  readonly seller: Seller;
  readonly admin: Headers;
  readonly creator: Headers;
}

/** A seller with an admin and a creator who are signed in. */
export async function addPeople(bed: ApiBed): Promise<People> {
  const seller = await bed.addSeller();
  return { seller, admin: await bed.signIn(seller, "admin"), creator: await bed.signIn(seller, "creator") };
}
