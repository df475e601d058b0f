import {
  allHandlersFinished,
  condition,
  continueAsNew,
  setCurrentDetails,
  setHandler,
  workflowInfo,
} from "@temporalio/workflow";
import type { AlertDeliveryId } from "../domain/ids.ts";
import { inDatabase, sendingMessages } from "./activities.ts";
import { type AlertInput, alertNews } from "./messages.ts";

/**
 * Tells people of one alert until somebody answers it, or everything was said that there is to say.
 *
 * What the alert is and who was told stands in Postgres. Every message only asks for another look, and one loop looks:
 * `advanceAlert` takes the steps whose time has come, writes down the messages that follow and says when to look again.
 * Messages are sent beside the loop, so that a mail server that is away keeps no text message and no next rung from going
 * out; one that nobody needs any more ends by itself at its next attempt.
 */
export async function alertDelivery(input: AlertInput): Promise<void> {
  const alert = new AlertRun(input);
  setHandler(alertNews, () => alert.receive());
  await alert.run();
}

/** Events after which the run continues as new although the server has not suggested it. */
const historyLengthMaximum = 2_000;

class AlertRun {
  readonly #input: AlertInput;
  readonly #messages: ReturnType<typeof sendingMessages>;
  readonly #sending = new Set<AlertDeliveryId>();
  /** Times that another look was asked for. */
  #news = 0;

  constructor(input: AlertInput) {
    this.#input = input;
    this.#messages = sendingMessages(input.queuePrefix);
  }

  receive(): void {
    this.#news += 1;
  }

  async run(): Promise<void> {
    const { tenantId, alertId, timeScale } = this.#input;
    while (true) {
      const seen = this.#news;
      const progress = await inDatabase.advanceAlert({ tenantId, alertId, timeScale: timeScale ?? 1 });
      for (const deliveryId of progress.deliveries) this.#send(deliveryId);
      setCurrentDetails(progress.details);
      if (this.#sending.size === 0 && this.#news === seen) {
        if (progress.lookAgainIn === null) return;
        if (this.#historyIsLong() && allHandlersFinished())
          await continueAsNew<typeof alertDelivery>(this.#input);
      }
      if (progress.lookAgainIn === null) await condition(() => this.#news !== seen);
      else await condition(() => this.#news !== seen, progress.lookAgainIn);
    }
  }

  #historyIsLong(): boolean {
    const info = workflowInfo();
    return (
      info.continueAsNewSuggested ||
      info.historyLength > (this.#input.historyLengthMaximum ?? historyLengthMaximum)
    );
  }

  #send(deliveryId: AlertDeliveryId): void {
    if (this.#sending.has(deliveryId)) return;
    this.#sending.add(deliveryId);
    const back = (): void => {
      this.#sending.delete(deliveryId);
      this.receive();
    };
    // It is tried without end; what ended it stands in its row.
    this.#messages.sendAlertDelivery({ tenantId: this.#input.tenantId, deliveryId }).then(back, back);
  }
}
