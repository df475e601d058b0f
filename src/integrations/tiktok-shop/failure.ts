import { ChannelFailure, type FailureKind } from "../ports/failure.ts";
import { storableText } from "./text.ts";

/** TikTok's answer to a call, as far as failures need it. */
export interface Verdict {
  readonly status: number;
  /** The envelope's code; null when there was no readable envelope. */
  readonly code: string | null;
  readonly message: string;
  readonly requestId: string | null;
  readonly retryAfter: string | null;
}

export type FailureClass = FailureKind | "token_rejected";

const retryAfterMinutesMax = 15;

const classByCode: Readonly<Record<string, FailureClass>> = {
  "105002": "token_rejected",
  "105005": "unauthorised",
  "101000": "unauthorised",
  "36004001": "unauthorised",
  "36004004": "unauthorised",
  "36004005": "unauthorised",
  "36009033": "unauthorised",
  "36009002": "rate_limited",
  "36009003": "unavailable",
  "36009007": "unavailable",
  "10002014": "unavailable",
  "10002015": "unavailable",
  "10006402": "unavailable",
  "10037002": "unavailable",
  "10037003": "unavailable",
  "10037004": "unavailable",
};

/**
 * Which kind of failure an answer is; null when it is none. The code decides where we know it, the status where we do
 * not. `token_rejected` may be mended by a refresh, once.
 */
export function classify(verdict: Verdict): FailureClass | null {
  const { code, status } = verdict;
  if (status === 429) return "rate_limited";
  const known = code === null ? undefined : classByCode[code];
  if (known !== undefined) return known;
  if (status >= 500 || status === 408 || status === 425) return "unavailable";
  if (code === "0") return null;
  // One code stands for a dozen mistakes; the one about the token is told by its words.
  if (code === "36009004" && /access.?token/i.test(verdict.message)) return "token_rejected";
  if (code !== null) return "refused";
  if (status === 401 || status === 403) return "unauthorised";
  return status >= 400 ? "refused" : "malformed";
}

/** What a call was, for people: never the query, which holds tokens and signatures. */
export function describeCall(call: {
  readonly method: string;
  readonly path: string;
  readonly shopId: string | null;
}): string {
  return `${call.method} ${call.path}${call.shopId === null ? "" : ` for shop ${call.shopId}`}`;
}

/** @param now milliseconds; @param secrets texts the channel may have echoed and which must not appear. */
export function failureOf(
  failureClass: FailureClass,
  verdict: Verdict,
  context: { readonly call: string; readonly now: number; readonly secrets: readonly string[] },
): ChannelFailure {
  const kind = failureClass === "token_rejected" ? "unauthorised" : failureClass;
  const said = context.secrets
    .filter((secret) => secret !== "")
    .reduce((text, secret) => text.replaceAll(secret, "[secret]"), verdict.message)
    .slice(0, 300);
  const request = verdict.requestId === null ? "" : ` (request ${verdict.requestId})`;
  const code = verdict.code === null ? "" : ` ${verdict.code}`;
  return new ChannelFailure(
    kind,
    `${context.call}: ${kind}, HTTP ${verdict.status}${code}: ${storableText(said)}${request}`,
    {
      channelCode: verdict.code,
      requestId: verdict.requestId,
      answered: true,
      retryAt: kind === "rate_limited" ? retryAtOf(verdict.retryAfter, context.now) : null,
    },
  );
}

/** `Retry-After` in seconds or as a date; one second without it, and never more than 15 minutes. */
function retryAtOf(retryAfter: string | null, now: number): number {
  const text = retryAfter?.trim() ?? "";
  const at = /^\d+$/.test(text) ? now + Number(text) * 1_000 : Date.parse(text);
  if (Number.isNaN(at)) return now + 1_000;
  return Math.min(Math.max(at, now), now + retryAfterMinutesMax * 60_000);
}
