/**
 * How another system can fail us. The adapter, which understands the failure, says which kind it is; who acts follows
 * from the kind alone.
 *
 * - `unavailable`: no answer, a time-out, a 5xx. The effect may or may not have happened. Try again. With a `retryAt` the
 *   call was not made, since the channel has not answered for a while: nothing happened.
 * - `rate_limited`: out of budget, ours or theirs. Nothing happened. Try again at `retryAt`, not before.
 * - `unauthorised`: the credentials do not open the door, and refreshing them did not help. A person must act.
 * - `refused`: understood and declined; trying the same again gives the same answer.
 * - `malformed`: the answer is not what the contract says. The effect may have happened. Trying again may help.
 */
export type FailureKind = "unavailable" | "rate_limited" | "unauthorised" | "refused" | "malformed";

export class ChannelFailure extends Error {
  override readonly name = "ChannelFailure";
  readonly kind: FailureKind;
  /** The channel's own code, as text, for people and logs. */
  readonly channelCode: string | null;
  /** The channel's id of the request, to quote to its support. */
  readonly requestId: string | null;
  /** Milliseconds since the epoch; only with `rate_limited`, and with `unavailable` when the call was not made. */
  readonly retryAt: number | null;
  /** True when the channel itself answered with this failure: it is there, but could not do what was asked. */
  readonly answered: boolean;

  constructor(
    kind: FailureKind,
    message: string,
    details: {
      readonly channelCode?: string | null;
      readonly requestId?: string | null;
      readonly retryAt?: number | null;
      readonly answered?: boolean;
      readonly cause?: unknown;
    } = {},
  ) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause });
    this.kind = kind;
    this.channelCode = details.channelCode ?? null;
    this.requestId = details.requestId ?? null;
    this.retryAt = details.retryAt ?? null;
    this.answered = details.answered ?? false;
  }

  /** True when the call may have taken effect although it failed: read the state back before trying again. */
  get effectUnknown(): boolean {
    return (this.kind === "unavailable" && this.retryAt === null) || this.kind === "malformed";
  }
}
