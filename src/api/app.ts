import cookie from "@fastify/cookie";
import helmet from "@fastify/helmet";
import fastify, {
  type FastifyBaseLogger,
  type FastifyInstance,
  type FastifyReply,
  type FastifyRequest,
  LogController,
} from "fastify";
import { serializerCompiler, validatorCompiler } from "fastify-type-provider-zod";
import { randomUUID } from "node:crypto";
import { AccessTokens } from "./auth/access-tokens.ts";
import { type ApiDependencies, rateLimitsDefault } from "./dependencies.ts";
import { requirePermissions } from "./plugins/authentication.ts";
import { describeRoutes, serveDocumentation } from "./plugins/documentation.ts";
import { limitRequests } from "./plugins/limits.ts";
import { answerWithProblems, sendProblem } from "./plugins/problems.ts";
import { alertRoutes } from "./routes/alerts.ts";
import { approvalRoutes } from "./routes/approvals.ts";
import { authRoutes } from "./routes/auth.ts";
import { bulkRoutes } from "./routes/bulk.ts";
import { bulkResultRoutes } from "./routes/bulk-results.ts";
import { channelRoutes } from "./routes/channel.ts";
import { driftRoutes } from "./routes/drifts.ts";
import { deliveryRoutes } from "./routes/deliveries.ts";
import { healthRoutes } from "./routes/health.ts";
import { explainRoutes } from "./routes/explain.ts";
import { holdRoutes } from "./routes/holds.ts";
import { inventoryRoutes } from "./routes/inventory.ts";
import { measureRequests, serveMetrics } from "./routes/metrics.ts";
import { notificationRoutes } from "./routes/notifications.ts";
import { orderCommandRoutes } from "./routes/order-commands.ts";
import { orderRoutes } from "./routes/orders.ts";
import { settingRoutes } from "./routes/settings.ts";
import { shopRoutes } from "./routes/shops.ts";
import { skuSettingRoutes } from "./routes/sku-settings.ts";
import { stockChangeRoutes } from "./routes/stock-changes.ts";
import { stockCountRoutes } from "./routes/stock-counts.ts";
import { transferRoutes } from "./routes/transfers.ts";
import { takeInTikTokShopWebhooks } from "./webhooks/tiktok-shop.ts";

const bodyBytesMax = 256 * 1_024;

/**
 * The HTTP API. It holds no state of its own besides caches and counters, so any number of processes may serve it.
 *
 * @throws Error when a route names no permission.
 */
export async function buildApp(dependencies: ApiDependencies): Promise<FastifyInstance> {
  const now = dependencies.now ?? (() => new Date());
  const logger: FastifyBaseLogger = dependencies.logger;
  const app = fastify({
    loggerInstance: logger,
    logController: new LogController({ disableRequestLogging: true }),
    genReqId: () => randomUUID(),
    bodyLimit: bodyBytesMax,
    trustProxy: dependencies.trustProxy ?? false,
    requestTimeout: 30_000,
    forceCloseConnections: "idle",
    routerOptions: { maxParamLength: 200 },
    // No hook meets these: what is not well formed has no route.
    frameworkErrors: (error, request, reply) => {
      void sendProblem(error, request, reply);
      logAnswer(request, reply);
    },
  });
  app.setValidatorCompiler(validatorCompiler);
  app.setSerializerCompiler(serializerCompiler);
  answerWithProblems(app);
  nameRequests(app);
  letConnectionsGo(app);
  if (dependencies.measuring !== undefined) measureRequests(app, dependencies.measuring);
  await describeRoutes(app, dependencies.publicUrl);
  // Before everything that browsers and sessions need: a webhook pays for none of it.
  await takeInTikTokShopWebhooks(app, dependencies);
  await protectBrowsers(app, dependencies);
  await app.register(cookie);
  await limitRequests(app, dependencies.rateLimits ?? rateLimitsDefault);
  const accessTokens = new AccessTokens({
    db: dependencies.db,
    secretKey: dependencies.secretKey,
    issuer: dependencies.publicUrl,
    now,
  });
  requirePermissions(app, { db: dependencies.db, accessTokens, now });

  if (dependencies.measuring !== undefined) serveMetrics(app, dependencies.measuring);
  await app.register(authRoutes({ ...dependencies, accessTokens, now }));
  await app.register(inventoryRoutes(dependencies));
  await app.register(explainRoutes(dependencies));
  await app.register(channelRoutes(dependencies));
  await app.register(driftRoutes(dependencies));
  await app.register(alertRoutes(dependencies));
  await app.register(notificationRoutes(dependencies));
  await app.register(stockChangeRoutes(dependencies));
  await app.register(stockCountRoutes(dependencies));
  await app.register(transferRoutes(dependencies));
  await app.register(holdRoutes(dependencies));
  await app.register(skuSettingRoutes(dependencies));
  await app.register(approvalRoutes(dependencies));
  await app.register(bulkRoutes(dependencies));
  await app.register(bulkResultRoutes(dependencies));
  await app.register(orderRoutes(dependencies));
  await app.register(orderCommandRoutes(dependencies));
  await app.register(shopRoutes(dependencies));
  await app.register(settingRoutes(dependencies));
  await app.register(deliveryRoutes(dependencies));
  await app.register(healthRoutes({ ...dependencies, now }));
  await serveDocumentation(app);
  return app;
}

/** One line a request, without query strings and bodies, and its id in the answer. */
function nameRequests(app: FastifyInstance): void {
  app.addHook("onRequest", (request, reply, done) => {
    void reply.header("x-request-id", request.id);
    done();
  });
  app.addHook("onResponse", (request, reply, done) => {
    logAnswer(request, reply);
    done();
  });
}

function logAnswer(request: FastifyRequest, reply: FastifyReply): void {
  // Webhooks come by the hundred, and each is a row that tells more: only a refused one is worth a line.
  const isQuiet = reply.statusCode < 300 && request.routeOptions.url?.startsWith("/webhooks/") === true;
  request.log[isQuiet ? "debug" : "info"](
    {
      method: request.method,
      route: request.routeOptions.url ?? "(none)",
      status: reply.statusCode,
      operation: request.routeOptions.schema?.operationId ?? null,
      duration: Math.round(reply.elapsedTime),
      userId: request.session?.userId ?? null,
    },
    "answered",
  );
}

/**
 * A kept-alive connection that was busy when the server began to close becomes idle afterwards, and nobody would close
 * it: the drain would wait for its time-out of more than a minute.
 */
function letConnectionsGo(app: FastifyInstance): void {
  app.addHook("preClose", (done) => {
    if (app.server.listening) {
      const timer = setInterval(() => app.server.closeIdleConnections(), 50);
      app.server.once("close", () => clearInterval(timer));
      timer.unref();
    }
    done();
  });
}

async function protectBrowsers(app: FastifyInstance, { publicUrl }: ApiDependencies): Promise<void> {
  const isTls = publicUrl.startsWith("https:");
  await app.register(helmet, {
    contentSecurityPolicy: {
      useDefaults: false,
      directives: {
        defaultSrc: ["'self'"],
        baseUri: ["'none'"],
        formAction: ["'self'"],
        frameAncestors: ["'none'"],
        imgSrc: ["'self'", "data:"],
        objectSrc: ["'none'"],
        scriptSrc: ["'self'"],
        // The documentation's page styles itself inline; scripts stay forbidden inline.
        styleSrc: ["'self'", "'unsafe-inline'"],
        ...(isTls ? { upgradeInsecureRequests: [] } : {}),
      },
    },
    strictTransportSecurity: isTls ? { maxAge: 31_536_000, includeSubDomains: true } : false,
    crossOriginEmbedderPolicy: false,
    frameguard: { action: "deny" },
  });
  app.addHook("onSend", (request, reply, _payload, done) => {
    if (request.url.startsWith("/api/")) void reply.header("cache-control", "no-store");
    done();
  });
}
