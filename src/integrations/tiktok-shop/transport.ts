import { z } from "zod";
import { exchange, HttpFailure, type HttpRequest } from "../http.ts";
import { ChannelFailure } from "../ports/failure.ts";
import { classify, type FailureClass, failureOf, type Verdict } from "./failure.ts";
import { parseJson } from "./json.ts";
import { errorCode, idOrNull } from "./wire.ts";

/** What a call came to: the envelope's data, or a failure with its class, for the caller to throw or to mend. */
export type Answer =
  | { readonly ok: true; readonly data: unknown; readonly requestId: string | null }
  | { readonly ok: false; readonly failureClass: FailureClass; readonly failure: ChannelFailure };

export interface TransportContext {
  /** What the call was, for messages. */
  readonly call: string;
  readonly now: number;
  readonly secrets: readonly string[];
}

const answerBytesMax = 16 * 1024 * 1024;

const envelopeSchema = z.object({
  code: errorCode,
  message: z.string().catch(""),
  request_id: idOrNull,
  data: z.unknown().optional(),
});

/** Sends one request and opens TikTok's envelope. Never throws for what the world does. */
export async function sendAndOpen(
  request: Omit<HttpRequest, "answerBytesMax">,
  context: TransportContext,
): Promise<Answer> {
  try {
    const { status, headers, text } = await exchange({ ...request, answerBytesMax });
    const envelope = openEnvelope(text);
    const verdict: Verdict = {
      status,
      code: envelope?.code ?? null,
      message: envelope?.message ?? "the answer is not TikTok Shop's JSON",
      requestId: envelope?.request_id ?? null,
      retryAfter: headers.get("retry-after"),
    };
    const failureClass = classify(verdict);
    if (failureClass === null) return { ok: true, data: envelope?.data ?? {}, requestId: verdict.requestId };
    return { ok: false, failureClass, failure: failureOf(failureClass, verdict, context) };
  } catch (error) {
    if (!(error instanceof HttpFailure)) throw error;
    const failureClass =
      error.kind === "truncated" || error.kind === "too_large" ? "malformed" : "unavailable";
    return {
      ok: false,
      failureClass,
      failure: new ChannelFailure(failureClass, `${context.call}: ${error.message}`, { cause: error }),
    };
  }
}

/** Checks data against its schema; what does not fit is named by path only, since values may be personal. */
export function readData<Schema extends z.ZodType>(
  schema: Schema,
  answer: { readonly data: unknown; readonly requestId: string | null },
  call: string,
): z.output<Schema> {
  const parsed = schema.safeParse(answer.data);
  if (parsed.success) return parsed.data;
  const places = parsed.error.issues.slice(0, 3).map((issue) => issue.path.join(".") || "data");
  throw new ChannelFailure("malformed", `${call}: the answer has an unknown shape at ${places.join(", ")}`, {
    requestId: answer.requestId,
  });
}

function openEnvelope(text: string): z.output<typeof envelopeSchema> | null {
  try {
    return envelopeSchema.parse(parseJson(text));
  } catch {
    return null;
  }
}
