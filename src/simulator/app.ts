import { randomUUID } from "node:crypto";
import path from "node:path";
import Fastify, { type FastifyBaseLogger, type FastifyError, LogController } from "fastify";
import { pino } from "pino";
import { registerPage } from "./controls/page.ts";
import { registerControls } from "./controls/routes.ts";
import { registerEndpoints } from "./endpoints/routes.ts";
import { badRequest, envelope, refusals } from "./refusal.ts";
import { openSimulation } from "./simulation.ts";

export interface SimulatorOptions {
  /** 0 takes any free port. */
  readonly port: number;
  /** The loopback interface unless told. */
  readonly host?: string;
  /** Folder of the books; made when missing. */
  readonly home: string;
  /** How many times faster than at TikTok durations pass. */
  readonly timeScale: number;
  /** Where webhooks go; null keeps what the books say, which at first is nowhere. */
  readonly webhookUrl: string | null;
  readonly ordersPerMinute: number;
  readonly logLevel?: string;
  /** Whether the seller has a second shop that sells the same units; its controls are below `/second`. */
  readonly secondShop?: boolean;
}

export interface Simulator {
  readonly url: string;
  /** Ends it within about a second; what was under way goes on at the next start. */
  stop(): Promise<void>;
}

/** Starts a simulated TikTok Shop. Rejects when the port is taken or another simulator has the books open. */
export async function startSimulator(options: SimulatorOptions): Promise<Simulator> {
  const logger = pino({ name: "simulator", level: options.logLevel ?? "silent" });
  const { timeScale, ordersPerMinute, webhookUrl } = options;
  const settings = { timeScale, ...(webhookUrl === null ? {} : { webhookUrl }) };
  // Every answer waits for the books, so a broken disk also shows as an error to each caller.
  const onBroken = (error: unknown) => logger.error({ err: error }, "a change could not be made or written");
  const simulation = await openSimulation(
    path.join(options.home, "books"),
    { name: "first", appSecret: null },
    { ...settings, ordersPerMinute },
    logger,
    onBroken,
  );
  const second =
    options.secondShop === true
      ? await openSimulation(
          path.join(options.home, "second-books"),
          { name: "second", appSecret: simulation.books.account.appSecret },
          // The steady stream is the first shop's; the second sells what it is told.
          { ...settings, ordersPerMinute: 0 },
          logger,
          onBroken,
        )
      : null;
  const stopAll = () => Promise.all([simulation.stop(), second?.stop()]);
  const serverLogger: FastifyBaseLogger = logger;
  const app = Fastify({
    loggerInstance: serverLogger,
    // URLs of the token endpoints hold the app's secret.
    logController: new LogController({ disableRequestLogging: true }),
    forceCloseConnections: true,
    genReqId: () => randomUUID().replaceAll("-", ""),
  });
  // Signatures cover the bytes of the body, so nothing may parse it before they are checked.
  app.removeAllContentTypeParsers();
  app.addContentTypeParser("*", { parseAs: "buffer" }, (_request, body, done) => done(null, body));
  app.setErrorHandler((error: FastifyError, request, reply) => {
    if (error.statusCode !== undefined && error.statusCode < 500) {
      return reply.code(error.statusCode).send(envelope(request.id, badRequest(error.message)));
    }
    logger.error({ err: error, route: request.routeOptions.url }, "a request failed");
    return reply.code(500).send(envelope(request.id, refusals.internal));
  });
  registerEndpoints(app, second === null ? [simulation] : [simulation, second]);
  registerControls(app, simulation, "");
  if (second !== null) registerControls(app, second, "/second");
  app.get("/_sim/shops", () =>
    [simulation, second].flatMap((shop, place) =>
      shop === null ? [] : [{ shopId: shop.books.account.shopId, controls: place === 0 ? "" : "/second" }],
    ),
  );
  registerPage(app, simulation);
  try {
    const url = await app.listen({ port: options.port, host: options.host ?? "127.0.0.1" });
    return {
      url,
      stop: async () => {
        await app.close();
        await stopAll();
      },
    };
  } catch (error) {
    await stopAll();
    throw error;
  }
}
