import { sql } from "kysely";
import { randomUUID } from "node:crypto";
import { asId } from "../domain/ids.ts";
import type { Database } from "./connection.ts";
import { appendToOutbox } from "./outbox.ts";
import { withTenant } from "./tenant.ts";

/** What a proof came to, in numbers. */
export interface ProofRun {
  readonly beganAt: Date;
  readonly clean: boolean;
  readonly violations: number;
  readonly underWay: number;
  readonly comparedWithChannel: boolean;
  readonly checks: readonly object[];
}

/**
 * Keeps the result for metrics and health, and has the SKUs whose numbers are wrong looked at under their lock, and stopped.
 *
 * @param db acts as `cf_dispatcher`.
 */
export async function recordProofRun(
  db: Database,
  run: ProofRun,
  corruptedSkus: readonly { readonly tenantId: string; readonly skuId: string }[],
): Promise<void> {
  // Our clock may be ahead of the database's, which says when it was finished.
  await sql`
    insert into proof_runs (began_at, clean, violations, under_way, compared_with_channel, checks)
    values (least(${run.beganAt.toISOString()}::timestamptz, clock_timestamp()), ${run.clean}, ${run.violations},
      ${run.underWay}, ${run.comparedWithChannel}, ${JSON.stringify(run.checks)})`.execute(db);
  const runId = randomUUID();
  for (const { tenantId, skuId } of corruptedSkus) {
    const tenant = asId<"Tenant">(tenantId);
    await withTenant(db, tenant, (transaction) =>
      appendToOutbox(transaction, tenant, [
        { kind: "check_stock", key: `${skuId}/${runId}`, payload: { skuId } },
      ]),
    );
  }
}
