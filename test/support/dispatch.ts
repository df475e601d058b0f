import { vi } from "vitest";
import { dispatchDeliveries } from "../../src/intake/deliveries.ts";
import { readClock } from "../../src/db/connection.ts";
import type { ChannelOrderId } from "../../src/domain/ids.ts";
import type { IntakeDependencies } from "../../src/intake/dependencies.ts";
import { Rushes } from "../../src/db/rushes.ts";
import { RushTellings } from "../../src/intake/rush-tellings.ts";
import { ShopPauses } from "../../src/intake/shop-pauses.ts";
import { ShopsUnderWay } from "../../src/intake/shops-under-way.ts";
import { takeOrders } from "../../src/intake/take-orders.ts";
import type { ShopKey } from "../../src/integrations/ports/sales-channel.ts";

/** One pass over the waiting deliveries, to the end of every shop it has begun with. */
export async function dispatchToTheEnd(intake: IntakeDependencies): Promise<number> {
  const underWay = new ShopsUnderWay();
  const tellings = new RushTellings(intake.logger);
  const claimed = await dispatchDeliveries(intake, new ShopPauses(), underWay, {
    rushes: new Rushes(),
    tellings,
  });
  await underWay.allEnded();
  return claimed;
}

/** Fetches orders and takes them in, as whoever hears of them does. */
export async function fetchAndTake(
  intake: IntakeDependencies,
  shop: ShopKey,
  orderIds: readonly ChannelOrderId[],
): Promise<void> {
  const askedAt = await readClock(intake.db);
  const orders = await intake.channel.fetchOrders(shop, orderIds, 2);
  await takeOrders(intake, shop, { askedAt, orders }, () => "test");
}

const fastMachinesTime = new Date("2999-01-01T00:00:00.000Z");

/** Does something while the clock of this process is far ahead of all others. */
export async function onFastMachine(work: () => Promise<unknown>): Promise<void> {
  vi.useFakeTimers({ toFake: ["Date"], now: fastMachinesTime });
  try {
    await work();
  } finally {
    vi.useRealTimers();
  }
}
