import { randomUUID } from "node:crypto";
import fs from "node:fs/promises";
import path from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { z } from "zod";
import { problemSchema } from "../api/contract/problem.ts";
import { sessionSchema } from "../api/contract/auth.ts";
import { CommandFailure } from "./failure.ts";

/** Where the command line finds everything: the configuration first, then what `npm start` has left in its folder. */
export interface Surroundings {
  readonly apiUrl: string;
  readonly email: string;
  readonly password: string;
  readonly simulatorUrl: string | null;
}

const startFirst =
  "Start everything with `npm start` (with the same CREATORFLOW_HOME, if you set one), or set CREATORFLOW_API_URL, CREATORFLOW_EMAIL and CREATORFLOW_PASSWORD.";

const runningSchema = z.object({
  addresses: z
    .object({
      apiUrl: z.string(),
      databaseUrl: z.string(),
      migrationUrl: z.string().nullable(),
      simulatorUrl: z.string().nullable(),
    })
    .optional(),
});
const demoSchema = z.object({ apiUrl: z.string(), email: z.string(), password: z.string() });

export type RunningAddresses = NonNullable<z.output<typeof runningSchema>["addresses"]>;

/** What the `npm start` of this folder has written down, or null when none runs. */
export async function findRunning(home: string): Promise<RunningAddresses | null> {
  const read = runningSchema.safeParse(await readJson(path.join(home, "running.json")));
  return read.success ? (read.data.addresses ?? null) : null;
}

/**
 * @throws CommandFailure when nothing says where the API is or who is asking.
 */
export async function findSurroundings(
  home: string,
  configured: {
    readonly apiUrl: string | null;
    readonly email: string | null;
    readonly password: string | null;
  },
): Promise<Surroundings> {
  const running = await findRunning(home);
  const demo = demoSchema.safeParse(await readJson(path.join(home, "demo.json")));
  const apiUrl = configured.apiUrl ?? running?.apiUrl ?? null;
  const email = configured.email ?? (demo.success ? demo.data.email : null);
  const password = configured.password ?? (demo.success ? demo.data.password : null);
  if (apiUrl === null) throw new CommandFailure(3, "No CreatorFlow is running here.", startFirst);
  if (email === null || password === null)
    throw new CommandFailure(3, "Nothing says who is asking.", startFirst);
  return { apiUrl, email, password, simulatorUrl: running?.simulatorUrl ?? null };
}

/**
 * A word of the command line as a part of an address.
 *
 * @throws CommandFailure when no address can hold it.
 */
export function pathPart(text: string): string {
  // Addresses are normalised: dots alone would ask for another route.
  if (text === "" || text === "." || text === ".." || /\p{Surrogate}/u.test(text))
    throw new CommandFailure(2, "That is no id or number that anything could have.");
  return encodeURIComponent(text);
}

async function readJson(file: string): Promise<unknown> {
  try {
    return JSON.parse(await fs.readFile(file, "utf8"));
  } catch {
    return null;
  }
}

/** Speaks to the API as one person. */
export interface ApiClient {
  get<Shape extends z.ZodType>(
    route: string,
    query: Readonly<Record<string, string | number | undefined>>,
    shape: Shape,
  ): Promise<z.output<Shape>>;
  /** Writes carry an idempotency key of their own, so that a lost answer can be asked for again. */
  post<Shape extends z.ZodType>(route: string, body: object, shape: Shape): Promise<z.output<Shape>>;
  /** @param ifMatch the etag of what the write is based on, where it must say so. */
  put<Shape extends z.ZodType>(
    route: string,
    body: object,
    shape: Shape,
    ifMatch?: string,
  ): Promise<z.output<Shape>>;
  /** Sends a CSV file under a key of the caller's. */
  upload<Shape extends z.ZodType>(
    route: string,
    csv: Buffer,
    key: string,
    shape: Shape,
  ): Promise<z.output<Shape>>;
  /** Gives a CSV file, as it comes. */
  download(
    route: string,
    query: Readonly<Record<string, string | undefined>>,
  ): Promise<ReadableStream<Uint8Array>>;
}

const answerMilliseconds = 30_000;
/** Times that a write is sent when the API cannot tell whether it was carried out, and the seconds between them. */
const writes = { triesMaximum: 3, gapSeconds: 5 } as const;

/** Logs in. */
export async function logIn({ apiUrl, email, password }: Surroundings): Promise<ApiClient> {
  const session = await request(
    apiUrl,
    "POST",
    "/api/auth/login",
    { body: { email, password } },
    sessionSchema,
  );
  const token = session.access_token;
  return {
    get: (route, query, shape) => request(apiUrl, "GET", withQuery(route, query), { token }, shape),
    post: (route, body, shape) => request(apiUrl, "POST", route, { token, body, key: randomUUID() }, shape),
    put: (route, body, shape, ifMatch) =>
      request(
        apiUrl,
        "PUT",
        route,
        { token, body, key: randomUUID(), ...(ifMatch === undefined ? {} : { ifMatch }) },
        shape,
      ),
    upload: (route, csv, key, shape) => request(apiUrl, "POST", route, { token, csv, key }, shape),
    download: async (route, query) => {
      const response = await send(apiUrl, "GET", withQuery(route, query), { token });
      if (response.ok && response.body !== null) return response.body;
      throw refusedBy(apiUrl, "GET", route, response.status, await response.json().catch(() => null));
    },
  };
}

function withQuery(route: string, query: Readonly<Record<string, string | number | undefined>>): string {
  const given = Object.entries(query).flatMap(([key, value]): [string, string][] =>
    value === undefined ? [] : [[key, String(value)]],
  );
  return given.length === 0 ? route : `${route}?${new URLSearchParams(given).toString()}`;
}

interface RequestDetails {
  readonly token?: string;
  readonly body?: object;
  readonly csv?: Buffer;
  readonly key?: string;
  readonly ifMatch?: string;
}

async function send(
  apiUrl: string,
  method: "GET" | "POST" | "PUT",
  route: string,
  { token, body, csv, key, ifMatch }: RequestDetails,
): Promise<Response> {
  const sent = csv ?? (body === undefined ? undefined : JSON.stringify(body));
  try {
    return await fetch(new URL(route, apiUrl), {
      method,
      headers: {
        ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
        ...(key === undefined ? {} : { "idempotency-key": key }),
        ...(ifMatch === undefined ? {} : { "if-match": ifMatch }),
        ...(sent === undefined
          ? {}
          : { "content-type": csv === undefined ? "application/json" : "text/csv" }),
      },
      ...(sent === undefined ? {} : { body: sent }),
      signal: AbortSignal.timeout(answerMilliseconds),
    });
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new CommandFailure(3, `The API at ${apiUrl} does not answer (${why}).`, startFirst);
  }
}

async function request<Shape extends z.ZodType>(
  apiUrl: string,
  method: "GET" | "POST" | "PUT",
  route: string,
  details: RequestDetails,
  shape: Shape,
  attempt = 1,
): Promise<z.output<Shape>> {
  const response = await send(apiUrl, method, route, details);
  const body: unknown = await response.json().catch(() => null);
  if (response.ok) {
    const read = shape.safeParse(body);
    if (read.success) return read.data;
    throw new CommandFailure(
      4,
      `${method} ${route} answered something else than this version expects.`,
      `Is ${apiUrl} an API of CreatorFlow, and of this version?`,
    );
  }
  const isUnclear = response.status === 503 && details.key !== undefined;
  if (isUnclear && attempt < writes.triesMaximum) {
    await pause(writes.gapSeconds * 1_000);
    return await request(apiUrl, method, route, details, shape, attempt + 1);
  }
  if (isUnclear && details.csv === undefined) {
    const read = problemSchema.safeParse(body);
    throw new CommandFailure(
      4,
      `${read.data?.title ?? "Not available"}: asked ${attempt} times, and nothing says whether it was carried out.`,
      `The same command would be a new request: look first. Request ${read.data?.requestId ?? "unknown"}`,
    );
  }
  throw refusedBy(apiUrl, method, route, response.status, body);
}

function refusedBy(
  apiUrl: string,
  method: string,
  route: string,
  status: number,
  body: unknown,
): CommandFailure {
  const problem = problemSchema.safeParse(body);
  if (!problem.success)
    return new CommandFailure(
      4,
      `${method} ${route} answered ${status}.`,
      `Is ${apiUrl} an API of CreatorFlow?`,
    );
  const { title, detail, errors = [], requestId } = problem.data;
  const places = errors.map((error) => `\n  ${error.pointer}: ${error.detail}`).join("");
  return new CommandFailure(4, `${title}: ${detail}${places}`, `Request ${requestId}`);
}
