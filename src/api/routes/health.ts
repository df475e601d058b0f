import type { FastifyPluginCallbackZod } from "fastify-type-provider-zod";
import { getInventoryFacts, pingDatabase } from "../../db/read-models/health.ts";
import { type ChannelHealth, getChannelHealth } from "../../db/read-models/shops.ts";
import { withTenant } from "../../db/tenant.ts";
import { inventoryHealth, livezAnswer, readyzAnswer } from "../contract/health.ts";
import { problemResponse } from "../contract/problem.ts";
import type { ApiDependencies } from "../dependencies.ts";
import { sessionOf } from "../plugins/authentication.ts";

const temporalAnswersWithinMilliseconds = 1_000;
const overdueSecondsHealthy = 60;
const overdueSecondsDegraded = 900;

type HealthDependencies = Pick<ApiDependencies, "db" | "ingestDb" | "temporal" | "findPendingMigrations"> & {
  readonly now: () => Date;
};

export function healthRoutes(dependencies: HealthDependencies): FastifyPluginCallbackZod {
  return (app, _options, done) => {
    addLivez(app);
    addReadyz(app, dependencies);
    addInventoryHealth(app, dependencies);
    done();
  };
}

type RouteApp = Parameters<FastifyPluginCallbackZod>[0];

function addLivez(app: RouteApp): void {
  app.get(
    "/livez",
    {
      config: { permission: "public" },
      schema: {
        operationId: "livez",
        tags: ["health"],
        summary: "The process runs",
        description: "Looks at nothing else.",
        response: { 200: livezAnswer, default: problemResponse },
      },
    },
    () => ({ status: "alive" as const }),
  );
}

function addReadyz(app: RouteApp, dependencies: HealthDependencies): void {
  app.get(
    "/readyz",
    {
      config: { permission: "public" },
      schema: {
        operationId: "readyz",
        tags: ["health"],
        summary: "Requests can be served",
        description: "The database is reachable and has every migration. 503 otherwise.",
        response: { 200: readyzAnswer, 503: readyzAnswer, default: problemResponse },
      },
    },
    async (_request, reply) => {
      const [database, temporal] = await Promise.all([
        findDatabaseState(dependencies),
        timeTemporal(dependencies),
      ]);
      const isReady = database.reachable && database.pending.length === 0;
      return reply.code(isReady ? 200 : 503).send({
        status: isReady ? "ready" : "not_ready",
        database: database.reachable ? "reachable" : "unreachable",
        pending_migrations: [...database.pending],
        temporal: temporal === null ? "unreachable" : "reachable",
      });
    },
  );
}

function addInventoryHealth(app: RouteApp, dependencies: HealthDependencies): void {
  const { db, ingestDb, now } = dependencies;
  app.get(
    "/api/health/inventory",
    {
      config: { permission: "inventory:read" },
      schema: {
        operationId: "inventoryHealth",
        tags: ["health"],
        summary: "How the seller's inventory is doing",
        description:
          "unhealthy: deliveries have waited for more than 15 minutes; degraded: for more than a minute, Temporal is away, TikTok Shop does not answer or let us act, or the last proof found something.",
        security: [{ accessToken: [] }],
        response: { 200: inventoryHealth, default: problemResponse },
      },
    },
    async (request) => {
      const began = performance.now();
      await pingDatabase(ingestDb);
      const databaseLatency = performance.now() - began;
      const [[facts, channel], temporalLatency] = await Promise.all([
        withTenant(
          db,
          sessionOf(request).tenantId,
          async (transaction) =>
            [await getInventoryFacts(transaction), await getChannelHealth(transaction)] as const,
        ),
        timeTemporal(dependencies),
      ]);
      const queue = queueStatus(facts.overdueSeconds);
      const tiktok = channelStatus(channel, facts.shopsWithoutAuthorisation);
      const isImpaired = temporalLatency === null || tiktok !== "healthy" || facts.lastProofClean === false;
      return {
        status: isImpaired && queue === "healthy" ? ("degraded" as const) : queue,
        timestamp: now().toISOString(),
        checks: {
          database: { status: "healthy" as const, latency: inMilliseconds(databaseLatency) },
          temporal: {
            status: temporalLatency === null ? ("unhealthy" as const) : ("healthy" as const),
            latency: temporalLatency === null ? null : inMilliseconds(temporalLatency),
          },
          tiktokAPI: {
            status: tiktok,
            latency:
              channel.latencyMilliseconds === null ? null : inMilliseconds(channel.latencyMilliseconds),
          },
          messageQueue: { status: queue, depth: facts.waitingDeliveries },
        },
        metrics: {
          syncedProducts: facts.syncedSkus,
          pendingJobs: facts.pendingJobs,
          lastSyncTime: facts.lastSyncAt,
          lastProofTime: facts.lastProofAt,
          lastProofClean: facts.lastProofClean,
        },
      };
    },
  );
}

/** From what the last calls came to; a shop that is spared or may not be acted for makes it unhealthy when all are. */
function channelStatus(
  { shops, shopsSpared }: ChannelHealth,
  shopsWithoutAuthorisation: number,
): "healthy" | "degraded" | "unhealthy" {
  if (shopsSpared === 0 && shopsWithoutAuthorisation === 0) return "healthy";
  return shopsSpared >= shops ? "unhealthy" : "degraded";
}

function queueStatus(overdueSeconds: number): "healthy" | "degraded" | "unhealthy" {
  if (overdueSeconds <= overdueSecondsHealthy) return "healthy";
  return overdueSeconds <= overdueSecondsDegraded ? "degraded" : "unhealthy";
}

function inMilliseconds(latency: number): string {
  return `${Math.ceil(latency)}ms`;
}

async function findDatabaseState({
  ingestDb,
  findPendingMigrations,
}: Pick<HealthDependencies, "ingestDb" | "findPendingMigrations">): Promise<{
  readonly reachable: boolean;
  readonly pending: readonly string[];
}> {
  try {
    await pingDatabase(ingestDb);
    return { reachable: true, pending: await findPendingMigrations() };
  } catch {
    return { reachable: false, pending: [] };
  }
}

/** Milliseconds that Temporal took to answer; null when it did not. */
async function timeTemporal({ temporal }: Pick<HealthDependencies, "temporal">): Promise<number | null> {
  const began = performance.now();
  try {
    await temporal.withDeadline(Date.now() + temporalAnswersWithinMilliseconds, () =>
      temporal.workflowService.getSystemInfo({}),
    );
    return performance.now() - began;
  } catch {
    return null;
  }
}
