import {
  allHandlersFinished,
  ApplicationFailure,
  condition,
  continueAsNew,
  setCurrentDetails,
  setHandler,
  sleep,
  workflowInfo,
} from "@temporalio/workflow";
import type { StockAnswer, StockOperation } from "../domain/stock/operation.ts";
import { atChannel, inDatabase } from "./activities.ts";
import {
  applyOperations,
  entityIdleMilliseconds,
  entityIsClosing,
  offerChanged,
  type SkuInput,
} from "./messages.ts";

/**
 * Everything that changes one SKU's stock, in one line.
 *
 * Requests of many orders wait in the mailbox while a batch is being applied and then go together: one batch, one
 * transaction. The entity holds no numbers; they are in Postgres, and so is the guarantee. A second entity by accident, or a
 * batch applied again after a crash, changes nothing. What a batch has changed is pushed by whoever has applied it. When that has
 * not worked, and when the change was none of a batch's, the outbox tells the entity: beside the loop, never blocking it, the SKU's
 * offer is pushed until its channels have it. Without work for a while the entity ends; the next request starts it again. One that
 * is asked so seldom that its next request would find it ended anyway does not wait for that.
 */
export async function skuInventory(input: SkuInput): Promise<void> {
  const sku = new SkuRun(input);
  setHandler(applyOperations, (operations) => sku.apply(operations), {
    validator: (operations: readonly StockOperation[]) => sku.refuseWhenFull(operations),
  });
  setHandler(offerChanged, (change) => sku.noteOfferChanged(change?.causedAt));
  await sku.run();
}

const batchOperationsMaximum = 1_000;
const mailboxOperationsMaximum = 20_000;
const historyLengthMaximum = 4_000;
/** Idle periods after which a push under way counts as lost: far longer than a channel's call and its tries may take. */
const pushIdlePeriodsMaximum = 10;

interface Request {
  readonly operations: readonly StockOperation[];
  answers: readonly StockAnswer[] | null;
}

class SkuRun {
  readonly #input: SkuInput;
  #mailbox: Request[] = [];
  #offerPending: boolean;
  /** The oldest change that no push has made good. */
  #causedAt: string | undefined;
  #pushedCausedAt: string | undefined;
  #pushing = false;
  /** Idle periods that the push under way has outlasted. */
  #pushIdlePeriods = 0;
  #queueRemains: boolean;
  #closing = false;
  #endsAtOnce: boolean;
  #batches = 0;
  #idle = false;
  #watchesIdleness = false;

  constructor(input: SkuInput) {
    this.#input = input;
    this.#endsAtOnce = input.endsAtOnce ?? false;
    this.#offerPending = input.offerPending ?? false;
    this.#causedAt = input.offerCausedAt;
    this.#queueRemains = input.queueMayRemain ?? false;
  }

  refuseWhenFull(operations: readonly StockOperation[]): void {
    const waiting = this.#mailbox.reduce((sum, request) => sum + request.operations.length, 0);
    if (this.#closing || waiting + operations.length > mailboxOperationsMaximum) {
      throw ApplicationFailure.create({
        type: entityIsClosing,
        message: "Ask again in a moment",
        nonRetryable: true,
      });
    }
  }

  async apply(operations: readonly StockOperation[]): Promise<readonly StockAnswer[]> {
    const request: Request = { operations, answers: null };
    this.#mailbox.push(request);
    await condition(() => request.answers !== null);
    return request.answers ?? [];
  }

  noteOfferChanged(causedAt: string | undefined): void {
    this.#offerPending = true;
    this.#causedAt = earlierOf(this.#causedAt, causedAt);
    this.#stay();
  }

  /** From now on it ends when it has been idle for long enough. */
  #stay(): void {
    this.#endsAtOnce = false;
    if (!this.#watchesIdleness) void this.#watchIdleness();
  }

  async run(): Promise<void> {
    if (!this.#endsAtOnce) this.#stay();
    void this.#pushOffers();
    while (true) {
      await condition(() => this.#hasWork() || this.#idle);
      if (this.#hasWork()) {
        await this.#applyOneBatch();
        this.#closing = this.#historyIsLong();
        if (!this.#closing && !this.#endsAtOnce) continue;
      }
      // An update accepted since the last look is in the mailbox by now, or its handler is not finished.
      await condition(() => this.#hasWork() || allHandlersFinished());
      if (this.#hasWork()) continue;
      if (this.#closing || this.#pushIdlePeriods >= pushIdlePeriodsMaximum) {
        await continueAsNew<typeof skuInventory>({
          ...this.#input,
          endsAtOnce: false,
          offerPending: this.#offerPending || this.#pushing,
          offerCausedAt: earlierOf(this.#pushedCausedAt, this.#causedAt),
        });
      }
      if (this.#offerPending || this.#pushing) {
        this.#idle = false;
        this.#pushIdlePeriods = this.#pushing ? this.#pushIdlePeriods + 1 : 0;
        this.#stay();
        continue;
      }
      return;
    }
  }

  #hasWork(): boolean {
    return this.#mailbox.length > 0 || this.#queueRemains;
  }

  #historyIsLong(): boolean {
    const info = workflowInfo();
    return (
      info.continueAsNewSuggested ||
      info.historyLength > (this.#input.historyLengthMaximum ?? historyLengthMaximum)
    );
  }

  async #applyOneBatch(): Promise<void> {
    const requests = this.#takeRequests();
    const { tenantId, skuId } = this.#input;
    const outcome = await inDatabase.applyStockBatch({
      tenantId,
      skuId,
      operations: requests.flatMap((request) => request.operations),
    });
    this.#queueRemains = outcome.queueRemains;
    // Batches that an earlier version has applied left their push to the entity.
    if (outcome.offerChanged === true) this.#stay();
    if (outcome.pushCauses !== undefined && outcome.pushCauses.length > 0) this.#offerPending = true;
    this.#batches += 1;
    let start = 0;
    for (const request of requests) {
      request.answers = outcome.answers.slice(start, start + request.operations.length);
      start += request.operations.length;
    }
    setCurrentDetails(`${this.#batches} batches applied in this run; ${this.#mailbox.length} requests wait.`);
  }

  /** Whole requests, as many as fit; one that is larger than a batch goes alone. */
  #takeRequests(): Request[] {
    let operations = 0;
    let count = 0;
    for (const request of this.#mailbox) {
      operations += request.operations.length;
      if (count > 0 && operations > batchOperationsMaximum) break;
      count += 1;
    }
    return this.#mailbox.splice(0, count);
  }

  /** One timer at a time, however many batches: it closes the entity when none was applied while it ran. */
  async #watchIdleness(): Promise<void> {
    this.#watchesIdleness = true;
    let before: number;
    do {
      before = this.#batches;
      await sleep(this.#input.idleMilliseconds ?? entityIdleMilliseconds);
    } while (this.#batches !== before);
    this.#watchesIdleness = false;
    this.#idle = true;
  }

  async #pushOffers(): Promise<void> {
    const channel = atChannel(this.#input.queuePrefix);
    while (true) {
      await condition(() => this.#offerPending);
      this.#offerPending = false;
      this.#pushing = true;
      this.#pushIdlePeriods = 0;
      const { tenantId, skuId } = this.#input;
      const causedAt = this.#causedAt;
      this.#causedAt = undefined;
      this.#pushedCausedAt = causedAt;
      await channel
        .pushOffer({ tenantId, skuId, ...(causedAt === undefined ? {} : { causedAt }) })
        .catch(() => undefined);
      this.#pushing = false;
      this.#pushedCausedAt = undefined;
    }
  }
}

/** ISO times of one form sort as text. */
function earlierOf(one: string | undefined, other: string | undefined): string | undefined {
  if (one === undefined || other === undefined) return one ?? other;
  return one < other ? one : other;
}
