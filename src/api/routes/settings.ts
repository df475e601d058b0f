import type { FastifyPluginCallbackZod } from "fastify-type-provider-zod";
import { findShortagePolicy, setShortagePolicy } from "../../db/seller-settings.ts";
import { withTenant } from "../../db/tenant.ts";
import { idempotencyHeaders } from "../contract/common.ts";
import { shortagePolicyBody, shortagePolicySchema } from "../contract/orders.ts";
import { problemResponse } from "../contract/problem.ts";
import type { ApiDependencies } from "../dependencies.ts";
import { answerOnce } from "../idempotency.ts";
import { originOf, sessionOf } from "../plugins/authentication.ts";

const tags = ["settings"];
const security = [{ accessToken: [] }];

/** What a seller decides once for all orders. */
export function settingRoutes({ db }: Pick<ApiDependencies, "db">): FastifyPluginCallbackZod {
  return (app, _options, done) => {
    app.get(
      "/api/settings/shortage-policy",
      {
        config: { permission: "settings:read" },
        schema: {
          operationId: "getShortagePolicy",
          tags,
          security,
          summary: "What is done about paid orders that are short",
          description: "Unless somebody decides otherwise about an order.",
          response: { 200: shortagePolicySchema, default: problemResponse },
        },
      },
      async (request) => ({
        policy: await withTenant(db, sessionOf(request).tenantId, findShortagePolicy),
      }),
    );
    app.put(
      "/api/settings/shortage-policy",
      {
        config: { permission: "settings:write" },
        schema: {
          operationId: "setShortagePolicy",
          tags,
          security,
          summary: "Set what is done about paid orders that are short",
          description:
            "It holds for shortages to come: orders that are short already go on as they do. The old and the new policy go on record.",
          headers: idempotencyHeaders,
          body: shortagePolicyBody,
          response: { 200: shortagePolicySchema, default: problemResponse },
        },
      },
      async (request, reply) => {
        const { tenantId, userId } = sessionOf(request);
        const { policy } = request.body;
        return await answerOnce(db, request, reply, shortagePolicySchema, async () => {
          await withTenant(db, tenantId, (transaction) =>
            setShortagePolicy(transaction, tenantId, policy, { userId, ...originOf(request) }),
          );
          return { policy };
        });
      },
    );
    done();
  };
}
