import type { FastifyInstance, FastifyRequest } from "fastify";
import type { ZodTypeProvider } from "fastify-type-provider-zod";
import { z } from "zod";
import { crashPoint } from "../../crash-points.ts";
import { type DeliveryToTakeIn, takeInDelivery } from "../../db/webhook-deliveries.ts";
import {
  readWebhook,
  verifyWebhook,
  type WebhookReading,
  webhookTopics,
} from "../../integrations/tiktok-shop/webhooks.ts";
import { problemResponse } from "../contract/problem.ts";
import type { ApiDependencies } from "../dependencies.ts";
import { Problem } from "../problem.ts";
import { RejectionCounter } from "./rejections.ts";

/**
 * Takes webhooks in: verify the bytes, store them once, answer. Needs Postgres alone, so that nothing is lost while
 * everything else is down; what a delivery means is found out later, by who works it off.
 */
const channel = "tiktok-shop";
const headersKept = ["content-type", "user-agent"] as const;
const orderTopics: ReadonlySet<number> = new Set([
  webhookTopics.orderStatus,
  webhookTopics.recipientAddress,
  webhookTopics.cancellationStatus,
  webhookTopics.returnStatus,
]);

type IngestDependencies = Pick<ApiDependencies, "ingestDb" | "tiktokApp" | "logger" | "now">;

export async function takeInTikTokShopWebhooks(
  app: FastifyInstance,
  dependencies: IngestDependencies,
): Promise<void> {
  const now = dependencies.now ?? (() => new Date());
  const rejections = new RejectionCounter({
    db: dependencies.ingestDb,
    channel,
    logger: dependencies.logger,
  });
  app.addHook("onClose", () => rejections.close());
  await app.register((webhooks, _options, done) => {
    // The signature is over the bytes as they came, so nothing may read them first, whatever type they claim.
    webhooks.removeAllContentTypeParsers();
    webhooks.addContentTypeParser("*", { parseAs: "buffer" }, (_request, body, parsed) => parsed(null, body));
    const routes = webhooks.withTypeProvider<ZodTypeProvider>();
    const schema = {
      tags: ["webhooks"],
      summary: "Take a TikTok Shop webhook in",
      description:
        "For TikTok Shop alone: the request must carry the app's HMAC-SHA256 in `Authorization`. The body is stored as it is " +
        "and worked off later. 200 means stored, also when it came before; anything else makes TikTok Shop send it again.",
      response: { 200: z.undefined().describe("Stored"), default: problemResponse },
    };
    const handle = async (request: FastifyRequest): Promise<void> => {
      const receivedAt = now();
      const body = Buffer.isBuffer(request.body) ? request.body : Buffer.alloc(0);
      if (!verifyWebhook(body, request.headers.authorization, dependencies.tiktokApp)) {
        const reason = request.headers.authorization === undefined ? "not signed" : "wrong signature";
        rejections.count(reason, receivedAt);
        throw new Problem("unauthenticated", "The signature does not belong to this body and our app.");
      }
      await takeInDelivery(dependencies.ingestDb, deliveryOf(request, body, receivedAt));
      crashPoint("webhook: stored, not answered");
    };
    const config = { permission: "public" } as const;
    routes.post(
      "/webhooks/tiktok-shop",
      { config, schema: { ...schema, operationId: "takeInWebhook" } },
      async (request, reply) => {
        await handle(request);
        return reply.code(200).send();
      },
    );
    routes.post(
      "/webhooks/tiktok-shop/:topic",
      {
        config,
        schema: {
          ...schema,
          operationId: "takeInWebhookOfTopic",
          params: z.object({ topic: z.string().describe("Names the subscription; the body decides") }),
        },
      },
      async (request, reply) => {
        await handle(request);
        return reply.code(200).send();
      },
    );
    done();
  });
}

function deliveryOf(request: FastifyRequest, body: Buffer, receivedAt: Date): DeliveryToTakeIn {
  const reading = readWebhook(body, receivedAt);
  const headers = Object.fromEntries(
    headersKept.flatMap((name) => {
      const value = request.headers[name];
      return value === undefined ? [] : [[name, value.slice(0, 300)]];
    }),
  );
  const common = { channel, dedupeKey: reading.dedupeKey, body, headers };
  if (reading.kind === "unreadable") {
    return {
      ...common,
      sender: "unknown",
      channelShopId: null,
      sellerOpenId: null,
      topic: null,
      channelOrderId: null,
      stockNewsOf: null,
      state: "kept",
      reason: reading.reason,
    };
  }
  return {
    ...common,
    sender: reading.channelShopId ?? reading.sellerOpenId ?? "unknown",
    channelShopId: reading.channelShopId,
    sellerOpenId: reading.sellerOpenId,
    topic: reading.topic,
    channelOrderId: reading.orderId?.slice(0, 100) ?? null,
    stockNewsOf: reading.changedByOthers ? reading.skuId : null,
    ...fateOf(reading),
  };
}

function fateOf(
  reading: Extract<WebhookReading, { kind: "readable" }>,
): Pick<DeliveryToTakeIn, "state" | "reason"> {
  if (orderTopics.has(reading.topic)) {
    return reading.orderId === null
      ? { state: "kept", reason: "The message names no order." }
      : { state: "waiting", reason: null };
  }
  if (reading.topic === webhookTopics.inventoryChange) {
    return {
      state: "processed",
      reason: reading.changedByOthers
        ? "stock news: the listing is looked at"
        : "stock news: of an order's change or our own",
    };
  }
  return { state: "kept", reason: `Nothing is done about topic ${reading.topic}.` };
}
