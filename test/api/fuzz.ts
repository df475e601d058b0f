import type { LightMyRequestResponse } from "fastify";

/** What an OpenAPI document says of one operation, as far as it is needed to break it. */
export interface Operation {
  readonly method: "GET" | "POST" | "PUT" | "PATCH" | "DELETE";
  readonly path: string;
  readonly queryNames: readonly string[];
  readonly hasBody: boolean;
}

interface Document {
  readonly paths: Readonly<
    Record<
      string,
      Readonly<
        Record<
          string,
          {
            readonly parameters?: readonly { readonly name: string; readonly in: string }[];
            readonly requestBody?: unknown;
          }
        >
      >
    >
  >;
}

export function operationsOf(document: Document): readonly Operation[] {
  return Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(
      ([method, { parameters = [], requestBody }]): Operation => ({
        method: method.toUpperCase() as Operation["method"],
        path,
        queryNames: parameters.filter((each) => each.in === "query").map(({ name }) => name),
        hasBody: requestBody !== undefined,
      }),
    ),
  );
}

/** Texts that no id, number, date or cursor is, as they stand in a path or a query. */
const texts = [
  "%00",
  "%ff%fe",
  "%ed%a0%80",
  "%c0%af",
  "..%2f..%2fetc%2fpasswd",
  "__proto__",
  "constructor",
  "9007199254740993",
  "-9223372036854775809",
  "1e400",
  "NaN",
  "-0",
  "null",
  "undefined",
  "%5B%5D",
  "%7B%7D",
  "'%20or%201%3D1--",
  "%3Cscript%3E",
  "x".repeat(199),
  "%F0%9F%92%A9",
  "%0d%0aset-cookie:a=b",
  "99999999-9999-9999-9999-99999999999",
  "2026-02-30",
  "{{7*7}}",
] as const;

const values = [
  null,
  true,
  0,
  -1,
  1.5,
  9_007_199_254_740_993,
  -9_007_199_254_740_993,
  1e308,
  "",
  " ",
  "\u0000",
  "\ud800",
  "a\u0000b",
  "x".repeat(5_000),
  [],
  [[[]]],
  {},
  { $ne: null },
  { toString: "x" },
  "9007199254740993",
  "=1+1",
  "'; drop table orders; --",
] as const;

const deep = 100_000;
const rawBodies: readonly (readonly [string, string])[] = [
  ["", "application/json"],
  ["{", "application/json"],
  ["null", "application/json"],
  ["[]", "application/json"],
  ["1", "application/json"],
  ['"text"', "application/json"],
  ["NaN", "application/json"],
  ["{}{}", "application/json"],
  ['{"a":1,}', "application/json"],
  ['{"__proto__":{"role":"admin"}}', "application/json"],
  ['{"constructor":{"prototype":{"role":"admin"}}}', "application/json"],
  ["[".repeat(deep) + "]".repeat(deep), "application/json"],
  [`${'{"a":'.repeat(30_000)}1${"}".repeat(30_000)}`, "application/json"],
  [`{"a":"${"x".repeat(256 * 1_024)}"}`, "application/json"],
  ['{"quantity":1e400}', "application/json"],
  ["quantity=1", "application/x-www-form-urlencoded"],
  ["<a/>", "application/xml"],
  ["{}", "application/json; charset=utf-7"],
  ["{}", "nonsense"],
];

export interface BadRequest {
  readonly method: Operation["method"];
  readonly url: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly payload?: string;
}

/** Requests of an operation of which none may succeed in changing anything, and none may give a 5xx. */
export function badRequestsOf(operation: Operation, fieldNames: readonly string[]): readonly BadRequest[] {
  const { method, path, queryNames, hasBody } = operation;
  const filled = (text: string) => path.replaceAll(/\{\w+\}/g, text);
  const unknown = filled("00000000-0000-4000-8000-000000000000");
  const inPath = path.includes("{") ? texts.map((text): BadRequest => ({ method, url: filled(text) })) : [];
  const inQuery = [...queryNames, "__proto__", "constructor[prototype]"].flatMap((name) =>
    texts.map((text): BadRequest => ({ method, url: `${unknown}?${name}=${text}` })),
  );
  if (!hasBody) return [...inPath, ...inQuery];
  const json = (payload: string, type = "application/json"): BadRequest => ({
    method,
    url: unknown,
    headers: { "content-type": type, "idempotency-key": crypto.randomUUID() },
    payload,
  });
  return [
    ...inPath,
    ...inQuery,
    ...rawBodies.map(([payload, type]) => json(payload, type)),
    ...fieldNames.flatMap((name) => values.map((value) => json(JSON.stringify({ [name]: value })))),
  ];
}

export function describeAnswer(request: BadRequest, response: LightMyRequestResponse): string {
  return `${request.method} ${request.url.slice(0, 200)} ${request.payload?.slice(0, 80) ?? ""} → ${response.statusCode} ${response.body.slice(0, 200)}`;
}
