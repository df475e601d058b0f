import { setTimeout as wait } from "node:timers/promises";
import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify";
import { z } from "zod";
import { envelope, type Outcome, refusals, refuse, success } from "../refusal.ts";
import type { StruckCall } from "../faults.ts";
import type { Simulation } from "../simulation.ts";
import { cancellationEndpoints } from "./cancellations.ts";
import { isLinkValid, renderDocument } from "./document.ts";
import type { Call, Endpoint } from "./endpoint.ts";
import { fulfillmentEndpoints } from "./fulfillment.ts";
import { whyRefused } from "./gate.ts";
import { inventoryEndpoints } from "./inventory.ts";
import { answerPartly, beforeDeciding, spoilReply } from "./misbehaviour.ts";
import { orderEndpoints } from "./orders.ts";
import { productEndpoints } from "./products.ts";
import { Quota } from "./quota.ts";
import { shopEndpoints } from "./shop.ts";
import { tokenEndpoints } from "./tokens.ts";

const endpoints: readonly Endpoint[] = [
  ...tokenEndpoints,
  ...shopEndpoints,
  ...productEndpoints,
  ...inventoryEndpoints,
  ...orderEndpoints,
  ...fulfillmentEndpoints,
  ...cancellationEndpoints,
];

/** Whether a rule for a part of an endpoint's name is for any endpoint at all. */
export function isKnownEndpoint(part: string): boolean {
  return endpoints.some((endpoint) => nameOf(endpoint).includes(part));
}

/** TikTok Shop's API. Every call passes through `answerCall`, the one place that decides and replies. */
export function registerEndpoints(app: FastifyInstance, simulations: Simulations): void {
  // One app has a quota of its own at each shop.
  const quotas = new Map(simulations.map((simulation) => [simulation, new Quota()] as const));
  for (const endpoint of endpoints) {
    app.route({
      method: endpoint.method,
      url: endpoint.path,
      handler: (request, reply) => {
        const simulation = shopOf(simulations, readCall(request));
        return answerCall(simulation, quotas.get(simulation) ?? new Quota(), endpoint, request, reply);
      },
    });
  }
  app.setNotFoundHandler((request, reply) =>
    reply.code(404).send(envelope(request.id, refusals.pathUnknown)),
  );
  registerDocuments(app, simulations);
}

/** The seller's shops, of which there is one at least. */
type Simulations = readonly [Simulation, ...(readonly Simulation[])];

/** Whose call it is: what it names (a cipher, a token, a code) is known in one shop's books. A stranger is turned away by the first. */
function shopOf(simulations: Simulations, { query, token }: Call): Simulation {
  const knows = ({ books }: Simulation): boolean => {
    const cipher = query.get("shop_cipher");
    if (cipher !== undefined) return cipher === books.account.shopCipher;
    const [refreshToken, authCode] = [query.get("refresh_token"), query.get("auth_code")];
    if (authCode !== undefined) return books.authCodes.find(authCode) !== undefined;
    return [...books.grants.all()].some(
      (grant) => grant.accessToken === token || grant.refreshToken === refreshToken,
    );
  };
  return simulations.find(knows) ?? simulations[0];
}

/**
 * Decides, writes the books, replies: in this order, so that nothing is answered that a kill could take back. Faults are
 * put around these three steps (before deciding, between writing and replying); operations never learn of them.
 */
async function answerCall(
  simulation: Simulation,
  quota: Quota,
  endpoint: Endpoint,
  request: FastifyRequest,
  reply: FastifyReply,
): Promise<FastifyReply> {
  const struck = simulation.faults.strikeCall(nameOf(endpoint));
  if (struck.lateMilliseconds > 0) await wait(struck.lateMilliseconds, undefined, { ref: false });
  const outcome = beforeDeciding(struck) ?? decide(simulation, quota, endpoint, readCall(request), struck);
  if (outcome !== "unheard") count(simulation, endpoint, "refusal" in outcome ? outcome.refusal.code : 0);
  await simulation.books.store.flush();
  if (struck.slowMilliseconds > 0) await wait(struck.slowMilliseconds, undefined, { ref: false });
  if (spoilReply(struck, outcome, request, reply) || outcome === "unheard") return reply;
  if ("data" in outcome) return reply.send(success(request.id, outcome.data));
  const { status, retryAfterSeconds } = outcome.refusal;
  if (retryAfterSeconds !== undefined) void reply.header("retry-after", retryAfterSeconds);
  return reply.code(status).send(envelope(request.id, outcome.refusal));
}

function decide(
  simulation: Simulation,
  quota: Quota,
  endpoint: Endpoint,
  call: Call,
  struck: StruckCall,
): Outcome {
  const refusal = whyRefused(simulation, quota, endpoint, call);
  return refusal === null ? answerPartly(simulation, endpoint, call, struck) : refuse(refusal);
}

/** How the books of calls name an endpoint. */
function nameOf({ method, path }: Endpoint): string {
  return `${method} ${path}`;
}

function readCall(request: FastifyRequest): Call {
  const { pathname, searchParams } = new URL(request.url, "http://simulator");
  const token = request.headers["x-tts-access-token"];
  return {
    path: pathname,
    params: request.params,
    query: new Map(searchParams),
    body: Buffer.isBuffer(request.body) ? request.body : Buffer.alloc(0),
    contentType: request.headers["content-type"] ?? "",
    token: typeof token === "string" ? token : undefined,
    origin: `${request.protocol}://${request.host}`,
  };
}

function count({ books }: Simulation, endpoint: Endpoint, code: number): void {
  const id = nameOf(endpoint);
  const codes = { ...books.calls.find(id)?.codes };
  codes[code] = (codes[code] ?? 0) + 1;
  books.calls.save({ id, codes });
}

const documentQuery = z.object({
  type: z.string(),
  size: z.enum(["A6", "A5"]),
  expires: z.string(),
  token: z.string(),
});
const documentParams = z.object({ packageId: z.string() });

/** What `doc_url` leads to: no signature, only the link's own token. */
function registerDocuments(app: FastifyInstance, simulations: Simulations): void {
  app.get("/documents/:packageId.pdf", async (request, reply) => {
    const { packageId } = documentParams.parse(request.params);
    const link = documentQuery.safeParse(request.query);
    const shop = simulations.find(({ orders }) => orders.shipping.findParcel(packageId) !== undefined);
    const found = shop?.orders.shipping.findParcel(packageId);
    if (
      !link.success ||
      shop === undefined ||
      found === undefined ||
      !isLinkValid(shop.books, packageId, link.data)
    ) {
      return reply.code(403).send(envelope(request.id, refusals.documentUnavailable));
    }
    const { type, size } = link.data;
    return reply.type("application/pdf").send(renderDocument(found.order, found.parcel, type, size));
  });
}
