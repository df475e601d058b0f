/** What kinds of problems there are: their status and title, in one place. */
export const problemKinds = {
  "invalid-request": { status: 400, title: "The request is not valid" },
  "idempotency-key-missing": { status: 400, title: "The request needs an Idempotency-Key" },
  unauthenticated: { status: 401, title: "Sign in first" },
  "permission-denied": { status: 403, title: "Your role may not do this" },
  "not-found": { status: 404, title: "There is nothing here" },
  "method-not-allowed": { status: 405, title: "This address does not take that method" },
  refused: { status: 409, title: "The request was understood and refused" },
  "idempotency-key-running": { status: 409, title: "A request with this Idempotency-Key is under way" },
  "precondition-failed": { status: 412, title: "It has changed since you looked at it" },
  "too-large": { status: 413, title: "The request is too large" },
  "unsupported-media-type": { status: 415, title: "The request's body has a type that is not read" },
  "idempotency-key-reused": { status: 422, title: "The Idempotency-Key was used for another request" },
  "precondition-required": { status: 428, title: "The request must say what it is based on" },
  "too-many-requests": { status: 429, title: "Too many requests" },
  internal: { status: 500, title: "Something went wrong on our side" },
  unavailable: { status: 503, title: "Not available for the moment" },
} as const;

export type ProblemKind = keyof typeof problemKinds;

const typePrefix = "urn:creatorflow:problem:";

export function problemTypeOf(kind: ProblemKind): string {
  return typePrefix + kind;
}

/** The kind that a problem's type names; `refused` for one that we do not know any more. */
export function problemKindOf(type: string): ProblemKind {
  const name = type.slice(typePrefix.length);
  return Object.hasOwn(problemKinds, name) ? (name as ProblemKind) : "refused";
}

export interface ProblemOptions extends ErrorOptions {
  readonly errors?: readonly { readonly pointer: string; readonly detail: string }[];
  readonly retryAfterSeconds?: number;
}

/** Thrown by routes and hooks; one plugin turns it into an answer. The detail is for the caller, the cause for the log. */
export class Problem extends Error {
  readonly kind: ProblemKind;
  readonly errors: ProblemOptions["errors"];
  readonly retryAfterSeconds: number | undefined;

  constructor(kind: ProblemKind, detail: string, options: ProblemOptions = {}) {
    super(detail, options);
    this.kind = kind;
    this.errors = options.errors;
    this.retryAfterSeconds = options.retryAfterSeconds;
  }

  get status(): number {
    return problemKinds[this.kind].status;
  }
}

/** One body for what does not exist and for what belongs to somebody else. */
export function notFound(what: string): Problem {
  return new Problem("not-found", `There is no such ${what}.`);
}
