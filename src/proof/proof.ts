import { sql, type Transaction } from "kysely";
import { setTimeout as wait } from "node:timers/promises";
import type { Database } from "../db/connection.ts";
import { recordProofRun } from "../db/proof-runs.ts";
import type { DB } from "../db/schema.generated.ts";
import { readChannelBooks } from "./channel-books.ts";
import { compareWithChannels } from "./compare-with-channel.ts";
import { type CheckResult, type Finding, resultOf } from "./finding.ts";
import type { Invariant } from "./invariant.ts";
import { invariants } from "./invariants.ts";

export interface ProofOptions {
  /** Acts as `cf_report`: sees every tenant, changes nothing. */
  readonly db: Database;
  /** Where a simulator's books can be read; null compares with no channel. */
  readonly simulatorUrl: string | null;
  /** Seconds to wait for what is under way; 0 looks once. */
  readonly settleSeconds: number;
  /**
   * Acts as `cf_dispatcher`: where the result is kept for metrics and health, and where SKUs with wrong numbers are handed to
   * the worker to be stopped. Without it nothing is written.
   */
  readonly recordIn?: Database;
}

export interface Proof {
  readonly checks: readonly CheckResult[];
  /** False when no channel's books could be read. */
  readonly comparedWithChannel: boolean;
  readonly clean: boolean;
}

/** Of one check; the connections that a proof is given must allow as much. */
export const proofStatementMilliseconds = 600_000;

/** A night's proof waits this long for what is under way. */
const nightlySettleSeconds = 60;

/** The proof as the worker makes it: with its result recorded, and told in numbers. */
export async function proveNightly(options: Omit<ProofOptions, "settleSeconds"> & Partial<ProofOptions>) {
  const proof = await prove({ settleSeconds: nightlySettleSeconds, ...options });
  return {
    clean: proof.clean,
    comparedWithChannel: proof.comparedWithChannel,
    checks: countsOf(proof),
    corruptedSkus: corruptedSkusOf(proof).length,
  };
}

function countsOf({ checks }: Proof) {
  return checks.map(({ check, examined, violations, underWay }) => ({
    check,
    examined,
    violations: violations.length,
    underWay: underWay.length,
  }));
}

const settlePauseMilliseconds = 1_000;

/**
 * Checks everything that must hold, from outside: in SQL, in one snapshot of the database, and against the channel's own
 * books. With time to settle it looks again until nothing is under way any more, or the time is over.
 */
export async function prove(options: ProofOptions): Promise<Proof> {
  const deadline = Date.now() + options.settleSeconds * 1_000;
  while (true) {
    const beganAt = new Date();
    const proof = await proveOnce(options);
    const unsettled = !proof.clean || proof.checks.some((check) => check.underWay.length > 0);
    if (!unsettled || Date.now() >= deadline) {
      if (options.recordIn !== undefined) await recordProof(options.recordIn, proof, beganAt);
      return proof;
    }
    await wait(settlePauseMilliseconds);
  }
}

/** Counts alone: what was found about whom is for who runs the proof. SKUs whose numbers are wrong are handed on. */
async function recordProof(db: Database, proof: Proof, beganAt: Date): Promise<void> {
  const checks = countsOf(proof);
  const sum = (kind: "violations" | "underWay") => checks.reduce((total, check) => total + check[kind], 0);
  await recordProofRun(
    db,
    {
      beganAt,
      clean: proof.clean,
      violations: sum("violations"),
      underWay: sum("underWay"),
      comparedWithChannel: proof.comparedWithChannel,
      checks,
    },
    corruptedSkusOf(proof),
  );
}

/** The SKUs whose numbers are wrong, each once. */
function corruptedSkusOf({ checks }: Proof): readonly NonNullable<Finding["corruptedSku"]>[] {
  const found = checks.flatMap(({ violations }) => violations.flatMap((each) => each.corruptedSku ?? []));
  return [...new Map(found.map((sku) => [sku.skuId, sku])).values()];
}

async function proveOnce({ db, simulatorUrl }: ProofOptions): Promise<Proof> {
  // Their books first: what they know by then, and has had its time to travel, must be in our snapshot.
  const books = simulatorUrl === null ? null : await readChannelBooks(simulatorUrl);
  const readAt = new Date();
  const checks = await db
    .transaction()
    .setIsolationLevel("repeatable read")
    .setAccessMode("read only")
    .execute(async (transaction) => {
      await sql`set local statement_timeout = ${sql.lit(proofStatementMilliseconds)}`.execute(transaction);
      const results: CheckResult[] = [];
      for (const invariant of invariants) results.push(await check(transaction, invariant));
      if (books !== null) results.push(...(await compareWithChannels(transaction, books, readAt)));
      return results;
    });
  return {
    checks,
    comparedWithChannel: books !== null,
    clean: checks.every((result) => result.violations.length === 0),
  };
}

async function check(transaction: Transaction<DB>, invariant: Invariant): Promise<CheckResult> {
  const examined = await sql<{ count: number }>`${sql.raw(invariant.examined)}`.execute(transaction);
  const { rows } = await sql<{
    subject: string;
    delta: number | string | null;
    explanation: string;
    under_way: boolean;
    tenant_id?: string;
    sku_id?: string;
  }>`${sql.raw(invariant.query)}`.execute(transaction);
  return resultOf(
    invariant.name,
    examined.rows[0]?.count ?? 0,
    rows.map((row) => ({
      subject: row.subject,
      delta: row.delta === null ? null : Number(row.delta),
      explanation: row.explanation,
      underWay: row.under_way,
      ...(row.tenant_id === undefined || row.sku_id === undefined
        ? {}
        : { corruptedSku: { tenantId: row.tenant_id, skuId: row.sku_id } }),
    })),
  );
}
