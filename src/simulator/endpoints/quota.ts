import type { Settings } from "../records.ts";
import type { Refusal } from "../refusal.ts";

/** Requests the one app may make for the one shop: a bucket that fills steadily up to the burst's size. */
export class Quota {
  #tokens = Number.POSITIVE_INFINITY;
  #filledMilliseconds = performance.now();

  /** Takes one request out of the bucket, or tells when the next one will be in it. */
  take({ requestsPerSecond, requestBurst }: Settings): Refusal | null {
    const now = performance.now();
    const filled = this.#tokens + ((now - this.#filledMilliseconds) / 1000) * requestsPerSecond;
    this.#tokens = Math.min(requestBurst, filled);
    this.#filledMilliseconds = now;
    if (this.#tokens < 1) {
      const retryAfterSeconds = Math.ceil((1 - this.#tokens) / requestsPerSecond);
      return { code: 36009002, status: 429, message: "too many requests", retryAfterSeconds };
    }
    this.#tokens -= 1;
    return null;
  }
}
