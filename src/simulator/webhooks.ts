import { stringify } from "lossless-json";
import type { Logger } from "pino";
import type { Faults } from "./faults.ts";
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
  readonly #faults: Faults;
  readonly #logger: Logger;
  /** Notifications that let later ones overtake them, and how many still. */
  readonly #held = new Map<string, number>();
  readonly #ready: string[] = [];
  readonly #stopping = new AbortController();
  readonly #sending = new Set<Promise<void>>();

  constructor(books: Books, scheduler: Scheduler, faults: Faults, logger: Logger) {
    this.#books = books;
    this.#scheduler = scheduler;
    this.#faults = faults;
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
    const fate = url === null ? "unaddressed" : this.#faults.losesWebhook(id) ? "lost" : "pending";
    const delay = fate === "pending" ? this.#faults.webhookDelayMilliseconds(id) : 0;
    const webhook: Webhook = {
      id,
      type,
      url,
      body: writeJson({ type, tts_notification_id: id, ...subject, timestamp, data }),
      createMilliseconds: now,
      dueMilliseconds: fate === "pending" ? now + delay : null,
      fate,
      faults: fate === "lost" ? ["lost"] : delay > 0 ? ["delayed"] : [],
      attempts: [],
    };
    this.#save(webhook);
    if (fate === "pending") this.#schedule(webhook);
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
      const reordering = webhook.attempts.length === 0 ? this.#faults.reordersWebhook(webhook.id) : null;
      if (reordering === null) this.#makeReady(webhook.id);
      else this.#hold(webhook, reordering.behind, reordering.waitMsMax);
    });
  }

  #makeReady(id: string): void {
    this.#held.delete(id);
    this.#scheduler.cancel(`held/${id}`);
    this.#ready.push(id);
    this.#pump();
  }

  #hold(webhook: Webhook, behind: number, waitMsMax: number): void {
    webhook.faults.push("reordered");
    this.#save(webhook);
    this.#held.set(webhook.id, behind);
    this.#scheduler.set(`held/${webhook.id}`, Date.now() + waitMsMax, () => this.#makeReady(webhook.id));
  }

  /** A notification has been sent: those noted before it and held back come nearer to their turn. */
  #letOvertaken(sentId: string): void {
    for (const [id, behind] of this.#held) {
      if (id > sentId) continue;
      this.#held.set(id, behind - 1);
      if (behind === 1) this.#makeReady(id);
    }
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
    const answer = await this.#postWithFaults(webhook);
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
    this.#letOvertaken(webhook.id);
    await this.#books.store.flush();
  }

  /** Makes an attempt with what the plan adds to it, and gives the answer to its first request. */
  async #postWithFaults(webhook: Webhook): Promise<PostAnswer> {
    const attempt = webhook.attempts.length;
    const { appKey, appSecret } = this.#books.account;
    const sign = signWebhook(appKey, appSecret, webhook.body);
    if (this.#faults.forgesWebhook(webhook.id, attempt)) {
      webhook.faults.push("forged");
      // The forger has the signature of the true message, and changes what it says.
      const forged = await this.#post(webhook, forgeBody(webhook.body), sign);
      if (forged.status === 200) this.#faults.forgeryAccepted();
    }
    const { copies, concurrent } = this.#faults.webhookCopies(webhook.id, attempt);
    if (copies > 0) webhook.faults.push("duplicated");
    const first = this.#post(webhook, webhook.body, sign);
    const sent: Promise<PostAnswer>[] = [first];
    for (let copy = 0; copy < copies; copy += 1) {
      if (!concurrent) await sent.at(-1);
      sent.push(this.#post(webhook, webhook.body, sign));
    }
    await Promise.all(sent);
    return await first;
  }

  async #post(webhook: Webhook, body: string, authorization: string): Promise<PostAnswer> {
    try {
      const response = await fetch(webhook.url ?? "", {
        method: "POST",
        redirect: "manual",
        headers: { "content-type": "application/json", authorization },
        body,
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

interface PostAnswer {
  readonly status: number | null;
  readonly error: string | null;
}

/** Cancels the order that a message is about, a second later; other messages are told a second later. */
function forgeBody(body: string): string {
  return body
    .replace(/"order_status":"\w+"/, '"order_status":"CANCEL"')
    .replace(/"timestamp":(\d+)/, (_text, timestamp) => `"timestamp":${Number(timestamp) + 1}`);
}

/** Writes bigints as JSON numbers with all their digits, as TikTok does with some ids. */
function writeJson(value: object): string {
  const text = stringify(value);
  if (text === undefined) throw new Error("a webhook's body is not JSON");
  return text;
}
