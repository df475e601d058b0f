import { asId } from "../src/domain/ids.ts";
import type { ChannelStock, SalesChannel } from "../src/integrations/ports/sales-channel.ts";
import { seededWarehouse } from "../test/support/seed.ts";
import { noChannel } from "../test/support/workers.ts";

/** What it shows of a listing that was told nothing yet. */
const shownAtFirst = 10;

/** Shops that answer at once, from memory, when their stock is read or told: what is measured is our own work for that. */
export function openMemoryChannel(): SalesChannel {
  const shown = new Map<string, number>();
  return Object.assign(Object.create(noChannel) as SalesChannel, {
    readStock: (({ shopId }, skuIds) =>
      Promise.resolve(
        skuIds.map(
          (channelSkuId): ChannelStock => ({
            channelProductId: asId<"ChannelProduct">("any"),
            channelSkuId,
            warehouseId: asId<"ChannelWarehouse">(seededWarehouse),
            available: shown.get(`${shopId} ${channelSkuId}`) ?? shownAtFirst,
            committed: 0,
            campaign: 0,
            creator: 0,
          }),
        ),
      )) satisfies SalesChannel["readStock"],
    setAvailable: (({ shopId }, _productId, levels) => {
      for (const { channelSkuId, available } of levels) shown.set(`${shopId} ${channelSkuId}`, available);
      return Promise.resolve(levels.map(({ channelSkuId }) => ({ key: channelSkuId, ok: true as const })));
    }) satisfies SalesChannel["setAvailable"],
  });
}
