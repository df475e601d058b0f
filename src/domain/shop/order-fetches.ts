import type { ChannelOrderId } from "../ids.ts";

/**
 * Which orders are fetched together. The channel may fail with an error of its own whenever one certain order is among
 * those it is asked for. Nobody can tell which, so the orders of a fetch that failed twice are asked for in halves, each
 * time it fails again in smaller ones: after seven failures an order stands alone and its neighbours have gone on. What
 * fails while the channel is ill altogether is taken apart as well, and costs a few calls more when it is well again.
 */

export const fetchLimits = {
  /** TikTok Shop gives the details of at most 50 orders a call. */
  ordersMaximum: 50,
  pauseMilliseconds: 2_000,
  pauseMillisecondsMaximum: 300_000,
} as const;

/** Failures in a row after which an order is asked for alone: 50, 50, 25, 13, 7, 4, 2, 1. */
const aloneAfterFailures = 7;

export interface OrderToFetch {
  readonly orderId: ChannelOrderId;
  /** Fetches in a row that the channel answered with an error of its own. */
  readonly failedFetches: number;
}

/** How many orders are asked for together that have failed so often. */
export function batchSizeAfter(failedFetches: number): number {
  if (failedFetches >= aloneAfterFailures) return 1;
  let size: number = fetchLimits.ordersMaximum;
  for (let failure = 1; failure < failedFetches; failure += 1) size = Math.ceil(size / 2);
  return size;
}

/** The calls to be made, those first that are the least likely to fail. */
export function batchesOf(orders: readonly OrderToFetch[]): readonly (readonly OrderToFetch[])[] {
  const batches: OrderToFetch[][] = [];
  for (const order of [...orders].sort((one, other) => one.failedFetches - other.failedFetches)) {
    const last = batches.at(-1);
    const size = batchSizeAfter(order.failedFetches);
    const fits = last?.[0] !== undefined && batchSizeAfter(last[0].failedFetches) === size;
    if (fits && last.length < size) last.push(order);
    else batches.push([order]);
  }
  return batches;
}

/**
 * Milliseconds until orders are asked for again whose last fetch has failed. While they have neighbours the pause is
 * short; alone an order waits twice as long each time, at most 5 minutes.
 */
export function pauseAfter(failedFetches: number, timeScale: number): number {
  const { pauseMilliseconds, pauseMillisecondsMaximum } = fetchLimits;
  const growing = pauseMilliseconds * 2 ** Math.max(0, failedFetches - aloneAfterFailures);
  return Math.max(pauseMilliseconds, Math.min(growing, pauseMillisecondsMaximum) / timeScale);
}
