import type { FastifyPluginCallbackZod } from "fastify-type-provider-zod";
import { z } from "zod";
import { appendAudit } from "../../db/audit-log.ts";
import { beginRepair } from "../../db/drifts.ts";
import { type DriftRow, findDrift, listDrifts } from "../../db/read-models/channel.ts";
import { withTenant } from "../../db/tenant.ts";
import { largeChangeUnits } from "../../domain/approval/decide.ts";
import { asId } from "../../domain/ids.ts";
import type { Session } from "../auth/access-tokens.ts";
import { driftsPage, driftsQuery, repairAnswer, type RepairBody, repairBody } from "../contract/channel.ts";
import { idempotencyHeaders, idParameters } from "../contract/common.ts";
import { mayDo } from "../contract/permissions.ts";
import { problemResponse } from "../contract/problem.ts";
import { cutPage, readCursor } from "../cursor.ts";
import type { ApiDependencies } from "../dependencies.ts";
import { answerOnce } from "../idempotency.ts";
import { originOf, sessionOf } from "../plugins/authentication.ts";
import { notFound, Problem } from "../problem.ts";
import { askSku } from "../workflow-requests.ts";

const tags = ["inventory"];
const security = [{ accessToken: [] }];
const driftsCursor = z.tuple([z.uuid()]);

type DriftDependencies = Pick<ApiDependencies, "db" | "temporal" | "queuePrefix">;
type RouteApp = Parameters<FastifyPluginCallbackZod>[0];

/** What listings show and nothing explains, and its repair. */
export function driftRoutes(dependencies: DriftDependencies): FastifyPluginCallbackZod {
  return (app, _options, done) => {
    addListDrifts(app, dependencies);
    addRepairDrift(app, dependencies);
    done();
  };
}

function addListDrifts(app: RouteApp, { db }: DriftDependencies): void {
  app.get(
    "/api/inventory/drifts",
    {
      config: { permission: "inventory:read" },
      schema: {
        operationId: "listDrifts",
        tags,
        security,
        summary: "Listings that show what nothing explains",
        description: "With the probable cause and the units; newest first.",
        querystring: driftsQuery,
        response: { 200: driftsPage, default: problemResponse },
      },
    },
    async (request) => {
      const { limit, cursor, state, sku_id: skuId } = request.query;
      const before = readCursor(cursor, driftsCursor);
      const rows = await withTenant(db, sessionOf(request).tenantId, (transaction) =>
        listDrifts(transaction, { state, skuId }, limit, before?.[0] ?? null),
      );
      const { page, nextCursor } = cutPage(rows, limit, (row) => [row.id]);
      return { drifts: [...page], next_cursor: nextCursor };
    },
  );
}

function addRepairDrift(app: RouteApp, dependencies: DriftDependencies): void {
  const { db } = dependencies;
  app.post(
    "/api/inventory/drifts/:id/repair",
    {
      config: { permission: "inventory:write" },
      schema: {
        operationId: "repairDrift",
        tags,
        security,
        summary: "Repair a drift",
        description:
          "Either the channel is told our number again, or our stock is corrected by the difference, as one movement with the reason. " +
          "Corrections of more than 100 units need an admin. The drift is closed when the listing is seen to agree.",
        headers: idempotencyHeaders,
        params: idParameters,
        body: repairBody,
        response: { 200: repairAnswer, default: problemResponse },
      },
    },
    async (request, reply) => {
      const session = sessionOf(request);
      const { id } = request.params;
      const drift = await withTenant(db, session.tenantId, (transaction) => findDrift(transaction, id));
      if (drift === null) throw notFound("drift");
      return await answerOnce(db, request, reply, repairAnswer, () =>
        repair(dependencies, request, drift, request.body),
      );
    },
  );
}

async function repair(
  dependencies: DriftDependencies,
  request: Parameters<typeof sessionOf>[0] & Parameters<typeof originOf>[0],
  drift: DriftRow,
  { how, reason }: RepairBody,
): Promise<z.output<typeof repairAnswer>> {
  const session = sessionOf(request);
  if (drift.state === "closed")
    throw new Problem("refused", "The drift is closed: the listing shows what it should.");
  const skuId = asId<"Sku">(drift.sku_id);
  const newStockLevel = how === "take_theirs" ? await takeTheirs(dependencies, session, drift, reason) : null;
  await withTenant(dependencies.db, session.tenantId, async (transaction) => {
    const { tenantId, userId } = session;
    await beginRepair(transaction, tenantId, { id: drift.id, skuId, how, by: userId, reason });
    await appendAudit(transaction, tenantId, {
      eventType: "drift_repair",
      userId,
      skuId,
      newValues: { how, cause: drift.cause, units: drift.units },
      reason,
      ...originOf(request),
    });
  });
  return { success: true, new_stock_level: newStockLevel };
}

/** Our stock is corrected by the difference that was found, never set to their number: that would count sales twice. */
async function takeTheirs(
  dependencies: DriftDependencies,
  session: Session,
  drift: DriftRow,
  reason: string,
): Promise<number> {
  if (drift.cause === "missing_listing" || drift.location_id === null || drift.observation_id === null) {
    throw new Problem("refused", "The channel shows nothing that could be taken.");
  }
  if (drift.state === "suspected") {
    throw new Problem(
      "refused",
      "News of a hand-over may still explain the difference: wait for the next poll.",
    );
  }
  if (Math.abs(drift.units) > largeChangeUnits && !mayDo(session.role, "inventory:write_large")) {
    throw new Problem(
      "permission-denied",
      `Corrections of more than ${largeChangeUnits} units need an admin: ask one of your admins to make this one.`,
    );
  }
  const answer = await askSku(dependencies, session.tenantId, asId<"Sku">(drift.sku_id), {
    kind: "correct",
    correctionId: drift.id,
    quantity: drift.units,
    reason,
    actorId: session.userId,
    locationId: asId<"Location">(drift.location_id),
    observationId: drift.observation_id,
  });
  if (answer.outcome === "adjusted") return answer.onHand;
  const why = answer.outcome === "refused" ? answer.reason : answer.outcome;
  throw new Problem(
    "refused",
    why === "below_reserved"
      ? "Fewer units would remain than are promised to orders: cancel orders first, or push ours."
      : `The stock refused the correction (${why}).`,
  );
}
