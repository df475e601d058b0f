/**
 * One HTTP exchange with limits on time and size. What goes wrong on the way is an `HttpFailure`; any status that
 * arrives is an answer, for the caller to judge.
 */
export interface HttpRequest {
  readonly method: "GET" | "POST" | "PUT" | "DELETE";
  readonly url: URL;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: Buffer | null;
  readonly timeoutMilliseconds: number;
  readonly answerBytesMax: number;
}

export interface HttpAnswer {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
}

/** `unreachable` and `timeout`: no whole answer came. `truncated`: it broke off. `too_large`: it was not read further. */
export type HttpFailureKind = "unreachable" | "timeout" | "truncated" | "too_large";

export class HttpFailure extends Error {
  override readonly name = "HttpFailure";
  readonly kind: HttpFailureKind;

  constructor(kind: HttpFailureKind, message: string, cause?: unknown) {
    super(message, { cause });
    this.kind = kind;
  }
}

/** @throws HttpFailure whose message names neither the address nor its query, which may hold secrets. */
export async function exchange(request: HttpRequest): Promise<HttpAnswer> {
  const response = await send(request);
  return { status: response.status, headers: response.headers, text: await readText(response, request) };
}

async function send(request: HttpRequest): Promise<Response> {
  try {
    return await fetch(request.url, {
      method: request.method,
      headers: request.headers ?? {},
      body: request.body == null ? null : new Uint8Array(request.body),
      // A redirect would carry the access token's header to another host.
      redirect: "manual",
      signal: AbortSignal.timeout(request.timeoutMilliseconds),
    });
  } catch (error) {
    throw isTimeout(error)
      ? timeout(request, error)
      : new HttpFailure("unreachable", `no connection (${codeOf(error)})`, error);
  }
}

async function readText(response: Response, request: HttpRequest): Promise<string> {
  if (response.body === null) return "";
  const chunks: Uint8Array[] = [];
  let size = 0;
  try {
    for await (const chunk of response.body as AsyncIterable<Uint8Array>) {
      size += chunk.byteLength;
      if (size > request.answerBytesMax)
        throw new HttpFailure("too_large", `the answer is larger than ${request.answerBytesMax} bytes`);
      chunks.push(chunk);
    }
  } catch (error) {
    if (error instanceof HttpFailure) throw error;
    throw isTimeout(error)
      ? timeout(request, error)
      : new HttpFailure("truncated", `the answer broke off (${codeOf(error)})`, error);
  }
  return Buffer.concat(chunks).toString("utf8");
}

function timeout(request: HttpRequest, cause: unknown): HttpFailure {
  return new HttpFailure("timeout", `no answer within ${request.timeoutMilliseconds} ms`, cause);
}

function isTimeout(error: unknown): boolean {
  return error instanceof Error && error.name === "TimeoutError";
}

/** The system's code (ECONNREFUSED) of an error or of what caused it; the message may hold an address. */
function codeOf(error: unknown): string {
  for (let at = error; at instanceof Error; at = at.cause) {
    if ("code" in at && typeof at.code === "string") return at.code;
  }
  return error instanceof Error ? error.name : "unknown";
}
