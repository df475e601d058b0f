import { z } from "zod";
import { badRequest, type Outcome, type Refusal, refuse } from "../refusal.ts";
import type { Simulation } from "../simulation.ts";

/** A call as it arrived: nothing of it has been believed yet. */
export interface Call {
  readonly path: string;
  readonly params: unknown;
  readonly query: ReadonlyMap<string, string>;
  readonly body: Uint8Array;
  readonly contentType: string;
  readonly token: string | undefined;
  /** Scheme and host by which the caller reached us. */
  readonly origin: string;
}

/** One operation of the API. `answer` is synchronous: everything it changes is one step. */
export interface Endpoint {
  readonly method: "GET" | "POST";
  readonly path: string;
  /** What TikTok checks before the operation: a signature, a token, a shop's cipher; or none of it. */
  readonly access: "open" | "seller" | "shop";
  readonly answer: (simulation: Simulation, call: Call) => Outcome;
}

/** The parts of a call that an operation reads, after their schemas. */
interface Given<Params, Query, Body> {
  readonly params: Params;
  readonly query: Query;
  readonly body: Body;
  readonly origin: string;
}

const anything = z.object({});

/** An operation whose path, query and body are parsed before it is asked; what does not fit is a 36009004. */
export function endpoint<
  Params extends z.ZodType = typeof anything,
  Query extends z.ZodType = typeof anything,
  Body extends z.ZodType = typeof anything,
>(options: {
  readonly method: "GET" | "POST";
  readonly path: string;
  readonly access: Endpoint["access"];
  readonly params?: Params;
  readonly query?: Query;
  readonly body?: Body;
  readonly answer: (
    simulation: Simulation,
    given: Given<z.output<Params>, z.output<Query>, z.output<Body>>,
  ) => Outcome;
}): Endpoint {
  const { method, path, access } = options;
  const schema = z.object({
    params: options.params ?? anything,
    query: options.query ?? anything,
    body: options.body ?? anything,
  });
  return {
    method,
    path,
    access,
    answer: (simulation, call) => {
      const body = readJson(call.body);
      if (body === undefined) return refuse(badRequest("the request body is not valid JSON"));
      const given = schema.safeParse({ params: call.params, query: Object.fromEntries(call.query), body });
      if (!given.success) return refuse(describe(given.error));
      return options.answer(simulation, {
        ...(given.data as unknown as Given<z.output<Params>, z.output<Query>, z.output<Body>>),
        origin: call.origin,
      });
    },
  };
}

/** A 64-bit id as text. */
export const wireId = z.string().regex(/^\d{1,20}$/, "must be an id");

/** A whole number in a query. */
export function wholeNumber(min: number, max: number) {
  return z
    .string()
    .regex(/^\d+$/, "must be a whole number")
    .transform(Number)
    .pipe(z.number().min(min).max(max));
}

function readJson(body: Uint8Array): unknown {
  if (body.length === 0) return {};
  try {
    return JSON.parse(Buffer.from(body).toString("utf8"));
  } catch {
    return undefined;
  }
}

function describe(error: z.ZodError): Refusal {
  const [issue] = error.issues;
  if (issue === undefined) return badRequest("the request is invalid");
  const [, ...place] = issue.path;
  return badRequest(`the parameter ${place.join(".")} is invalid: ${issue.message}`);
}
