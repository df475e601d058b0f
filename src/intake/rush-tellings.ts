import pLimit from "p-limit";
import type { Logger } from "pino";
import { type Telling, toldAtOnceMaximum } from "./take-orders.ts";

/** Orders that wait to be told here. As many are lost when the process dies, and come back with the sweep. */
const waitingMaximum = 500;

/**
 * Tells workflows of a rush's orders in the background. A workflow's turn costs many times what storing its order does: told in line,
 * those that wait for their turn would keep the next ones from being known, and what nobody knows of is offered elsewhere.
 */
export class RushTellings {
  readonly #limit = pLimit(toldAtOnceMaximum);
  readonly #underWay = new Set<Promise<void>>();
  readonly #logger: Logger;

  constructor(logger: Logger) {
    this.#logger = logger;
  }

  /** @returns false when too many wait already: the caller is to tell them himself. */
  take(tellings: readonly Telling[]): boolean {
    if (this.#limit.pendingCount + tellings.length > waitingMaximum) return false;
    for (const tell of tellings) void this.#limit(() => this.#tell(tell));
    return true;
  }

  /** Those under way are told to the end; the others are left to the sweep. */
  async stop(): Promise<void> {
    this.#limit.clearQueue();
    await Promise.all(this.#underWay);
  }

  async #tell(tell: Telling): Promise<void> {
    const telling = tell().catch((error: unknown) => {
      this.#logger.warn({ err: error }, "An order of a rush was not told and is left to the sweep");
    });
    this.#underWay.add(telling);
    await telling;
    this.#underWay.delete(telling);
  }
}
