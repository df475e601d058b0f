import type { FastifyBaseLogger, FastifyError, FastifyInstance, FastifyReply, FastifyRequest } from "fastify";
import { hasZodFastifySchemaValidationErrors } from "fastify-type-provider-zod";
import type { ProblemBody } from "../contract/problem.ts";
import { Problem, type ProblemKind, problemKinds, problemTypeOf } from "../problem.ts";

/** The only place where an error becomes an answer. Nothing of an unexpected error reaches the caller. */
export function answerWithProblems(app: FastifyInstance): void {
  app.setErrorHandler((error, request, reply) => sendProblem(error, request, reply));
  app.setNotFoundHandler((request, reply) =>
    sendProblem(new Problem("not-found", "No route has this address and method."), request, reply),
  );
}

export function sendProblem(error: unknown, request: FastifyRequest, reply: FastifyReply): FastifyReply {
  const problem = problemOf(error);
  logProblem(request.log, problem);
  if (problem.retryAfterSeconds !== undefined) {
    void reply.header("retry-after", Math.max(1, Math.ceil(problem.retryAfterSeconds)));
  }
  if (problem.kind === "unauthenticated") void reply.header("www-authenticate", "Bearer");
  // What the framework refuses by itself has met no hook yet.
  void reply.header("x-request-id", request.id);
  return reply
    .code(problem.status)
    .type("application/problem+json")
    .serializer((body: unknown) => JSON.stringify(body))
    .send(problemBody(problem, request));
}

export function problemBody(problem: Problem, request: Pick<FastifyRequest, "url" | "id">): ProblemBody {
  const { status, title } = problemKinds[problem.kind];
  return {
    type: problemTypeOf(problem.kind),
    title,
    status,
    detail: problem.message,
    instance: request.url.split("?", 1)[0] ?? "/",
    requestId: request.id,
    ...(problem.errors === undefined ? {} : { errors: [...problem.errors] }),
  };
}

function logProblem(log: FastifyBaseLogger, problem: Problem): void {
  if (problem.status >= 500) log.error({ err: problem.cause ?? problem }, problem.message);
  else log.debug({ problem: problem.kind }, problem.message);
}

function problemOf(error: unknown): Problem {
  if (error instanceof Problem) return error;
  if (hasZodFastifySchemaValidationErrors(error)) return invalidRequest(error);
  const fromFramework = frameworkProblem(error);
  if (fromFramework !== null) return fromFramework;
  if (isUnavailable(error)) {
    return new Problem(
      "unavailable",
      "The database does not answer at the moment. Nothing was lost: try again.",
      {
        cause: error,
        retryAfterSeconds: 2,
      },
    );
  }
  if (isUnusableValue(error)) {
    return new Problem("invalid-request", "The request holds a value that no record can have.", {
      cause: error,
    });
  }
  return new Problem(
    "internal",
    "The request failed for a reason of ours; the request id finds it in the logs.",
    {
      cause: error,
    },
  );
}

type InvalidRequest = Error & {
  readonly validation: readonly { readonly instancePath: string; readonly message?: string | undefined }[];
  readonly validationContext?: string | undefined;
};

const partNames: Readonly<Record<string, string>> = {
  body: "body",
  querystring: "query",
  params: "path",
  headers: "headers",
};

function invalidRequest(error: Pick<InvalidRequest, "validation" | "validationContext">): Problem {
  const part = partNames[error.validationContext ?? ""] ?? "request";
  const isKeyMissing =
    part === "headers" && error.validation.some((each) => each.instancePath === "/idempotency-key");
  return new Problem(
    isKeyMissing ? "idempotency-key-missing" : "invalid-request",
    isKeyMissing
      ? "Send an Idempotency-Key of 1 to 255 visible characters, new for each thing you want done."
      : `The ${part} does not have the shape that this route takes.`,
    {
      errors: error.validation.slice(0, 20).map((each) => ({
        pointer: `/${part}${each.instancePath === "/" ? "" : each.instancePath}`.slice(0, 300),
        detail: (each.message ?? "is not valid").slice(0, 300),
      })),
    },
  );
}

const frameworkProblems: Readonly<Record<string, readonly [ProblemKind, string]>> = {
  FST_ERR_CTP_BODY_TOO_LARGE: [
    "too-large",
    "The body is larger than this route takes: 256 KB, a batch of changes 2 MB.",
  ],
  FST_ERR_CTP_INVALID_MEDIA_TYPE: ["unsupported-media-type", "Send application/json."],
  FST_ERR_CTP_EMPTY_JSON_BODY: ["invalid-request", "The body is empty although it is said to be JSON."],
  FST_ERR_CTP_INVALID_JSON_BODY: ["invalid-request", "The body is not JSON."],
  FST_ERR_CTP_INVALID_CONTENT_LENGTH: [
    "invalid-request",
    "The body is not as long as its Content-Length says.",
  ],
  FST_ERR_BAD_URL: ["invalid-request", "The address is not well formed."],
  FST_ERR_MAX_PARAM_LENGTH: ["invalid-request", "A part of the address is too long."],
  FST_ERR_ASYNC_CONSTRAINT: ["invalid-request", "The address is not well formed."],
};

function frameworkProblem(error: unknown): Problem | null {
  if (!(error instanceof Error)) return null;
  const { code, statusCode } = error as Partial<FastifyError>;
  const known = frameworkProblems[code ?? ""];
  if (known !== undefined) return new Problem(known[0], known[1], { cause: error });
  if (statusCode !== undefined && statusCode >= 400 && statusCode < 500) {
    return new Problem("invalid-request", "The request could not be read.", { cause: error });
  }
  return null;
}

const unavailableCodes =
  /^(08|28|3D|53|57|58)|^(40001|40P01|55P03)$|^(ECONNREFUSED|ECONNRESET|ETIMEDOUT|EPIPE|ENOTFOUND)$/;
const unavailableMessages =
  /timeout exceeded when trying to connect|query read timeout|connection terminated|not queryable/i;

/** The database is away, full, starting or too slow: the same request may succeed in a moment. */
function isUnavailable(error: unknown): boolean {
  if (error instanceof AggregateError) return error.errors.some(isUnavailable);
  if (!(error instanceof Error)) return false;
  const { code } = error as { code?: unknown };
  return (typeof code === "string" && unavailableCodes.test(code)) || unavailableMessages.test(error.message);
}

/** The last net below the schemas: a value that no column or cast can take is the caller's mistake. */
const dataException = /^22/;

function isUnusableValue(error: unknown): boolean {
  return (
    error instanceof Error &&
    "code" in error &&
    typeof error.code === "string" &&
    dataException.test(error.code)
  );
}
