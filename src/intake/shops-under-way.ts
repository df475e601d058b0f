import { setTimeout as wait } from "node:timers/promises";
import type { ShopId } from "../domain/ids.ts";

/** Work that goes on for shops in the background, for each at most one at a time, so that a slow one holds nobody back. */
export class ShopsUnderWay {
  readonly #works = new Map<ShopId, Promise<void>>();

  /** How many shops are worked for now. */
  get size(): number {
    return this.#works.size;
  }

  /** The shops that are worked for now. */
  list(): readonly ShopId[] {
    return [...this.#works.keys()];
  }

  /** @param work must not reject: nobody may be waiting for it. */
  begin(shopId: ShopId, work: () => Promise<void>): void {
    if (this.#works.has(shopId)) throw new Error(`Broken invariant: shop ${shopId} is under way already`);
    this.#works.set(
      shopId,
      work().finally(() => this.#works.delete(shopId)),
    );
  }

  /** Waits until all have ended that are under way now, but not longer than some milliseconds. */
  async allEnded(millisecondsMax = Number.POSITIVE_INFINITY): Promise<void> {
    await within(millisecondsMax, Promise.all(this.#works.values()));
  }

  /** Waits until one has ended of those that are under way now, but not longer than some milliseconds. */
  async oneEnded(millisecondsMax: number): Promise<void> {
    await within(millisecondsMax, Promise.race(this.#works.values()));
  }
}

async function within(millisecondsMax: number, ended: Promise<unknown>): Promise<void> {
  if (millisecondsMax === Number.POSITIVE_INFINITY) {
    await ended;
    return;
  }
  const timeIsUp = new AbortController();
  const { signal } = timeIsUp;
  await Promise.race([ended, wait(millisecondsMax, undefined, { signal }).catch(() => undefined)]);
  timeIsUp.abort();
}
