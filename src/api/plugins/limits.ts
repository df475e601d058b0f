import rateLimit from "@fastify/rate-limit";
import type { FastifyInstance, FastifyRequest } from "fastify";
import type { RateLimits } from "../dependencies.ts";
import { Problem } from "../problem.ts";

/**
 * Requests a minute, over all, from one address and of one user. Each process counts for itself. Webhooks, health checks
 * and the documentation's files are not counted: a channel that is refused tries again hours later, or never.
 */
export async function limitRequests(app: FastifyInstance, limits: RateLimits): Promise<void> {
  await app.register(rateLimit, { global: false });
  const timeWindow = 60_000;
  const overAll = app.createRateLimit({ max: limits.globalPerMinute, timeWindow, keyGenerator: () => "all" });
  const ofAddress = app.createRateLimit({ max: limits.addressPerMinute, timeWindow });
  const ofUser = app.createRateLimit({
    max: limits.userPerMinute,
    timeWindow,
    keyGenerator: (request) => request.session?.userId ?? "nobody",
  });
  const refuseBeyond = async (
    check: typeof overAll,
    request: FastifyRequest,
    whose: string,
  ): Promise<void> => {
    const answer = await check(request);
    if (answer.isAllowed || !answer.isExceeded) return;
    throw new Problem("too-many-requests", `${whose} ${answer.max} requests a minute are answered.`, {
      retryAfterSeconds: answer.ttlInSeconds,
    });
  };
  app.addHook("onRequest", async (request) => {
    if (!isCounted(request)) return;
    await refuseBeyond(ofAddress, request, "From one address");
    await refuseBeyond(overAll, request, "In all");
  });
  app.addHook("preValidation", async (request) => {
    if (isCounted(request) && request.session !== null) await refuseBeyond(ofUser, request, "Of one user");
  });
}

function isCounted(request: FastifyRequest): boolean {
  return request.is404 || (request.routeOptions.url ?? "").startsWith("/api/");
}
