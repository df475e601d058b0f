import type { ShopKey } from "../integrations/ports/sales-channel.ts";
import type { OrderSyncPlace, OrderSyncStep } from "../workflows/messages.ts";
import type { ActivityDependencies } from "./dependencies.ts";
import { asActivityFailure } from "./failures.ts";

export function createOrderSyncActivities({ takeInChangedOrders }: ActivityDependencies) {
  return {
    /**
     * Takes in one page of a shop's changed orders. Taking orders in is the intake's work, which webhooks and polls share;
     * the process hands it in.
     */
    async syncChangedOrders({
      place,
      ...shop
    }: ShopKey & { readonly place: OrderSyncPlace | null }): Promise<OrderSyncStep> {
      return await takeInChangedOrders(shop, place).catch((error: unknown) => {
        throw asActivityFailure(error);
      });
    },
  };
}
