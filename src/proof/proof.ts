import { sql, type Transaction } from "kysely";
import { setTimeout as wait } from "node:timers/promises";
import type { Database } from "../db/connection.ts";
import type { DB } from "../db/schema.generated.ts";
import { readChannelBooks } from "./channel-books.ts";
import { compareWithChannels } from "./compare-with-channel.ts";
import { type CheckResult, resultOf } from "./finding.ts";
import { type Invariant, invariants } from "./invariants.ts";

export interface ProofOptions {
  /** Acts as `cf_report`: sees every tenant, changes nothing. */
  readonly db: Database;
  /** Where a simulator's books can be read; null compares with no channel. */
  readonly simulatorUrl: string | null;
  /** Seconds to wait for what is under way; 0 looks once. */
  readonly settleSeconds: number;
  /** Acts as `cf_dispatcher`: where the result is kept for metrics and health. Without it nothing is written. */
  readonly recordIn?: Database;
}

export interface Proof {
  readonly checks: readonly CheckResult[];
  /** False when no channel's books could be read. */
  readonly comparedWithChannel: boolean;
  readonly clean: boolean;
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

/** Counts alone: what was found about whom is for who runs the proof. */
async function recordProof(db: Database, proof: Proof, beganAt: Date): Promise<void> {
  const sum = (kind: "violations" | "underWay") =>
    proof.checks.reduce((total, check) => total + check[kind].length, 0);
  const counts = proof.checks.map(({ check, examined, violations, underWay }) => ({
    check,
    examined,
    violations: violations.length,
    underWay: underWay.length,
  }));
  // Our clock may be ahead of the database's, which says when it was finished.
  await sql`
    insert into proof_runs (began_at, clean, violations, under_way, compared_with_channel, checks)
    values (least(${beganAt.toISOString()}::timestamptz, clock_timestamp()), ${proof.clean}, ${sum("violations")},
      ${sum("underWay")}, ${proof.comparedWithChannel}, ${JSON.stringify(counts)})`.execute(db);
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
      await sql`set local statement_timeout = '10min'`.execute(transaction);
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
  }>`${sql.raw(invariant.query)}`.execute(transaction);
  return resultOf(
    invariant.name,
    examined.rows[0]?.count ?? 0,
    rows.map((row) => ({
      subject: row.subject,
      delta: row.delta === null ? null : Number(row.delta),
      explanation: row.explanation,
      underWay: row.under_way,
    })),
  );
}
