import pMap from "p-map";
import { crashPoint } from "../crash-points.ts";
import {
  type ClaimedMessage,
  claimOutbox,
  completeOutbox,
  type OutboxKind,
  postponeOutbox,
  pushMilliseconds,
} from "../db/outbox.ts";
import { appendTracking, saveDocument } from "../db/packages.ts";
import { checkStockAlerts } from "../db/stock-alerts.ts";
import { withTenant } from "../db/tenant.ts";
import { unreachable } from "../domain/assert.ts";
import { asId, type ChannelOrderId, type ShopId, type TenantId } from "../domain/ids.ts";
import { ChannelFailure } from "../integrations/ports/failure.ts";
import type { ShopKey } from "../integrations/ports/sales-channel.ts";
import type { IntakeDependencies } from "./dependencies.ts";
import { ShopPauses } from "./shop-pauses.ts";
import { stopCorruptSku } from "./upkeep.ts";
import { tellOrder } from "./take-orders.ts";
import { tellSku } from "../sku-entity.ts";
import { start, startingOf, tellAlert } from "./workflow-starts.ts";

/**
 * Messages to workflows go first. So few at once that they are worked off as fast as they are told: what a recovery has to
 * tell ten thousand orders would keep the news of all others waiting. Calls to the channel are few, since they share its
 * rate budget.
 */
export const outboxClasses = {
  workflows: {
    kinds: ["wake_order", "look_at_news", "begin_hold", "start_approval", "start_bulk"],
    claimMaximum: 40,
    atOnce: 4,
  },
  // Apart from what waits for Temporal, which pushes do not need.
  offers: { kinds: ["push_offer"], claimMaximum: 40, atOnce: 4 },
  // Apart from what orders wait for: when a shop's channel fails, hundreds of alerts open at once.
  alerts: { kinds: ["deliver_alert", "check_alerts", "check_stock"], claimMaximum: 20, atOnce: 2 },
  channel: { kinds: ["fetch_tracking", "fetch_document"], claimMaximum: 4, atOnce: 4 },
} as const satisfies Record<string, { kinds: readonly OutboxKind[]; claimMaximum: number; atOnce: number }>;

/** So little is claimed at once that it is done well within this time; what a killed process held waits as long. */
const leaseSeconds = 10;
/** Milliseconds that these least urgent calls leave the budget to others when it has refused one. */
const budgetPauseMinimum = 1_000;
/** A label's address is valid for 24 hours (TikTok Shop, get package shipping document). */
const documentLifeMilliseconds = 24 * 3_600_000;

/**
 * One pass over the outbox: each message's effect, then its mark. A crash between the two repeats the effect, which is why
 * each can be repeated.
 *
 * @returns how many were carried out; what waits for a budget or is postponed is no reason to look again at once.
 */
export async function workOffOutbox(
  dependencies: IntakeDependencies,
  { kinds, claimMaximum, atOnce }: (typeof outboxClasses)[keyof typeof outboxClasses],
  pauses = new ShopPauses(),
): Promise<number> {
  const { db } = dependencies;
  const claimed = await claimOutbox(db, kinds, claimMaximum, leaseSeconds, pauses.list());
  const done: string[] = [];
  const begun: string[] = [];
  const outOfBudget: ClaimedMessage[] = [];
  await pMap(
    claimed,
    async (message) => {
      try {
        const shopId = shopOf(message);
        if (shopId !== null && pauses.isPaused(shopId)) {
          outOfBudget.push(message);
          return;
        }
        crashPoint("outbox: claimed, nothing done");
        const how = await carryOut(dependencies, message);
        (how === "begun" ? begun : done).push(message.id);
      } catch (error) {
        const shopId = shopOf(message);
        if (shopId !== null && error instanceof ChannelFailure && error.kind === "rate_limited") {
          // The message is not at fault: whatever else is meant for the shop waits with it.
          pauses.pause(shopId, Math.max(error.retryAt ?? 0, Date.now() + budgetPauseMinimum));
          outOfBudget.push(message);
        } else await postpone(dependencies, message, error);
      }
    },
    { concurrency: atOnce },
  );
  await completeOutbox(db, done);
  await postponeOutbox(db, begun, new Date(Date.now() + pushMilliseconds), "Is being pushed");
  await postponeOutbox(
    db,
    outOfBudget.map(({ id }) => id),
    new Date(),
    "Waits for the shop's rate budget",
  );
  return done.length + begun.length;
}

/** The shop whose channel a message is for; null when it is for none. */
function shopOf({ tenantId, payload }: ClaimedMessage): ShopId | null {
  return "orderRef" in payload ? orderOf(tenantId, payload.orderRef).shop.shopId : null;
}

async function postpone(
  { db, logger }: IntakeDependencies,
  message: ClaimedMessage,
  error: unknown,
): Promise<void> {
  if (error instanceof ChannelFailure && error.kind === "refused") {
    // The channel will say the same for ever; nothing that an order or its stock needs depends on these messages.
    logger.info({ kind: message.kind, reason: error.message }, "A message of the outbox is given up");
    await completeOutbox(db, [message.id], error.message);
    return;
  }
  const retryAt = error instanceof ChannelFailure ? error.retryAt : null;
  const delay = Math.min(300_000, 1_000 * 2 ** Math.min(message.attempts, 8));
  if (retryAt === null) {
    logger.warn(
      { err: error, kind: message.kind, attempts: message.attempts },
      "A message of the outbox waits",
    );
  }
  await postponeOutbox(
    db,
    [message.id],
    new Date(retryAt ?? Date.now() + delay),
    error instanceof Error ? error.message : String(error),
  );
}

/** @returns "begun" when the effect is under way in this process, which marks the message when it is there. */
async function carryOut(
  dependencies: IntakeDependencies,
  message: ClaimedMessage,
): Promise<"begun" | undefined> {
  switch (message.kind) {
    case "wake_order": {
      const { shop, orderId } = orderOf(message.tenantId, message.payload.orderRef);
      await tellOrder(dependencies, shop, orderId, "stock served");
      crashPoint("outbox: order woken, not marked");
      return undefined;
    }
    case "push_offer": {
      const { tenantId, key, createdAt } = message;
      const skuId = asId<"Sku">(message.payload.skuId);
      const { byEntity = false, soldBy = null } = message.payload;
      if (!byEntity && dependencies.beginPush?.(tenantId, skuId, [{ key, soldBy }], createdAt))
        return "begun";
      await tellSku(dependencies, tenantId, skuId, createdAt);
      crashPoint("outbox: entity told of the offer, not marked");
      return undefined;
    }
    case "look_at_news":
      await start(dependencies, startingOf(message));
      crashPoint("outbox: look at news begun, not marked");
      return undefined;
    case "begin_hold":
      await start(dependencies, startingOf(message));
      crashPoint("outbox: hold begun, not marked");
      return undefined;
    case "deliver_alert":
      await tellAlert(dependencies, message.tenantId, asId<"Alert">(message.payload.alertId));
      crashPoint("outbox: alert told, not marked");
      return undefined;
    case "check_alerts":
      await withTenant(dependencies.db, message.tenantId, (transaction) =>
        checkStockAlerts(transaction, message.tenantId, asId<"Sku">(message.payload.skuId)),
      );
      crashPoint("outbox: alerts compared, not marked");
      return undefined;
    case "check_stock":
      await stopCorruptSku(dependencies, message.tenantId, asId<"Sku">(message.payload.skuId));
      crashPoint("outbox: stock compared, not marked");
      return undefined;
    case "start_approval":
      await start(dependencies, startingOf(message));
      crashPoint("outbox: approval started, not marked");
      return undefined;
    case "start_bulk":
      await start(dependencies, startingOf(message));
      crashPoint("outbox: bulk operation started, not marked");
      return undefined;
    case "fetch_tracking": {
      const { shop, orderId } = orderOf(message.tenantId, message.payload.orderRef);
      const entries = await dependencies.channel.tracking(shop, orderId);
      crashPoint("outbox: tracking fetched, not stored");
      await withTenant(dependencies.db, message.tenantId, (transaction) =>
        appendTracking(transaction, message.tenantId, message.payload.orderId, entries),
      );
      crashPoint("outbox: tracking stored, not marked");
      return undefined;
    }
    case "fetch_document": {
      const { shop } = orderOf(message.tenantId, message.payload.orderRef);
      const { orderId, packageId } = message.payload;
      const document = await dependencies.channel.shippingDocument(shop, asId<"ChannelPackage">(packageId));
      crashPoint("outbox: document fetched, not stored");
      await withTenant(dependencies.db, message.tenantId, (transaction) =>
        saveDocument(transaction, orderId, packageId, {
          ...document,
          expiresAt: new Date(Date.now() + documentLifeMilliseconds).toISOString(),
        }),
      );
      crashPoint("outbox: document stored, not marked");
      return undefined;
    }
    default:
      return unreachable(message);
  }
}

function orderOf(
  tenantId: TenantId,
  orderRef: string,
): { readonly shop: ShopKey; readonly orderId: ChannelOrderId } {
  const separator = orderRef.indexOf("/");
  const shopId: ShopId = asId<"Shop">(orderRef.slice(0, separator));
  return { shop: { tenantId, shopId }, orderId: asId<"ChannelOrder">(orderRef.slice(separator + 1)) };
}
