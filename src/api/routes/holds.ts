import type { FastifyPluginCallbackZod } from "fastify-type-provider-zod";
import { findClaimSku } from "../../db/read-models/claims.ts";
import { withTenant } from "../../db/tenant.ts";
import { largeChangeUnits } from "../../domain/approval/decide.ts";
import { asId, type SkuId, type TenantId } from "../../domain/ids.ts";
import { holdClaim, reservationIdOf } from "../../domain/stock/operation.ts";
import type { Session } from "../auth/access-tokens.ts";
import { idempotencyHeaders, idParameters } from "../contract/common.ts";
import { holdAnswer, holdBody, releaseAnswer } from "../contract/holds.ts";
import { problemResponse } from "../contract/problem.ts";
import type { ApiDependencies } from "../dependencies.ts";
import { answerOnce, uuidOf } from "../idempotency.ts";
import { isLargeChange } from "../large-changes.ts";
import { sessionOf } from "../plugins/authentication.ts";
import { notFound, Problem } from "../problem.ts";
import { getSku } from "../skus.ts";
import { stockRefused } from "../stock-refusals.ts";
import { changeStock } from "../stock-requests.ts";
import { askSku } from "../workflow-requests.ts";

const tags = ["inventory"];
const security = [{ accessToken: [] }];

type RouteApp = Parameters<FastifyPluginCallbackZod>[0];
type HoldDependencies = Pick<ApiDependencies, "db" | "temporal" | "queuePrefix">;

/** Units that are kept for something that is no order. */
export function holdRoutes(dependencies: HoldDependencies): FastifyPluginCallbackZod {
  return (app, _options, done) => {
    addHoldStock(app, dependencies);
    addReleaseHold(app, dependencies);
    done();
  };
}

function addHoldStock(app: RouteApp, dependencies: HoldDependencies): void {
  const { db } = dependencies;
  app.post(
    "/api/inventory/products/:id/holds",
    {
      config: { permission: "inventory:write" },
      schema: {
        operationId: "holdStock",
        tags,
        security,
        summary: "Keep units for something that is no order",
        description:
          "Takes only what is free while no order waits (409 otherwise). Ends by itself at `expires_at`; until then the units count as reserved.",
        headers: idempotencyHeaders,
        params: idParameters,
        body: holdBody,
        response: { 200: holdAnswer, default: problemResponse },
      },
    },
    async (request, reply) => {
      const session = sessionOf(request);
      const skuId = asId<"Sku">(request.params.id);
      const { quantity, expires_at: expiresAt, reason, location_id: locationId } = request.body;
      refuseLargeHold(session, quantity);
      await getSku(db, session.tenantId, skuId);
      return await answerOnce(db, request, reply, holdAnswer, async (effectId) => {
        const holdId = uuidOf(effectId);
        // Sent again after its end it is told what was done, if it was; what was not done by then must not be done any more.
        if (Date.parse(expiresAt) <= Date.now()) await endHold(dependencies, session.tenantId, skuId, holdId);
        const { available_stock } = await changeStock(dependencies, session.tenantId, skuId, {
          kind: "hold",
          holdId,
          quantity,
          expiresAt,
          reason,
          actorId: session.userId,
          locationId: locationId === undefined ? null : asId<"Location">(locationId),
        });
        return { success: true as const, hold_id: holdId, available_stock };
      });
    },
  );
}

function addReleaseHold(app: RouteApp, dependencies: HoldDependencies): void {
  const { db } = dependencies;
  app.post(
    "/api/inventory/holds/:id/release",
    {
      config: { permission: "inventory:write" },
      schema: {
        operationId: "releaseHold",
        tags,
        security,
        summary: "End a hold before its time",
        description:
          "Its end is one operation, whoever asks for it: `released` is true also when it had ended already.",
        headers: idempotencyHeaders,
        params: idParameters,
        response: { 200: releaseAnswer, default: problemResponse },
      },
    },
    async (request, reply) => {
      const session = sessionOf(request);
      const claim = holdClaim(request.params.id);
      const skuId = await withTenant(db, session.tenantId, (transaction) =>
        findClaimSku(transaction, reservationIdOf(claim)),
      );
      if (skuId === null) throw notFound("hold");
      return await answerOnce(db, request, reply, releaseAnswer, async () => {
        const answer = await askSku(dependencies, session.tenantId, skuId, {
          kind: "release",
          claim,
          reason: "Ended by hand",
        });
        if (answer.outcome === "refused") throw stockRefused(answer);
        return { success: true as const, released: answer.outcome === "released" };
      });
    },
  );
}

async function endHold(
  dependencies: HoldDependencies,
  tenantId: TenantId,
  skuId: SkuId,
  holdId: string,
): Promise<void> {
  const claim = holdClaim(holdId);
  await askSku(dependencies, tenantId, skuId, { kind: "release", claim, reason: "The hold has expired" });
}

/** A hold changes no stock, so there is nothing that could wait for an approval. */
function refuseLargeHold({ role }: Session, quantity: number): void {
  if (!isLargeChange(role, quantity)) return;
  throw new Problem(
    "permission-denied",
    `Holds of more than ${largeChangeUnits} units need an admin: ask one of your admins to make this one.`,
  );
}
