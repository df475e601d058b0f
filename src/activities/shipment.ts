import { beginEffect, type EffectState, finishEffect, reopenEffect } from "../db/effects.ts";
import { withTenant } from "../db/tenant.ts";
import type { ChannelPackageId } from "../domain/ids.ts";
import type { ShipmentResult } from "../domain/order/decide.ts";
import { isArranged } from "../domain/order/transitions.ts";
import { ChannelFailure } from "../integrations/ports/failure.ts";
import type { ItemResult, ShopKey } from "../integrations/ports/sales-channel.ts";
import { createCoalescer } from "./coalescer.ts";
import type { ActivityDependencies } from "./dependencies.ts";
import { asActivityFailure } from "./failures.ts";
import type { CancelRequestToChannel, CancelResult, OrderKey, ShipmentRequest } from "./order-report.ts";

const packagesPerCallMaximum = 50;

export function createShipmentActivities({ db, channel }: ActivityDependencies) {
  const arrange = createCoalescer<
    { shop: ShopKey; packageId: ChannelPackageId },
    ItemResult<ChannelPackageId>
  >({
    itemsMaximum: packagesPerCallMaximum,
    lingerMilliseconds: 50,
    send: async (_shopId, items) => {
      const [first] = items;
      if (first === undefined) return [];
      return await arrangeTogether(
        first.shop,
        items.map(({ packageId }) => packageId),
      );
    },
  });

  /** A refusal of the whole call may be one package's fault: then each is asked for alone, and only it is refused. */
  async function arrangeTogether(
    shop: ShopKey,
    packageIds: readonly ChannelPackageId[],
  ): Promise<readonly ItemResult<ChannelPackageId>[]> {
    try {
      return await channel.arrangeShipments(shop, packageIds);
    } catch (error) {
      if (!(error instanceof ChannelFailure) || error.kind !== "refused") throw error;
      if (packageIds.length === 1) {
        const refused = {
          ok: false,
          channelCode: error.channelCode ?? "refused",
          message: error.message,
        } as const;
        return packageIds.map((key) => ({ key, ...refused }));
      }
      const results: ItemResult<ChannelPackageId>[] = [];
      for (const packageId of packageIds) results.push(...(await arrangeTogether(shop, [packageId])));
      return results;
    }
  }

  /** What the channel itself says of the order: true when its shipment is arranged or further. */
  async function isArrangedAtChannel(order: OrderKey): Promise<boolean> {
    const [fetched] = await channel.fetchOrders(order, [order.orderId], 1);
    return fetched !== undefined && isArranged(fetched.order.status);
  }

  async function arrangeNow({ packageIds, ...order }: ShipmentRequest): Promise<ShipmentResult> {
    const shop: ShopKey = { tenantId: order.tenantId, shopId: order.shopId };
    const results = await Promise.all(
      packageIds.map((packageId) => arrange(order.shopId, { shop, packageId })),
    );
    const [refused] = results.filter((result) => !result.ok);
    if (refused === undefined) return { arranged: true, packageIds };
    // "Already shipped" comes as a refusal, in words that change: the order itself tells.
    if (await isArrangedAtChannel(order)) return { arranged: true, packageIds };
    return { arranged: false, reason: `${refused.message} (${refused.channelCode})` };
  }

  return {
    /**
     * Arranges the shipment of an order's packages with the channel, together with other orders' in one call. The channel
     * has no idempotency key: after an attempt whose outcome is unclear the order is read back first.
     */
    async arrangeShipment(request: ShipmentRequest): Promise<ShipmentResult> {
      const { packageIds, ...order } = request;
      const key = `ship/${order.shopId}/${order.orderId}/${[...packageIds].sort().join("+")}`;
      const effect = await withTenant(
        db,
        order.tenantId,
        async (transaction): Promise<EffectState<ShipmentResult>> => {
          await reopenEffect(transaction, key);
          return await beginEffect(transaction, order.tenantId, { key, kind: "ship", input: key });
        },
      );
      if (effect.state === "finished") return effect.result;
      try {
        const result: ShipmentResult =
          effect.state === "unclear" && (await isArrangedAtChannel(order))
            ? { arranged: true, packageIds }
            : await arrangeNow(request);
        await withTenant(db, order.tenantId, (transaction) =>
          finishEffect(transaction, key, result.arranged ? "done" : "refused", result),
        );
        return result;
      } catch (error) {
        throw asActivityFailure(error);
      }
    },

    /** Cancels the order at the channel as its seller. Asking again for an order that is cancelled is accepted. */
    async cancelAtChannel({ reason, ...order }: CancelRequestToChannel): Promise<CancelResult> {
      try {
        await channel.cancelOrder(order, order.orderId, reason);
        return { accepted: true };
      } catch (error) {
        if (!(error instanceof ChannelFailure) || error.kind !== "refused") throw asActivityFailure(error);
        const [fetched] = await channel.fetchOrders(order, [order.orderId], 1);
        return fetched?.order.status === "cancelled"
          ? { accepted: true }
          : { accepted: false, reason: error.message };
      }
    },
  };
}
