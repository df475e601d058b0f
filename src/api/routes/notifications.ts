import type { FastifyPluginCallbackZod } from "fastify-type-provider-zod";
import type { z } from "zod";
import { appendAudit } from "../../db/audit-log.ts";
import {
  findAddresses,
  findPreferences,
  getAlertSettings,
  savePhone,
  savePreferences,
} from "../../db/notification-preferences.ts";
import { findReplenishment } from "../../db/read-models/alerts.ts";
import { type TenantTransaction, withTenant } from "../../db/tenant.ts";
import { findRecommendation, setReplenishment } from "../../db/thresholds.ts";
import { asId, type SkuId, type TenantId, type UserId } from "../../domain/ids.ts";
import {
  preferencesAnswer,
  preferencesBody,
  replenishmentAnswer,
  replenishmentBody,
} from "../contract/alerts.ts";
import { idParameters } from "../contract/common.ts";
import { problemResponse } from "../contract/problem.ts";
import type { ApiDependencies } from "../dependencies.ts";
import { originOf, sessionOf } from "../plugins/authentication.ts";
import { notFound } from "../problem.ts";

const tags = ["alerts"];
const security = [{ accessToken: [] }];

type NotificationDependencies = Pick<ApiDependencies, "db" | "secretKey">;

/** How people want to be told, and from when on stock is low. Both are set whole, so sending them again changes nothing. */
export function notificationRoutes(dependencies: NotificationDependencies): FastifyPluginCallbackZod {
  return (app, _options, done) => {
    addGetPreferences(app, dependencies);
    addPutPreferences(app, dependencies);
    addGetReplenishment(app, dependencies);
    addPutReplenishment(app, dependencies);
    done();
  };
}

type RouteApp = Parameters<FastifyPluginCallbackZod>[0];

function addGetPreferences(app: RouteApp, { db, secretKey }: NotificationDependencies): void {
  app.get(
    "/api/notification-preferences",
    {
      config: { permission: "inventory:alerts_manage" },
      schema: {
        operationId: "getNotificationPreferences",
        tags,
        security,
        summary: "How one is told of alerts",
        description: "One's own, for every kind of alert: what was said, and the default where nothing was.",
        response: { 200: preferencesAnswer, default: problemResponse },
      },
    },
    async (request) => {
      const { tenantId, userId } = sessionOf(request);
      return await withTenant(db, tenantId, (transaction) =>
        preferencesOf(transaction, tenantId, userId, secretKey),
      );
    },
  );
}

function addPutPreferences(app: RouteApp, { db, secretKey }: NotificationDependencies): void {
  app.put(
    "/api/notification-preferences",
    {
      config: { permission: "inventory:alerts_manage" },
      schema: {
        operationId: "putNotificationPreferences",
        tags,
        security,
        summary: "Say how one wants to be told of alerts",
        description:
          "An alert that nobody lets through is shown in the app to everybody who may answer it. The phone number is kept encrypted and never shown again in full.",
        body: preferencesBody,
        response: { 200: preferencesAnswer, default: problemResponse },
      },
    },
    async (request) => {
      const { tenantId, userId } = sessionOf(request);
      const { preferences, phone } = request.body;
      return await withTenant(db, tenantId, async (transaction) => {
        await savePreferences(transaction, tenantId, userId, preferences);
        if (phone !== undefined) await savePhone(transaction, tenantId, userId, phone, secretKey);
        await appendAudit(transaction, tenantId, {
          eventType: "notification_preferences",
          userId,
          newValues: {
            preferences,
            phone: phone === undefined ? "kept" : phone === null ? "forgotten" : "set",
          },
          ...originOf(request),
        });
        return await preferencesOf(transaction, tenantId, userId, secretKey);
      });
    },
  );
}

async function preferencesOf(
  transaction: TenantTransaction,
  tenantId: TenantId,
  userId: UserId,
  secretKey: Buffer,
): Promise<z.output<typeof preferencesAnswer>> {
  const preferences = await findPreferences(transaction, userId);
  const addresses = await findAddresses(transaction, tenantId, userId, secretKey);
  const { smsAllowed } = await getAlertSettings(transaction);
  const phone = addresses?.phone ?? null;
  return {
    preferences: [...preferences].map(([kind, preference]) => ({ kind, ...preference })),
    phone: phone === null ? null : `…${phone.slice(-3)}`,
    sms_allowed: smsAllowed,
  };
}

function addGetReplenishment(app: RouteApp, { db }: NotificationDependencies): void {
  app.get(
    "/api/inventory/products/:id/replenishment",
    {
      config: { permission: "inventory:read" },
      schema: {
        operationId: "getReplenishment",
        tags,
        security,
        summary: "When a SKU is low, and what to order",
        description:
          "How its threshold is found, how long its supply takes, and what to order by the numbers of now.",
        params: idParameters,
        response: { 200: replenishmentAnswer, default: problemResponse },
      },
    },
    async (request) =>
      await withTenant(db, sessionOf(request).tenantId, (transaction) =>
        replenishmentOf(transaction, asId<"Sku">(request.params.id)),
      ),
  );
}

function addPutReplenishment(app: RouteApp, { db }: NotificationDependencies): void {
  app.put(
    "/api/inventory/products/:id/replenishment",
    {
      config: { permission: "inventory:alerts_manage" },
      schema: {
        operationId: "putReplenishment",
        tags,
        security,
        summary: "Say when a SKU is low, and how long its supply takes",
        description:
          "An automatic threshold is the higher of 10 and 10 % of an average month's sales, and follows them.",
        params: idParameters,
        body: replenishmentBody,
        response: { 200: replenishmentAnswer, default: problemResponse },
      },
    },
    async (request) => {
      const { tenantId, userId } = sessionOf(request);
      const skuId = asId<"Sku">(request.params.id);
      const {
        threshold_mode: mode,
        low_stock_threshold: threshold,
        lead_time_days: leadTimeDays,
      } = request.body;
      return await withTenant(db, tenantId, async (transaction) => {
        const wanted =
          threshold === undefined ? ({ mode: "automatic" } as const) : { mode: "fixed" as const, threshold };
        const before = await findReplenishment(transaction, skuId);
        const set = await setReplenishment(transaction, tenantId, skuId, wanted, leadTimeDays, request.id);
        if (!set) throw notFound("product");
        await appendAudit(transaction, tenantId, {
          eventType: "replenishment",
          userId,
          skuId,
          oldValues: { ...before },
          newValues: { mode, threshold: threshold ?? null, leadTimeDays },
          ...originOf(request),
        });
        return await replenishmentOf(transaction, skuId);
      });
    },
  );
}

async function replenishmentOf(
  transaction: TenantTransaction,
  skuId: SkuId,
): Promise<z.output<typeof replenishmentAnswer>> {
  const replenishment = await findReplenishment(transaction, skuId);
  const recommendation = await findRecommendation(transaction, skuId);
  if (replenishment === null || recommendation === null) throw notFound("product");
  return { ...replenishment, recommendation };
}
