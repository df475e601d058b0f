import { createHash } from "node:crypto";
import type { FastifyReply, FastifyRequest } from "fastify";
import type { z } from "zod";
import { crashPoint } from "../crash-points.ts";
import type { Database } from "../db/connection.ts";
import {
  answerIdempotencyKey,
  claimIdempotencyKey,
  releaseIdempotencyKey,
  type StoredAnswer,
} from "../db/idempotency-keys.ts";
import { sessionOf } from "./plugins/authentication.ts";
import { problemSchema } from "./contract/problem.ts";
import { problemBody } from "./plugins/problems.ts";
import { Problem, problemKindOf } from "./problem.ts";

const leaseSeconds = 30;

type KeyedRequest = Pick<FastifyRequest, "method" | "url" | "id" | "session" | "log"> & {
  readonly body: unknown;
  readonly headers: { readonly "idempotency-key": string };
};

/**
 * Lets a request have one effect, however often it is sent with its key. What was decided, also a refusal, is stored and
 * answered again; what failed because something was away gives the key back, so that the same request can be sent again
 * and drives the same effect on.
 *
 * @param effect is told the effect's own id, made from tenant and key.
 * @param statusOf the status of an answer, where it is not always the same.
 */
export async function answerOnce<Schema extends z.ZodType>(
  db: Database,
  request: KeyedRequest,
  reply: FastifyReply,
  schema: Schema,
  effect: (effectId: string) => Promise<z.output<Schema>>,
  statusOf?: (body: z.output<Schema>) => 200 | 202,
): Promise<z.output<Schema>> {
  const { tenantId, userId } = sessionOf(request);
  const key = request.headers["idempotency-key"];
  const route = `${request.method} ${request.url.split("?", 1)[0] ?? ""}`;
  const requestHash = createHash("sha256")
    .update(JSON.stringify([userId, route, request.body]))
    .digest();
  const claim = await claimIdempotencyKey(db, tenantId, { key, route, requestHash }, leaseSeconds);
  switch (claim.claim) {
    case "running":
      throw new Problem(
        "idempotency-key-running",
        "Ask again in a moment, with the same key, for the answer.",
        {
          retryAfterSeconds: 1,
        },
      );
    case "other_request":
      throw new Problem("idempotency-key-reused", "The key belongs to another request: take a new one.");
    case "answered":
      void reply.header("idempotency-replayed", "true");
      throwStoredProblem(claim);
      if (statusOf !== undefined) void reply.code(claim.status);
      return schema.parse(claim.body);
    case "ours":
      crashPoint("key: claimed, nothing done");
      break;
  }
  const effectId = `${tenantId}:${key}`;
  // The ledger and the workflow know the effect; by this line a request id leads there.
  request.log.info({ effectId, userId }, "effect asked for");
  let body: z.output<Schema>;
  try {
    body = await effect(effectId);
  } catch (error) {
    if (error instanceof Problem && error.status < 500) {
      const answer = { status: error.status, body: problemBody(error, request) };
      await answerIdempotencyKey(db, tenantId, key, answer);
    } else {
      await releaseIdempotencyKey(db, tenantId, key);
    }
    throw error;
  }
  const status = statusOf?.(body) ?? 200;
  if (statusOf !== undefined) void reply.code(status);
  crashPoint("key: effect done, answer not stored");
  await answerIdempotencyKey(db, tenantId, key, { status, body });
  crashPoint("key: answer stored, not given");
  return body;
}

function throwStoredProblem({ status, body }: StoredAnswer): void {
  if (status < 400) return;
  const { type, detail } = problemSchema.parse(body);
  throw new Problem(problemKindOf(type), detail);
}

/** The same UUID for the same effect, for what is named by one. */
export function uuidOf(effectId: string): string {
  const hex = createHash("sha256").update(effectId).digest("hex");
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-8${hex.slice(13, 16)}-8${hex.slice(17, 20)}-${hex.slice(20, 32)}`;
}
