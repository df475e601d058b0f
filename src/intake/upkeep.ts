import { sql } from "kysely";
import { sealAuditRows, sealMaximum } from "../db/audit-seals.ts";
import { queueExpiredHolds } from "../db/holds.ts";
import { handedOverMaximum, markHandedOver } from "../db/our-numbers.ts";
import { forgetSettled, forgottenMaximum, retainedTables } from "../db/retention.ts";
import { listTenants } from "../db/shops.ts";
import { listSuspectSkus, stopIfCorrupt } from "../db/stock-corruption.ts";
import { withTenant } from "../db/tenant.ts";
import type { SkuId, TenantId } from "../domain/ids.ts";
import type { IntakeDependencies } from "./dependencies.ts";

/** Months for which the ledger has partitions before they begin. A month without one would refuse every movement. */
const monthsAhead = 12;

type UpkeepDependencies = Pick<IntakeDependencies, "db" | "logger">;

/**
 * Makes the ledger's partitions of the months to come.
 *
 * @returns how many were made.
 */
export async function keepPartitions({ db, logger }: UpkeepDependencies): Promise<number> {
  const { rows } = await sql<{ made: number }>`select keep_ledger_partitions(${monthsAhead}) as made`.execute(
    db,
  );
  const made = rows[0]?.made ?? 0;
  if (made > 0) logger.info({ made }, "Partitions of the ledger were made ahead");
  return made;
}

/**
 * Seals what was added to each seller's audit log. The newest link goes into the log as well: a copy that is kept away from
 * the database tells if the chain was ever cut short.
 *
 * @returns how many rows were sealed in a full pass; 0 when nothing is left.
 */
export async function sealAuditLogs({ db, logger }: UpkeepDependencies): Promise<number> {
  let left = 0;
  for (const tenantId of await listTenants(db)) {
    const { sealed, newest } = await withTenant(db, tenantId, (transaction) =>
      sealAuditRows(transaction, tenantId),
    );
    if (newest !== null) logger.info({ tenantId, sealed, ...newest }, "Audit rows were sealed");
    if (sealed === sealMaximum) left += sealed;
  }
  return left;
}

/**
 * Marks what carriers have fetched, so that comparing with the channel costs no more with every unit that was ever shipped.
 *
 * @returns how many were marked in full passes; 0 when nothing is left.
 */
export async function sweepHandedOver({ db }: UpkeepDependencies): Promise<number> {
  let left = 0;
  for (const tenantId of await listTenants(db)) {
    const marked = await withTenant(db, tenantId, markHandedOver);
    if (marked === handedOverMaximum) left += marked;
  }
  return left;
}

/**
 * Forgets what only told how something went and was kept for long enough.
 *
 * @returns how many rows were forgotten in full passes; 0 when nothing is left.
 */
export async function sweepSettled({ db }: UpkeepDependencies): Promise<number> {
  let left = 0;
  for (const tenantId of await listTenants(db)) {
    for (const table of retainedTables) {
      const forgotten = await withTenant(db, tenantId, (transaction) => forgetSettled(transaction, table));
      if (forgotten === forgottenMaximum) left += forgotten;
    }
  }
  return left;
}

/**
 * Has holds released whose time is over and whose workflow has not done it: Temporal was away, or has lost it.
 *
 * @returns how many there were.
 */
export async function sweepExpiredHolds({ db }: UpkeepDependencies): Promise<number> {
  let queued = 0;
  for (const tenantId of await listTenants(db)) {
    queued += await withTenant(db, tenantId, queueExpiredHolds);
  }
  return queued;
}

/** Stops a SKU whose numbers do not agree with its ledger; one that agrees is left alone. */
export async function stopCorruptSku(
  { db, logger }: UpkeepDependencies,
  tenantId: TenantId,
  skuId: SkuId,
): Promise<boolean> {
  const reason = await withTenant(db, tenantId, (transaction) => stopIfCorrupt(transaction, tenantId, skuId));
  if (reason !== null)
    logger.error({ tenantId, skuId, reason }, "A SKU's numbers were corrupted: it is stopped");
  return reason !== null;
}

/**
 * Has every level compared with its last movement: what somebody has changed past the ledger sells for minutes at most,
 * not until the next proof.
 *
 * @returns how many SKUs were stopped.
 */
export async function sweepCorruptStock(dependencies: UpkeepDependencies): Promise<number> {
  let stopped = 0;
  for (const tenantId of await listTenants(dependencies.db)) {
    for (const skuId of await withTenant(dependencies.db, tenantId, listSuspectSkus)) {
      if (await stopCorruptSku(dependencies, tenantId, skuId)) stopped += 1;
    }
  }
  return stopped;
}
