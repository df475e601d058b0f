import { Kysely, type Migration, Migrator, PostgresDialect, sql } from "kysely";
import pg from "pg";
import { up as foundation } from "./migrations/0001-foundation.ts";
import { up as stock } from "./migrations/0002-stock.ts";
import { up as orders } from "./migrations/0003-orders.ts";
import { up as secondPath } from "./migrations/0004-second-path.ts";
import { up as noWayBack } from "./migrations/0005-no-way-back.ts";
import { up as deliveriesByOrder } from "./migrations/0007-deliveries-by-order.ts";
import { up as proofRuns } from "./migrations/0008-proof-runs.ts";
import { up as boundedClaims } from "./migrations/0009-bounded-claims.ts";
import { up as comparisonsBySku } from "./migrations/0010-comparisons-by-sku.ts";
import { up as ledgerComplete } from "./migrations/0011-ledger-complete.ts";
import { up as alerts } from "./migrations/0012-alerts.ts";
import { up as adjusting } from "./migrations/0013-adjusting.ts";
import { up as channel } from "./migrations/0014-channel.ts";
import { up as corruption } from "./migrations/0015-corruption.ts";
import { up as size } from "./migrations/0016-size.ts";
import { up as pushesBegun } from "./migrations/0017-pushes-begun.ts";
import { up as shortagePolicy } from "./migrations/0018-shortage-policy.ts";
import { up as approvedKinds } from "./migrations/0019-approved-kinds.ts";
import { up as severalShops } from "./migrations/0020-several-shops.ts";
import { up as stoppedWithDebt } from "./migrations/0020-stopped-with-debt.ts";
import { up as stockNews } from "./migrations/0021-stock-news.ts";
import { up as handedOver } from "./migrations/0022-handed-over.ts";
import { up as keptForATime } from "./migrations/0023-kept-for-a-time.ts";
import { up as rankedAt } from "./migrations/0024-ranked-at.ts";
import { up as pushesMade } from "./migrations/0025-pushes-made.ts";
import { up as unreservedSales } from "./migrations/0026-unreserved-sales.ts";

/** Every migration, in order. Forward only: a mistake is mended by the next one. */
const migrations: Readonly<Record<string, Migration>> = {
  "0001-foundation": { up: foundation },
  "0002-stock": { up: stock },
  "0003-orders": { up: orders },
  "0004-second-path": { up: secondPath },
  "0005-no-way-back": { up: noWayBack },
  "0007-deliveries-by-order": { up: deliveriesByOrder },
  "0008-proof-runs": { up: proofRuns },
  "0009-bounded-claims": { up: boundedClaims },
  "0010-comparisons-by-sku": { up: comparisonsBySku },
  "0011-ledger-complete": { up: ledgerComplete },
  "0012-alerts": { up: alerts },
  "0013-adjusting": { up: adjusting },
  "0014-channel": { up: channel },
  "0015-corruption": { up: corruption },
  "0016-size": { up: size },
  "0017-pushes-begun": { up: pushesBegun },
  "0018-shortage-policy": { up: shortagePolicy },
  "0019-approved-kinds": { up: approvedKinds },
  "0020-several-shops": { up: severalShops },
  "0020-stopped-with-debt": { up: stoppedWithDebt },
  "0021-stock-news": { up: stockNews },
  "0022-handed-over": { up: handedOver },
  "0023-kept-for-a-time": { up: keptForATime },
  "0024-ranked-at": { up: rankedAt },
  "0025-pushes-made": { up: pushesMade },
  "0026-unreserved-sales": { up: unreservedSales },
};

/** Names of all migrations: what a database of this version has. */
export const migrationNames: readonly string[] = Object.keys(migrations);

export interface MigrationTarget {
  /** Login of the owner: may create roles and tables, is no superuser. */
  readonly migrationUrl: string;
  /** Login of the processes. Created when it does not exist, and made a member of the roles that they enter. */
  readonly url: string;
}

/**
 * Brings a database to the newest schema. Safe to run by many processes at once (the migrator locks) and again.
 *
 * @returns the names of the migrations that were applied now.
 */
export async function migrate(target: MigrationTarget): Promise<readonly string[]> {
  const db = new Kysely<unknown>({
    dialect: new PostgresDialect({ pool: new pg.Pool({ connectionString: target.migrationUrl, max: 1 }) }),
  });
  try {
    const migrator = new Migrator({
      db,
      provider: { getMigrations: () => Promise.resolve({ ...migrations }) },
    });
    const { error, results } = await migrator.migrateToLatest();
    const failed = results?.find((result) => result.status === "Error");
    if (error !== undefined) {
      throw new Error(`Migration ${failed?.migrationName ?? "(none)"} failed: ${describe(error)}`, {
        cause: error,
      });
    }
    await admitLogin(db, new URL(target.url));
    return (results ?? []).map((result) => result.migrationName);
  } finally {
    await db.destroy();
  }
}

async function admitLogin(db: Kysely<unknown>, url: URL): Promise<void> {
  const login = decodeURIComponent(url.username);
  const password = decodeURIComponent(url.password);
  if (login === "") throw new Error("DATABASE_URL names no user: the processes need a login of their own.");
  const { rows } = await sql<{ exists: boolean }>`
    select exists (select from pg_roles where rolname = ${login}) as exists`.execute(db);
  if (rows[0]?.exists !== true) {
    await sql`create role ${sql.id(login)} login noinherit nosuperuser nobypassrls password ${sql.lit(password)}`.execute(
      db,
    );
  }
  await sql`grant cf_app, cf_ingest, cf_dispatcher, cf_report to ${sql.id(login)} with set true, inherit false`.execute(
    db,
  );
}

function describe(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
