import closeWithGrace from "close-with-grace";
import { sql } from "kysely";
import { configOrExit, loadProcessConfig } from "../config.ts";
import { armCrashPoint } from "../crash-points.ts";
import { type Database, refusePrivilegedLogin } from "../db/connection.ts";
import { migrationNames } from "../db/migrate.ts";
import { readSystemFacts } from "../db/read-models/metrics.ts";
import { createLogger } from "../logger.ts";
import { createApiMetrics, mayReadMetrics } from "../metrics.ts";
import { lazyClient, temporalServer } from "../temporal.ts";
import { buildApp } from "./app.ts";
import { openApiDatabases } from "./databases.ts";

/** The API process: config → adapters → app → listen, drained on SIGTERM. */
const config = configOrExit(loadProcessConfig);
armCrashPoint(config.crashPoint);
const logger = createLogger({ level: config.logLevel, service: "api" });
const { url, poolSize } = config.database;
const { db, ingestDb, reportDb } = openApiDatabases(url, poolSize);
await refusePrivilegedLogin(db);

const server = temporalServer(config);
// Lazily: webhooks are taken in and numbers are shown while Temporal is away.
const temporal = lazyClient(server);
const app = await buildApp({
  db,
  ingestDb,
  temporal,
  queuePrefix: "",
  tiktokApp: config.tiktokShop.app,
  secretKey: config.secretKey,
  logger,
  publicUrl: config.api.publicUrl,
  temporalUiUrl: config.temporal.uiUrl,
  findPendingMigrations: () => findPendingMigrations(ingestDb),
  measuring: {
    metrics: createApiMetrics(() => readSystemFacts(reportDb)),
    mayRead: (caller) => mayReadMetrics(config.metrics.token, caller),
  },
});
await app.listen({ host: config.api.host, port: config.api.port });
logger.info({ host: config.api.host, port: config.api.port }, "api ready");

closeWithGrace({ delay: 4_900, logger }, async ({ err, signal }) => {
  logger.info({ err, signal }, "api stops");
  await app.close();
  await temporal.connection.close();
  await Promise.all([db.destroy(), ingestDb.destroy(), reportDb.destroy()]);
});

async function findPendingMigrations(database: Database): Promise<readonly string[]> {
  const { rows } = await sql<{ name: string }>`select name from kysely_migration`.execute(database);
  const applied = new Set(rows.map((row) => row.name));
  return migrationNames.filter((name) => !applied.has(name));
}
