import type { FastifyReply, FastifyRequest } from "fastify";
import { z } from "zod";
import type { StruckCall } from "../faults.ts";
import { envelope, type Outcome, refusals, refuse, success } from "../refusal.ts";
import type { Simulation } from "../simulation.ts";
import type { Call, Endpoint } from "./endpoint.ts";

/** What faults make of a call, around the operation that never learns of them: before it is decided, and after. */

/** `unheard` when nobody looks at the call at all; an outcome that stands in its place; null when it is decided. */
export function beforeDeciding({ rule }: StruckCall): Outcome | "unheard" | null {
  switch (rule?.fault) {
    case "too_many_requests": {
      const seconds = rule.retryAfterSeconds;
      return refuse({
        code: 36009002,
        status: 429,
        message: "too many requests",
        ...(seconds === undefined ? {} : { retryAfterSeconds: seconds }),
      });
    }
    case "server_error":
      return rule.applied ? null : refuse({ ...refusals.internal, status: rule.status });
    case "reset":
    case "timeout":
      return rule.applied ? null : "unheard";
    default:
      return null;
  }
}

/** Calls for many things, and how each of these names what was refused. */
const severalItems: Readonly<Record<string, { readonly member: string; readonly detail: string }>> = {
  "POST /fulfillment/202309/packages/ship": { member: "packages", detail: "package_id" },
  "POST /product/202309/products/:productId/inventory/update": { member: "skus", detail: "sku_id" },
};
const itemsBody = z.record(z.string(), z.unknown());
const items = z.array(z.looseObject({ id: z.string() })).min(1);
const errorsData = z.object({ errors: z.array(z.unknown()) });

/** Lets the operation see a part of the items alone and reports the others as failed; they had no effect. */
export function answerPartly(
  simulation: Simulation,
  endpoint: Endpoint,
  call: Call,
  { rule, picks }: StruckCall,
): Outcome {
  const several = severalItems[`${endpoint.method} ${endpoint.path}`];
  const body = readItems(call.body);
  const asked = several === undefined ? undefined : items.safeParse(body?.[several.member]).data;
  if (rule?.fault !== "partial" || several === undefined || asked === undefined) {
    return endpoint.answer(simulation, call);
  }
  const { code, itemPercent } = rule;
  const picked = asked.filter((_item, place) => picks(place, itemPercent));
  const failed = new Set(picked.length === 0 ? asked.slice(0, 1) : picked);
  const rest = asked.filter((item) => !failed.has(item));
  const errors = [...failed].map(({ id }) => ({
    code,
    message: "this one could not be worked on",
    detail: { [several.detail]: id, ...(several.detail === "sku_id" ? { extra_errors: [] } : {}) },
  }));
  if (rest.length === 0) return { data: { errors } };
  const smaller = Buffer.from(JSON.stringify({ ...body, [several.member]: rest }));
  const outcome = endpoint.answer(simulation, { ...call, body: smaller });
  if ("refusal" in outcome) return outcome;
  return { data: { errors: [...errorsData.parse(outcome.data).errors, ...errors] } };
}

function readItems(body: Uint8Array): z.output<typeof itemsBody> | undefined {
  try {
    return itemsBody.safeParse(JSON.parse(Buffer.from(body).toString("utf8"))).data;
  } catch {
    return undefined;
  }
}

/** Replies as the rule says instead of with the outcome; false when the outcome is to be told as it is. */
export function spoilReply(
  { rule }: StruckCall,
  outcome: Outcome | "unheard",
  request: FastifyRequest,
  reply: FastifyReply,
): boolean {
  switch (rule?.fault) {
    case "timeout":
      // The caller gives up by itself; the server closes what is still open when it ends.
      reply.hijack();
      return true;
    case "reset":
      reply.hijack();
      request.raw.socket.resetAndDestroy();
      return true;
    case "server_error":
      void reply.code(rule.status).send(envelope(request.id, refusals.internal));
      return true;
    case "malformed":
      void reply.type("application/json").send(`{"code":0,"message":"Success","data":{]}`);
      return true;
    case "truncated":
    case "wrong_types":
      if (outcome === "unheard" || "refusal" in outcome) return false;
      if (rule.fault === "truncated") breakOff(reply, JSON.stringify(success(request.id, outcome.data)));
      else void reply.send(success(request.id, wrongTypes(outcome.data)));
      return true;
    case "too_many_requests":
    case "partial":
    case undefined:
      return false;
  }
}

/** Half of an answer under the length of the whole. */
function breakOff(reply: FastifyReply, text: string): void {
  reply.hijack();
  const { raw } = reply;
  raw.writeHead(200, { "content-type": "application/json", "content-length": Buffer.byteLength(text) });
  raw.write(text.slice(0, text.length / 2), () => raw.destroy());
}

/** Numbers where lists, texts and objects are due. */
function wrongTypes(data: unknown): unknown {
  const names = Object.keys(z.looseObject({}).catch({}).parse(data));
  return names.length === 0 ? 7 : Object.fromEntries(names.map((name) => [name, 7]));
}
