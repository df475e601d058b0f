import type { FastifyPluginCallbackZod } from "fastify-type-provider-zod";
import { appendAudit } from "../../db/audit-log.ts";
import { saveOfferSettings, setSyncPaused } from "../../db/offer-settings.ts";
import { findDemand, listDrifts, listListingStates, measurePushDelay } from "../../db/read-models/channel.ts";
import { findSku } from "../../db/read-models/inventory.ts";
import { withTenant } from "../../db/tenant.ts";
import { asId } from "../../domain/ids.ts";
import {
  offerAnswer,
  type OfferBody,
  offerBody,
  pauseAnswer,
  pushDelayAnswer,
  pushDelayQuery,
  syncAnswer,
} from "../contract/channel.ts";
import { idempotencyHeaders, idParameters } from "../contract/common.ts";
import { problemResponse } from "../contract/problem.ts";
import type { ApiDependencies } from "../dependencies.ts";
import { answerOnce } from "../idempotency.ts";
import { originOf, sessionOf } from "../plugins/authentication.ts";
import { Problem } from "../problem.ts";
import { getSku, knownSku } from "../skus.ts";
import { lookAtListings } from "../workflow-requests.ts";

const tags = ["inventory"];
const security = [{ accessToken: [] }];
const driftsShown = 50;

type ChannelDependencies = Pick<ApiDependencies, "db" | "temporal" | "queuePrefix">;
type RouteApp = Parameters<FastifyPluginCallbackZod>[0];

/** How SKUs stand with their channels. */
export function channelRoutes(dependencies: ChannelDependencies): FastifyPluginCallbackZod {
  return (app, _options, done) => {
    addSync(app, dependencies);
    addPauseAndResume(app, dependencies);
    addOfferSettings(app, dependencies);
    addPushDelay(app, dependencies);
    done();
  };
}

function addSync(app: RouteApp, dependencies: ChannelDependencies): void {
  const { db } = dependencies;
  app.post(
    "/api/inventory/products/:id/sync",
    {
      config: { permission: "inventory:write" },
      schema: {
        operationId: "syncProduct",
        tags,
        security,
        summary: "Look at what a SKU's listings show, now",
        description:
          "Compares each listing with what it should show. What only waits for its push is pushed, what nothing explains is a drift.",
        headers: idempotencyHeaders,
        params: idParameters,
        response: { 200: syncAnswer, default: problemResponse },
      },
    },
    async (request, reply) => {
      const { tenantId } = sessionOf(request);
      const skuId = asId<"Sku">(request.params.id);
      const listings = await withTenant(db, tenantId, async (transaction) => {
        knownSku(await findSku(transaction, skuId));
        return await listListingStates(transaction, skuId);
      });
      return await answerOnce(db, request, reply, syncAnswer, async () => {
        const counts = await lookAtListings(
          dependencies,
          tenantId,
          skuId,
          [...new Set(listings.map((listing) => listing.shop_id))].map((shopId) => asId<"Shop">(shopId)),
        );
        return await withTenant(db, tenantId, async (transaction) => {
          const sku = knownSku(await findSku(transaction, skuId));
          const drifts = await listDrifts(transaction, { skuId }, driftsShown, null);
          return {
            success: true as const,
            current_stock: sku.current_stock,
            available_stock: sku.available_stock,
            last_sync: sku.last_inventory_sync,
            inventory_sync_status: sku.inventory_sync_status,
            compared: counts.compared,
            agreed: counts.agreed,
            under_way: counts.underWay,
            pushed: counts.pushed,
            drifting: counts.drifting,
            listings: [...(await listListingStates(transaction, skuId))],
            drifts: drifts.slice(0, driftsShown),
            demand: await findDemand(transaction, skuId),
          };
        });
      });
    },
  );
}

function addPauseAndResume(app: RouteApp, { db }: ChannelDependencies): void {
  for (const [word, paused, summary] of [
    ["pause", true, "Stop telling the channels a SKU's numbers"],
    ["resume", false, "Tell the channels a SKU's numbers again"],
  ] as const) {
    app.post(
      `/api/inventory/products/:id/${word}`,
      {
        config: { permission: "inventory:write" },
        schema: {
          operationId: `${word}ProductSync`,
          tags,
          security,
          summary,
          description:
            "While it is paused its listings keep what they show, sell from it, and are not compared.",
          headers: idempotencyHeaders,
          params: idParameters,
          response: { 200: pauseAnswer, default: problemResponse },
        },
      },
      async (request, reply) => {
        const { tenantId, userId } = sessionOf(request);
        const skuId = asId<"Sku">(request.params.id);
        await getSku(db, tenantId, skuId);
        return await answerOnce(db, request, reply, pauseAnswer, (effectId) =>
          withTenant(db, tenantId, async (transaction) => {
            await setSyncPaused(transaction, tenantId, skuId, paused, effectId);
            await appendAudit(transaction, tenantId, {
              eventType: `sync_${word}`,
              userId,
              skuId,
              ...originOf(request),
            });
            const { inventory_sync_status: status } = knownSku(await findSku(transaction, skuId));
            return { success: true as const, inventory_sync_status: status };
          }),
        );
      },
    );
  }
}

function addOfferSettings(app: RouteApp, { db }: ChannelDependencies): void {
  app.put(
    "/api/inventory/products/:id/offer",
    {
      config: { permission: "inventory:write" },
      schema: {
        operationId: "setOffer",
        tags,
        security,
        summary: "What is kept back from a SKU's listings, and the most that they show",
        description: "What is left out stays as it is. The listings are compared with it at once.",
        headers: idempotencyHeaders,
        params: idParameters,
        body: offerBody,
        response: { 200: offerAnswer, default: problemResponse },
      },
    },
    async (request, reply) => {
      const { tenantId, userId } = sessionOf(request);
      const skuId = asId<"Sku">(request.params.id);
      await getSku(db, tenantId, skuId);
      return await answerOnce(db, request, reply, offerAnswer, (effectId) =>
        withTenant(db, tenantId, async (transaction) => {
          const saved = await saveOfferSettings(
            transaction,
            tenantId,
            skuId,
            settingsOf(request.body),
            effectId,
          );
          await appendAudit(transaction, tenantId, {
            eventType: "offer_settings",
            userId,
            skuId,
            newValues: request.body,
            ...originOf(request),
          });
          if (!saved) throw new Problem("refused", "One of the listings is not a listing of this product.");
          return { success: true as const, listings: [...(await listListingStates(transaction, skuId))] };
        }),
      );
    },
  );
}

function settingsOf(body: OfferBody) {
  return {
    bufferUnits: body.buffer,
    bufferPercent: body.buffer_percent,
    driftRule: body.drift_rule,
    listings: (body.listings ?? []).map((listing) => ({
      listingId: listing.listing_id,
      bufferUnits: listing.buffer,
      bufferPercent: listing.buffer_percent,
      cap: listing.cap,
    })),
  };
}

function addPushDelay(app: RouteApp, { db }: ChannelDependencies): void {
  app.get(
    "/api/inventory/push-delay",
    {
      config: { permission: "inventory:read" },
      schema: {
        operationId: "getPushDelay",
        tags,
        security,
        summary: "How long a change takes to the right number at the channel",
        description:
          "From the change here (or the sale in another shop) until the right number was read back, by shop.",
        querystring: pushDelayQuery,
        response: { 200: pushDelayAnswer, default: problemResponse },
      },
    },
    async (request) => {
      const { minutes } = request.query;
      const shops = await withTenant(db, sessionOf(request).tenantId, (transaction) =>
        measurePushDelay(transaction, minutes),
      );
      return { minutes, shops: [...shops] };
    },
  );
}
