import type { Grant } from "../../domain/shop/rate-budget.ts";
import { ChannelFailure } from "../ports/failure.ts";
import type { CallPriority, ShopKey } from "../ports/sales-channel.ts";

/** The calls a shop's channel is asked to take, shared by all processes. Refused calls hold nothing while they wait. */
export interface RateBudget {
  take(shop: ShopKey, priority: CallPriority): Promise<Grant>;
  /** The channel took a call. Need not be stored at once. */
  accepted(shop: ShopKey): void;
  /** The channel limited a call and wants no other before `retryAt` (milliseconds since the epoch). */
  limited(shop: ShopKey, retryAt: number): Promise<void>;
}

/** @throws ChannelFailure `rate_limited` with the time to come back, `unavailable` when the budget cannot be reached. */
export async function charge(
  budget: RateBudget,
  shop: ShopKey,
  priority: CallPriority,
  call: string,
): Promise<void> {
  const grant = await budget.take(shop, priority).catch((error: unknown) => {
    throw new ChannelFailure("unavailable", `${call}: the rate budget cannot be reached.`, { cause: error });
  });
  if (grant.granted) return;
  throw new ChannelFailure("rate_limited", `${call}: out of our own rate budget.`, {
    retryAt: grant.retryAt,
  });
}
