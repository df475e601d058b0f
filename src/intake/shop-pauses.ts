import type { ShopId } from "../domain/ids.ts";

/** Shops whose channel wants no calls before a time: what is meant for them gathers meanwhile, for fuller calls. */
export class ShopPauses {
  readonly #until = new Map<ShopId, number>();

  /** @param until milliseconds since the epoch; a pause is never shortened. */
  pause(shopId: ShopId, until: number): void {
    this.#until.set(shopId, Math.max(until, this.#until.get(shopId) ?? 0));
  }

  isPaused(shopId: ShopId): boolean {
    return (this.#until.get(shopId) ?? 0) > Date.now();
  }

  /** The shops that are paused now. */
  list(): readonly ShopId[] {
    for (const [shopId, until] of this.#until) if (until <= Date.now()) this.#until.delete(shopId);
    return [...this.#until.keys()];
  }
}
