import type { FastifyPluginCallbackZod } from "fastify-type-provider-zod";
import { z } from "zod";
import { crashPoint } from "../../crash-points.ts";
import { appendAudit } from "../../db/audit-log.ts";
import { type ApprovalRow, findApproval, listApprovals } from "../../db/read-models/approvals.ts";
import { withTenant } from "../../db/tenant.ts";
import { isRefusal } from "../../domain/decision.ts";
import { asId } from "../../domain/ids.ts";
import { approvalSchema, approvalsPage, approvalsQuery, decisionBody } from "../contract/approvals.ts";
import { idempotencyHeaders, idParameters } from "../contract/common.ts";
import { problemResponse } from "../contract/problem.ts";
import { cutPage, readCursor } from "../cursor.ts";
import type { ApiDependencies } from "../dependencies.ts";
import { answerOnce } from "../idempotency.ts";
import { originOf, sessionOf } from "../plugins/authentication.ts";
import { notFound, Problem } from "../problem.ts";
import { stockRefusals } from "../stock-refusals.ts";
import { askToDecide } from "../workflow-requests.ts";

const tags = ["approvals"];
const security = [{ accessToken: [] }];
const cursorShape = z.tuple([z.string().regex(/^[0-9 :.+-]{10,40}$/), z.uuid()]);

type ApprovalDependencies = Pick<ApiDependencies, "db" | "temporal" | "queuePrefix">;
type RouteApp = Parameters<FastifyPluginCallbackZod>[0];

/** Large changes of stock that wait for somebody who may make them. */
export function approvalRoutes(dependencies: ApprovalDependencies): FastifyPluginCallbackZod {
  return (app, _options, done) => {
    addListApprovals(app, dependencies);
    addGetApproval(app, dependencies);
    addDecision(app, dependencies, "approve", {
      operationId: "approveChange",
      summary: "Approve a large change of stock",
      description:
        "The stock has the last word: when units were sold meanwhile it may refuse, and the approval is `failed` with the reason. " +
        "Nobody approves what he has asked for himself. Approved again it answers the same and changes nothing.",
    });
    addDecision(app, dependencies, "reject", {
      operationId: "rejectChange",
      summary: "Reject a large change of stock",
      description: "Nothing is changed, and the change can be asked for anew.",
    });
    done();
  };
}

function addListApprovals(app: RouteApp, { db }: ApprovalDependencies): void {
  app.get(
    "/api/approvals",
    {
      config: { permission: "inventory:read" },
      schema: {
        operationId: "listApprovals",
        tags,
        security,
        summary: "Large changes of stock that were asked for",
        description: "Newest first, with the stock when they were asked for and now.",
        querystring: approvalsQuery,
        response: { 200: approvalsPage, default: problemResponse },
      },
    },
    async (request) => {
      const { state, limit, cursor } = request.query;
      const before = readCursor(cursor, cursorShape);
      const position = before === null ? null : { sortTime: before[0], id: before[1] };
      const rows = await withTenant(db, sessionOf(request).tenantId, (transaction) =>
        listApprovals(transaction, state, limit, position),
      );
      const { page, nextCursor } = cutPage(rows, limit, (row) => [row.sort_time, row.id]);
      return { approvals: page.map(bodyOf), next_cursor: nextCursor };
    },
  );
}

function addGetApproval(app: RouteApp, { db }: ApprovalDependencies): void {
  app.get(
    "/api/approvals/:id",
    {
      config: { permission: "inventory:read" },
      schema: {
        operationId: "getApproval",
        tags,
        security,
        summary: "One large change of stock that was asked for",
        description: "With the stock when it was asked for, now, and after it was applied.",
        params: idParameters,
        response: { 200: approvalSchema, default: problemResponse },
      },
    },
    async (request) =>
      bodyOf(
        await withTenant(db, sessionOf(request).tenantId, async (transaction) =>
          known(await findApproval(transaction, request.params.id)),
        ),
      ),
  );
}

function addDecision(
  app: RouteApp,
  dependencies: ApprovalDependencies,
  kind: "approve" | "reject",
  words: { readonly operationId: string; readonly summary: string; readonly description: string },
): void {
  const { db } = dependencies;
  app.post(
    `/api/approvals/:id/${kind}`,
    {
      config: { permission: "approvals:decide" },
      schema: {
        ...words,
        tags,
        security,
        headers: idempotencyHeaders,
        params: idParameters,
        body: decisionBody,
        response: { 200: approvalSchema, default: problemResponse },
      },
    },
    async (request, reply) => {
      const { tenantId, userId } = sessionOf(request);
      const { id } = request.params;
      const find = () =>
        withTenant(db, tenantId, async (transaction) => known(await findApproval(transaction, id)));
      const approval = await find();
      const skuId = asId<"Sku">(approval.sku_id);
      const note = request.body.note ?? null;
      return await answerOnce(db, request, reply, approvalSchema, async (effectId) => {
        await withTenant(db, tenantId, (transaction) =>
          appendAudit(transaction, tenantId, {
            eventType: "approval_decided",
            userId,
            skuId,
            newValues: { approval_id: id, decision: kind },
            ...(note === null ? {} : { reason: note }),
            ...originOf(request),
          }),
        );
        crashPoint("approval: audited, workflow not asked");
        const decision = await askToDecide(
          dependencies,
          tenantId,
          { id, skuId },
          { kind, by: userId, note },
          effectId,
        );
        if (isRefusal(decision)) throw new Problem("refused", decision.explanation);
        return bodyOf(await find());
      });
    },
  );
}

function known(approval: ApprovalRow | null): ApprovalRow {
  if (approval === null) throw notFound("approval");
  return approval;
}

function bodyOf(row: ApprovalRow): z.output<typeof approvalSchema> {
  const { sku_id, on_hand_after, available_after, refusal } = row;
  return {
    ...row,
    product_id: sku_id,
    refusal: refusal === null ? null : stockRefusals[refusal],
    stock_when_asked: { on_hand: row.on_hand_when_asked, available: row.available_when_asked },
    stock_now: { on_hand: row.on_hand_now, available: row.available_now },
    stock_after:
      on_hand_after === null || available_after === null
        ? null
        : { on_hand: on_hand_after, available: available_after },
  };
}
