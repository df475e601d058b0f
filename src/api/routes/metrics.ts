import type { FastifyInstance } from "fastify";
import type { MetricsDependencies } from "../dependencies.ts";
import { Problem } from "../problem.ts";

/** Measures every request. */
export function measureRequests(app: FastifyInstance, { metrics }: MetricsDependencies): void {
  app.addHook("onResponse", (request, reply, done) => {
    const route = request.routeOptions.url ?? "(none)";
    metrics.requestAnswered(request.method, route, reply.statusCode, reply.elapsedTime / 1_000);
    done();
  });
}

/** Lets Prometheus read the figures. It is no part of the API that sellers see. */
export function serveMetrics(app: FastifyInstance, { metrics, mayRead }: MetricsDependencies): void {
  app.get(
    "/metrics",
    { config: { permission: "public" }, schema: { hide: true } },
    async (request, reply) => {
      if (!mayRead({ headers: request.headers, peer: request.socket.remoteAddress })) {
        throw new Problem("unauthenticated", "Figures are for this machine, or for who has METRICS_TOKEN.");
      }
      return await reply.type(metrics.contentType).send(await metrics.render());
    },
  );
}
