import type { Passage } from "../../domain/shop/circuit-breaker.ts";
import { ChannelFailure } from "../ports/failure.ts";
import type { ShopKey } from "../ports/sales-channel.ts";

/** Holds calls back from a channel that does not answer; shared by all processes. Held-back calls hold nothing. */
export interface Breaker {
  permit(shop: ShopKey): Promise<Passage>;
  /** The call that was to try was not made after all: the channel was not asked, and somebody else may. */
  giveBack(shop: ShopKey, trialUntil: number): Promise<void>;
  /** The channel answered, whatever it said. */
  answered(shop: ShopKey, latencyMilliseconds: number): Promise<void>;
  /** A call came to nothing: no answer, a time-out, a 5xx. */
  unanswered(shop: ShopKey, reason: string): Promise<void>;
}

/**
 * @returns when this call is the one that tries an open breaker: until when that is its right; null when all may pass.
 * @throws ChannelFailure `unavailable` with the time to come back while the breaker is open; no call was made then.
 */
export async function passBreaker(breaker: Breaker, shop: ShopKey, call: string): Promise<number | null> {
  const passage = await breaker.permit(shop).catch((error: unknown) => {
    throw new ChannelFailure("unavailable", `${call}: the circuit breaker cannot be reached.`, {
      cause: error,
    });
  });
  if (passage.granted) return passage.trialUntil ?? null;
  throw new ChannelFailure(
    "unavailable",
    `${call}: the channel has not answered for a while; it is spared.`,
    {
      retryAt: passage.retryAt,
    },
  );
}
