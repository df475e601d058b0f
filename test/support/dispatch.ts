import { dispatchDeliveries } from "../../src/intake/deliveries.ts";
import type { IntakeDependencies } from "../../src/intake/dependencies.ts";
import { Rushes } from "../../src/intake/rushes.ts";
import { ShopPauses } from "../../src/intake/shop-pauses.ts";
import { ShopsUnderWay } from "../../src/intake/shops-under-way.ts";

/** One pass over the waiting deliveries, to the end of every shop it has begun with. */
export async function dispatchToTheEnd(intake: IntakeDependencies): Promise<number> {
  const underWay = new ShopsUnderWay();
  const claimed = await dispatchDeliveries(intake, new ShopPauses(), underWay, new Rushes());
  await underWay.allEnded();
  return claimed;
}
