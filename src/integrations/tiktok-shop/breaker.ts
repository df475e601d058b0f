import type { Grant } from "../../domain/shop/rate-budget.ts";
import { ChannelFailure } from "../ports/failure.ts";
import type { ShopKey } from "../ports/sales-channel.ts";

/** Holds calls back from a channel that does not answer; shared by all processes. Held-back calls hold nothing. */
export interface Breaker {
  permit(shop: ShopKey): Promise<Grant>;
  /** The channel answered, whatever it said. */
  answered(shop: ShopKey, latencyMilliseconds: number): Promise<void>;
  /** A call came to nothing: no answer, a time-out, a 5xx. */
  unanswered(shop: ShopKey, reason: string): Promise<void>;
}

/** @throws ChannelFailure `unavailable` with the time to come back while the breaker is open; no call was made then. */
export async function passBreaker(breaker: Breaker, shop: ShopKey, call: string): Promise<void> {
  const grant = await breaker.permit(shop).catch((error: unknown) => {
    throw new ChannelFailure("unavailable", `${call}: the circuit breaker cannot be reached.`, {
      cause: error,
    });
  });
  if (grant.granted) return;
  throw new ChannelFailure(
    "unavailable",
    `${call}: the channel has not answered for a while; it is spared.`,
    {
      retryAt: grant.retryAt,
    },
  );
}
