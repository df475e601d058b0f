/**
 * How people are told something outside of the app. Every method may throw `MessageFailure` and nothing else, and its words
 * name nobody: they are kept with the message and in workflow histories.
 */
export interface Mailer {
  send(mail: Mail): Promise<void>;
}

export interface Mail {
  /** One address. */
  readonly to: string;
  /** One line. */
  readonly subject: string;
  /** Plain text; the adapter dresses it. */
  readonly paragraphs: readonly string[];
  /** Ours; the same mail sent again has the same, so that a reader's program can tell. */
  readonly messageId: string;
}

export interface Texter {
  send(text: TextMessage): Promise<void>;
}

export interface TextMessage {
  /** E.164, as in +447700900123. */
  readonly to: string;
  readonly body: string;
  /** Ours, for logs. */
  readonly messageId: string;
}

/**
 * - `unavailable`: no answer, a time-out, busy, or credentials that people must mend. It may have gone out. Try again.
 * - `refused`: this message, or this address, will be refused each time.
 */
export class MessageFailure extends Error {
  override readonly name = "MessageFailure";
  readonly kind: "unavailable" | "refused";

  constructor(kind: "unavailable" | "refused", message: string) {
    super(message);
    this.kind = kind;
  }
}
