import {
  allHandlersFinished,
  ApplicationFailure,
  condition,
  continueAsNew,
  setCurrentDetails,
  setHandler,
  upsertSearchAttributes,
  workflowInfo,
} from "@temporalio/workflow";
import type { OrderCommand } from "../domain/order/commands.ts";
import type { CancelWish, OrderReport, OrderView, ShortageWish } from "../activities/order-report.ts";
import { askingEntities, askingEntitiesPatiently, atChannel, inDatabase } from "./activities.ts";
import {
  type CancelAnswer,
  cancelOrder,
  chooseShortageCourse,
  type OrderInput,
  orderNews,
  searchAttributes,
  type ShortageAnswer,
} from "./messages.ts";

/**
 * One order, from its first news until it is completed or cancelled.
 *
 * What is true about the order is in Postgres; this workflow makes happen what follows from it. Every message only goes
 * into the mailbox, and one loop works it off: decide (`advanceOrder`), do what the decision wants done, report back, until
 * nothing is left to do. Talks with the channel may take long, so they run beside the loop as errands and come back as
 * mail. A crash between any two lines repeats a step whose effects carry ids from the order, so nothing happens twice; a
 * run that finds the order closed records the news and ends.
 */
export async function orderLifecycle(input: OrderInput): Promise<void> {
  const order = new OrderRun(input);
  setHandler(orderNews, () => order.receive({ news: true }));
  setHandler(cancelOrder, (wish) => order.cancel(wish));
  setHandler(chooseShortageCourse, (wish) => order.chooseShortageCourse(wish));
  await order.run();
}

/** Rounds of deciding and doing that one mail may take; more would be a circle. */
const roundsMaximum = 20;
/** Events after which the run continues as new although the server has not suggested it. */
const historyLengthMaximum = 4_000;

type Errand = Exclude<OrderCommand, { kind: "stock" }>;
type StockCommand = Extract<OrderCommand, { kind: "stock" }>;

class OrderRun {
  readonly #input: OrderInput;
  readonly #channel: ReturnType<typeof atChannel>;
  #mailbox: OrderReport[] = [{ news: true }];
  readonly #errands = new Set<string>();
  /** People who wait for the answer to their wish to cancel. One wish is sent; who comes later shares its answer. */
  #cancelWaiting: { answer: CancelAnswer | null }[] = [];
  /** People who wait for the answer to what they decided about a shortage. */
  #shortageWaiting: { answer: ShortageAnswer | null }[] = [];
  #view: OrderView | null = null;
  /** What the search knows of the order; telling it the same again would cost the server for nothing. */
  #shown: string;

  constructor(input: OrderInput) {
    this.#input = input;
    this.#channel = atChannel(input.queuePrefix);
    const { typedSearchAttributes: shown } = workflowInfo();
    this.#shown = shownAs(
      shown.get(searchAttributes.orderStatus),
      shown.get(searchAttributes.needsAttention),
      shown.get(searchAttributes.shipBy)?.toISOString(),
    );
  }

  receive(mail: OrderReport): void {
    this.#mailbox.push(mail);
  }

  async cancel(wish: CancelWish): Promise<CancelAnswer> {
    const waiting: { answer: CancelAnswer | null } = { answer: null };
    this.#cancelWaiting.push(waiting);
    if (this.#cancelWaiting.length === 1) this.receive({ cancelWish: wish });
    await condition(() => waiting.answer !== null);
    return waiting.answer ?? { accepted: true };
  }

  async chooseShortageCourse(wish: ShortageWish): Promise<ShortageAnswer> {
    // One at a time: two wishes in one report would be one, and the other answered for it. All who wait here are woken
    // together, so each looks again.
    do await condition(() => this.#shortageWaiting.length === 0);
    while (this.#shortageWaiting.length > 0);
    const waiting: { answer: ShortageAnswer | null } = { answer: null };
    this.#shortageWaiting.push(waiting);
    this.receive({ shortageWish: wish });
    await condition(() => waiting.answer !== null);
    return waiting.answer ?? { accepted: true };
  }

  #answerShortage(answer: ShortageAnswer): void {
    for (const waiting of this.#shortageWaiting.splice(0)) waiting.answer = answer;
  }

  #answerCancel(answer: CancelAnswer): void {
    for (const waiting of this.#cancelWaiting.splice(0)) waiting.answer = answer;
  }

  async run(): Promise<void> {
    while (true) {
      const lookAgainAt = this.#view?.lookAgainAt ?? null;
      if (lookAgainAt === null) await condition(() => this.#mailbox.length > 0);
      else if (!(await condition(() => this.#mailbox.length > 0, millisecondsUntil(lookAgainAt)))) {
        this.receive({ news: true });
      }
      await this.#workOff(this.#mailbox.splice(0));
      if (this.#mailbox.length > 0) continue;
      if (this.#view === null || this.#view.closed) {
        // The order is over (or was never stored): who still asks is answered before the run ends.
        await condition(
          () => (allHandlersFinished() && this.#errands.size === 0) || this.#mailbox.length > 0,
        );
        if (this.#mailbox.length === 0) return;
      } else if (this.#historyIsLong() && this.#errands.size === 0 && allHandlersFinished()) {
        await continueAsNew<typeof orderLifecycle>(this.#input);
      }
    }
  }

  #historyIsLong(): boolean {
    const info = workflowInfo();
    return (
      info.continueAsNewSuggested ||
      info.historyLength > (this.#input.historyLengthMaximum ?? historyLengthMaximum)
    );
  }

  /** Decides and does in turn until a decision wants nothing more of the stock. */
  async #workOff(mail: readonly OrderReport[]): Promise<void> {
    const { tenantId, shopId, orderId } = this.#input;
    const key = { tenantId, shopId, orderId };
    const report = merge(mail);
    let step = await inDatabase.advanceOrder({ ...key, report });
    if (report.shortageWish !== undefined) {
      this.#answerShortage(
        step.view === null
          ? { refused: "unknown_order", explanation: "The order is not known." }
          : (step.shortageRefusal ?? { accepted: true }),
      );
    }
    for (let round = 0; round < roundsMaximum; round += 1) {
      if (step.cancelRefusal !== null) this.#answerCancel(step.cancelRefusal);
      if (step.view === null) {
        this.#answerCancel({ refused: "already_closed", explanation: "The order is not known." });
        return;
      }
      this.#show(step.view);
      for (const command of step.commands) if (command.kind !== "stock") this.#send(command);
      const wanted = step.commands.filter((command): command is StockCommand => command.kind === "stock");
      if (wanted.length === 0) return;
      step = await askingEntities
        .settleStock({ ...key, wanted })
        .catch(() => askingEntitiesPatiently.settleStock({ ...key, wanted }));
    }
    throw new Error(`Order ${orderId} goes round in circles`);
  }

  /** Sends an errand to the channel unless the same one is under way. Its result comes back as mail. */
  #send(errand: Errand): void {
    const key = errand.kind === "ship" ? `ship ${errand.packageIds.join(" ")}` : errand.kind;
    if (this.#errands.has(key)) return;
    this.#errands.add(key);
    this.#run(errand).then(
      (mail) => {
        this.#errands.delete(key);
        this.receive(mail);
      },
      (failure: unknown) => {
        // Only what can never succeed ends an errand; people read the reason in the order's timeline.
        this.#errands.delete(key);
        const mail = failedErrand(errand, failure);
        if (mail.cancelResult?.accepted === false) {
          this.#answerCancel({ refused: "channel_refused", explanation: mail.cancelResult.reason });
        }
        this.receive(mail);
      },
    );
  }

  async #run(errand: Errand): Promise<OrderReport> {
    const { tenantId, shopId, orderId } = this.#input;
    switch (errand.kind) {
      case "ship":
        return {
          shipment: await this.#channel.arrangeShipment({
            tenantId,
            shopId,
            orderId,
            packageIds: errand.packageIds,
          }),
        };
      case "cancel": {
        const result = await this.#channel.cancelAtChannel({
          tenantId,
          shopId,
          orderId,
          reason: errand.reason,
        });
        this.#answerCancel(
          result.accepted ? { accepted: true } : { refused: "channel_refused", explanation: result.reason },
        );
        return { cancelResult: result };
      }
    }
  }

  /** Tells operators: state, hold and next step as text, and what they can search for when it has changed. */
  #show(view: OrderView): void {
    this.#view = view;
    setCurrentDetails(
      [
        `**${view.channelStatus}**${view.hold === null ? "" : `, held: **${view.hold}**`}`,
        `Next: ${view.nextStep}`,
        ...(view.shipBy === null ? [] : [`Ship by: ${view.shipBy}`]),
      ].join("\n\n"),
    );
    const attributes = shownAs(view.status, view.needsAttention, view.shipBy);
    if (attributes === this.#shown) return;
    this.#shown = attributes;
    upsertSearchAttributes([
      // One of six, and not the channel's nine: each change costs the server a write, and the details above say the rest.
      { key: searchAttributes.orderStatus, value: view.status },
      { key: searchAttributes.needsAttention, value: view.needsAttention },
      { key: searchAttributes.shipBy, value: view.shipBy === null ? null : new Date(view.shipBy) },
    ]);
  }
}

/** At least a second: the database's clock, by which the order decides, may be behind ours. */
function millisecondsUntil(time: string): number {
  return Math.max(1_000, Date.parse(time) - Date.now());
}

function shownAs(...attributes: readonly (string | boolean | null | undefined)[]): string {
  return attributes.join();
}

/** Several mails are one report: news are one look at the newest snapshot, results add up. */
function merge(mail: readonly OrderReport[]): OrderReport {
  return mail.reduce<OrderReport>((sum, each) => ({ ...sum, ...each }), {});
}

function failedErrand(errand: Errand, failure: unknown): OrderReport {
  const cause = failure instanceof Error ? (failure.cause ?? failure) : failure;
  const reason =
    cause instanceof ApplicationFailure || cause instanceof Error ? cause.message : String(cause);
  return errand.kind === "ship"
    ? { shipment: { arranged: false, reason } }
    : { cancelResult: { accepted: false, reason } };
}
