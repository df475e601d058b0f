import { getPriority, setPriority } from "node:os";
import { DefaultLogger, Runtime } from "@temporalio/worker";
import closeWithGrace from "close-with-grace";
import { createActivities } from "./src/activities/index.ts";
import { createOffers } from "./src/activities/offer.ts";
import { configOrExit, loadProcessConfig } from "./src/config.ts";
import { armCrashPoint } from "./src/crash-points.ts";
import { createCircuitBreaker } from "./src/db/circuit-breakers.ts";
import { openDatabase, refusePrivilegedLogin } from "./src/db/connection.ts";
import { createRateBudget } from "./src/db/rate-buckets.ts";
import { createCredentialStore } from "./src/db/shop-credentials.ts";
import { findFreePort } from "./src/embedded/ports.ts";
import { takeInChangedOrders } from "./src/intake/changed-orders.ts";
import type { IntakeDependencies } from "./src/intake/dependencies.ts";
import { startDispatcher } from "./src/intake/dispatcher.ts";
import { createConsoleMailer, createConsoleTexter } from "./src/integrations/console/messages.ts";
import { createSmtpMailer } from "./src/integrations/smtp/mailer.ts";
import { createTiktokShop } from "./src/integrations/tiktok-shop/adapter.ts";
import { createTwilioTexter } from "./src/integrations/twilio/texter.ts";
import { createLogger } from "./src/logger.ts";
import { createWorkerMetrics, serveMetrics } from "./src/metrics.ts";
import { proofStatementMilliseconds, proveNightly } from "./src/proof/proof.ts";
import { closeLostStickyQueues } from "./src/sticky-queues.ts";
import { connectClient, connectNative, temporalServer } from "./src/temporal.ts";
import { bundleWorkflows, startWorkers } from "./src/workers.ts";

/**
 * On a full machine the worker steps back for all who answer it, and for the API above all: a webhook that is acknowledged
 * late comes again, and makes the machine fuller. Set first, since threads inherit it.
 */
const niceness = 7;
if (getPriority() < niceness) setPriority(niceness);

/** The worker process: config → adapters → activities → Workers and dispatcher, drained on SIGTERM. */
const config = configOrExit(loadProcessConfig);
armCrashPoint(config.crashPoint);
const logger = createLogger({ level: config.logLevel, service: "worker" });
// What Temporal's own parts have to say goes the way of all our logs.
// Temporal's core tells its figures on a port of its own, which only the page of this process asks.
const corePort = config.metrics.worker === null ? null : await findFreePort();
const metrics = corePort === null ? null : createWorkerMetrics(`http://127.0.0.1:${corePort}/metrics`);
Runtime.install({
  ...(corePort === null
    ? {}
    : { telemetryOptions: { metrics: { prometheus: { bindAddress: `127.0.0.1:${corePort}` } } } }),
  logger: new DefaultLogger("WARN", ({ level, message, meta }) => {
    logger[level === "WARN" ? "warn" : "error"]({ ...meta, origin: "temporal" }, message);
  }),
});
const { url, poolSize } = config.database;
const db = openDatabase({ url, role: "cf_app", poolSize });
const dispatcherDb = openDatabase({ url, role: "cf_dispatcher", poolSize });
const reportDb = openDatabase({
  url,
  role: "cf_report",
  poolSize: 1,
  statementTimeoutMilliseconds: proofStatementMilliseconds,
});
await refusePrivilegedLogin(db);

const server = temporalServer(config);
const queuePrefix = "";
const [client, connection, bundle] = await Promise.all([
  connectClient(server).then(async (client) => {
    await closeLostStickyQueues({ client, queuePrefix, logger });
    return client;
  }),
  connectNative(server),
  bundleWorkflows(),
]);
const channel = createTiktokShop({
  apiUrl: config.tiktokShop.apiUrl,
  authUrl: config.tiktokShop.authUrl,
  app: config.tiktokShop.app,
  credentials: createCredentialStore(db, config.secretKey),
  budget: createRateBudget(db),
  breaker: createCircuitBreaker(db, { pauseMilliseconds: config.breakerPauseMilliseconds }),
  logger,
});

/** What is left of the time to stop when the Workers have; a push that takes longer is begun anew by the next process. */
const pushesEndMilliseconds = 500;
const offers = createOffers({
  db,
  channel,
  client,
  queuePrefix,
  logger,
  pushConfirmed: (seconds) => metrics?.pushConfirmed(seconds),
});
const intake: IntakeDependencies = {
  db: dispatcherDb,
  channel,
  client,
  beginPush: offers.beginPush,
  secretKey: config.secretKey,
  logger,
  queuePrefix,
  timeScale: config.timeScale,
  orderSyncMilliseconds: config.orderSyncMilliseconds,
  inventorySyncMilliseconds: config.inventorySyncMilliseconds,
};
const { smtp, twilio } = config.alerts;
const workers = await startWorkers({
  connection,
  namespace: server.namespace,
  bundle,
  activities: createActivities(
    {
      db,
      channel,
      client,
      logger,
      alerting: {
        mailer: smtp === null ? createConsoleMailer(logger) : createSmtpMailer(smtp),
        texter: twilio === null ? createConsoleTexter(logger) : createTwilioTexter(twilio),
        secretKey: config.secretKey,
        engineeringEmail: config.alerts.engineeringEmail,
        lowStockAlerts: config.alerts.lowStock,
      },
      queuePrefix,
      prove: () => proveNightly({ db: reportDb, simulatorUrl: config.simulatorUrl, recordIn: dispatcherDb }),
      takeInChangedOrders: (shop, place) => takeInChangedOrders(intake, shop, place),
    },
    offers,
  ),
});
const dispatcher = startDispatcher(intake);
const metricsServer =
  config.metrics.worker === null || metrics === null
    ? null
    : await serveMetrics(metrics, { ...config.metrics.worker, token: config.metrics.token });
logger.info("worker ready");

const closing = closeWithGrace({ delay: 4_900, logger }, async ({ err, signal }) => {
  logger.info({ err, signal }, "worker stops");
  metricsServer?.close();
  await dispatcher.stop();
  await workers.stop();
  await offers.allEnded(pushesEndMilliseconds);
  await client.connection.close();
  await connection.close();
  await Promise.all([db.destroy(), dispatcherDb.destroy(), reportDb.destroy()]);
});
workers.ended.catch((error: unknown) => {
  logger.fatal({ err: error }, "A Worker has failed");
  closing.close();
});
