import { stringify } from "lossless-json";
import type { Logger } from "pino";
import type { Webhook } from "./records.ts";
import type { Scheduler } from "./scheduler.ts";
import { signWebhook } from "./signature.ts";
import type { Books } from "./state.ts";

/**
 * Tells the seller's app what happened. A webhook is written in the same batch as its cause and is sent only once that
 * batch is on disk; after a kill the next boot sends what was left, so that each is delivered at least once, under the
 * same notification id. Sending is bounded and never makes an API call wait.
 */

export const topics = { orderStatus: 1, cancellation: 11, stock: 68 } as const;

/** TikTok waits this long between the first attempt and each repetition, then gives up. */
const retryGapsMilliseconds = [2 * 60_000, 30 * 60_000, 3 * 3_600_000, 12 * 3_600_000];
const answerMillisecondsMax = 3_000;
const sendingMax = 32;

export class Webhooks {
  readonly #books: Books;
  readonly #scheduler: Scheduler;
  readonly #logger: Logger;
  readonly #ready: string[] = [];
  readonly #stopping = new AbortController();
  readonly #sending = new Set<Promise<void>>();

  constructor(books: Books, scheduler: Scheduler, logger: Logger) {
    this.#books = books;
    this.#scheduler = scheduler;
    this.#logger = logger;
  }

  /** Goes on with what an earlier process left unsent. */
  resume(): void {
    for (const webhook of this.#books.pendingWebhooks.all()) this.#schedule(webhook);
  }

  /** Notes a message about the shop. */
  tellShop(type: number, data: object): void {
    this.#tell(type, { shop_id: this.#books.account.shopId }, data);
  }

  /** Notes a message about the seller, who may have several shops. */
  tellSeller(type: number, data: object): void {
    this.#tell(type, { seller_open_id: this.#books.account.sellerOpenId }, data);
  }

  #tell(type: number, subject: object, data: object): void {
    const id = this.#books.newId("webhook");
    const now = Date.now();
    const timestamp = Math.floor(now / 1000);
    const url = this.#books.settings.webhookUrl;
    const webhook: Webhook = {
      id,
      type,
      url,
      body: writeJson({ type, tts_notification_id: id, ...subject, timestamp, data }),
      createMilliseconds: now,
      dueMilliseconds: url === null ? null : now,
      fate: url === null ? "unaddressed" : "pending",
      attempts: [],
    };
    this.#save(webhook);
    if (url !== null) this.#schedule(webhook);
  }

  /** Stops sending; what is under way is given up and will be sent again at the next boot. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    await Promise.allSettled(this.#sending);
  }

  #save(webhook: Webhook): void {
    this.#books.store.note(`webhook/${webhook.id}`, webhook);
    if (webhook.fate === "pending") this.#books.pendingWebhooks.save(webhook);
    else this.#books.pendingWebhooks.remove(webhook.id);
  }

  #schedule(webhook: Webhook): void {
    this.#scheduler.set(`webhook/${webhook.id}`, webhook.dueMilliseconds ?? 0, () => {
      this.#ready.push(webhook.id);
      this.#pump();
    });
  }

  #pump(): void {
    while (this.#sending.size < sendingMax && !this.#stopping.signal.aborted) {
      const id = this.#ready.shift();
      if (id === undefined) return;
      const sending = this.#send(this.#books.pendingWebhooks.get(id))
        .catch((error: unknown) => this.#logger.error({ err: error, id }, "webhook could not be recorded"))
        .finally(() => {
          this.#sending.delete(sending);
          this.#pump();
        });
      this.#sending.add(sending);
    }
  }

  async #send(webhook: Webhook): Promise<void> {
    await this.#books.store.flush();
    const atMilliseconds = Date.now();
    const answer = await this.#post(webhook);
    if (this.#stopping.signal.aborted && answer.status === null) return;
    webhook.attempts.push({ atMilliseconds, ...answer });
    const gap = retryGapsMilliseconds[webhook.attempts.length - 1];
    if (answer.status === 200) {
      webhook.fate = "delivered";
      webhook.dueMilliseconds = null;
    } else if (gap === undefined) {
      webhook.fate = "dropped";
      webhook.dueMilliseconds = null;
      this.#logger.warn({ id: webhook.id, ...answer }, "webhook dropped after its last retry");
    } else {
      webhook.dueMilliseconds = Date.now() + this.#books.scaled(gap);
      this.#schedule(webhook);
    }
    this.#save(webhook);
    await this.#books.store.flush();
  }

  async #post(webhook: Webhook): Promise<{ status: number | null; error: string | null }> {
    const { appKey, appSecret } = this.#books.account;
    try {
      const response = await fetch(webhook.url ?? "", {
        method: "POST",
        redirect: "manual",
        headers: {
          "content-type": "application/json",
          authorization: signWebhook(appKey, appSecret, webhook.body),
        },
        body: webhook.body,
        signal: AbortSignal.any([this.#stopping.signal, AbortSignal.timeout(answerMillisecondsMax)]),
      });
      await response.body?.cancel();
      return { status: response.status, error: null };
    } catch (error) {
      const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error;
      return { status: null, error: cause instanceof Error ? cause.message : String(cause) };
    }
  }
}

/** Writes bigints as JSON numbers with all their digits, as TikTok does with some ids. */
function writeJson(value: object): string {
  const text = stringify(value);
  if (text === undefined) throw new Error("a webhook's body is not JSON");
  return text;
}
