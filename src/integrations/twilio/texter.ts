import { exchange, HttpFailure } from "../http.ts";
import { MessageFailure, type TextMessage, type Texter } from "../ports/messages.ts";

export interface TwilioOptions {
  /** Twilio's, unless a test's. */
  readonly apiUrl: string;
  readonly accountSid: string;
  readonly authToken: string;
  /** A number of ours in E.164, or the id of a messaging service (MG…). */
  readonly from: string;
}

const timeoutMilliseconds = 15_000;
const answerBytesMax = 64 * 1_024;

/** Sends text messages through Twilio's REST API (Messages resource, 2010-04-01). It knows no idempotency keys. */
export function createTwilioTexter(options: TwilioOptions): Texter {
  return { send: (text) => send(options, text) };
}

async function send(
  { apiUrl, accountSid, authToken, from }: TwilioOptions,
  text: TextMessage,
): Promise<void> {
  const url = new URL(`/2010-04-01/Accounts/${encodeURIComponent(accountSid)}/Messages.json`, apiUrl);
  const sender = from.startsWith("MG") ? { MessagingServiceSid: from } : { From: from };
  const form = new URLSearchParams({ To: text.to, Body: text.body, ...sender });
  const answer = await exchange({
    method: "POST",
    url,
    headers: {
      authorization: `Basic ${Buffer.from(`${accountSid}:${authToken}`).toString("base64")}`,
      "content-type": "application/x-www-form-urlencoded",
      accept: "application/json",
    },
    body: Buffer.from(form.toString()),
    timeoutMilliseconds,
    answerBytesMax,
  }).catch((error: unknown) => {
    if (error instanceof HttpFailure) throw new MessageFailure("unavailable", `Twilio: ${error.message}`);
    throw error;
  });
  if (answer.status === 201) return;
  const code = codeOf(answer.text);
  const isOurs = answer.status === 401 || answer.status === 403 || answer.status === 429;
  const isForEver = answer.status >= 400 && answer.status < 500 && !isOurs;
  throw new MessageFailure(
    isForEver ? "refused" : "unavailable",
    `Twilio answered ${answer.status}${code === null ? "" : `, error ${code}`}`,
  );
}

/** Twilio's error number. Its message may hold the phone number and is left out. */
function codeOf(text: string): number | null {
  try {
    const { code } = JSON.parse(text) as { readonly code?: unknown };
    return typeof code === "number" && Number.isSafeInteger(code) ? code : null;
  } catch {
    return null;
  }
}
