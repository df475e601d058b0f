import type { Logger } from "pino";
import type { Database } from "../../db/connection.ts";
import { addRejections } from "../../db/webhook-deliveries.ts";

const minutesKeptMax = 60;

/**
 * Counts refused webhooks in memory and writes the sums once a second: whoever forges requests must not be able to make
 * us write for each.
 */
export class RejectionCounter {
  readonly #db: Database;
  readonly #channel: string;
  readonly #logger: Logger;
  readonly #timer: NodeJS.Timeout;
  #minutes = new Map<string, { count: number; lastReason: string }>();

  constructor(options: { db: Database; channel: string; logger: Logger; flushMilliseconds?: number }) {
    this.#db = options.db;
    this.#channel = options.channel;
    this.#logger = options.logger;
    this.#timer = setInterval(() => void this.flush(), options.flushMilliseconds ?? 1_000);
    this.#timer.unref();
  }

  count(reason: string, at: Date): void {
    const minute = `${at.toISOString().slice(0, 16)}:00.000Z`;
    const known = this.#minutes.get(minute);
    this.#minutes.set(minute, { count: (known?.count ?? 0) + 1, lastReason: reason });
    const [oldest] = this.#minutes.keys();
    if (this.#minutes.size > minutesKeptMax && oldest !== undefined) this.#minutes.delete(oldest);
  }

  /** Writes what was counted. When the database is away the counts are kept for the next time. */
  async flush(): Promise<void> {
    if (this.#minutes.size === 0) return;
    const counted = this.#minutes;
    this.#minutes = new Map();
    try {
      await addRejections(
        this.#db,
        this.#channel,
        [...counted].map(([minute, { count, lastReason }]) => ({ minute, count, lastReason })),
      );
    } catch (error) {
      this.#logger.warn({ err: error }, "Refused webhooks could not be counted; they will be with the next");
      for (const [minute, { count, lastReason }] of counted) {
        const known = this.#minutes.get(minute);
        this.#minutes.set(minute, { count: count + (known?.count ?? 0), lastReason });
      }
    }
  }

  async close(): Promise<void> {
    clearInterval(this.#timer);
    await this.flush();
  }
}
