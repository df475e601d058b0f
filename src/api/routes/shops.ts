import type { FastifyPluginCallbackZod } from "fastify-type-provider-zod";
import { listTenantShops } from "../../db/read-models/shops.ts";
import { withTenant } from "../../db/tenant.ts";
import { problemResponse } from "../contract/problem.ts";
import { shopsList } from "../contract/shops.ts";
import type { ApiDependencies } from "../dependencies.ts";
import { sessionOf } from "../plugins/authentication.ts";

export function shopRoutes({ db }: Pick<ApiDependencies, "db">): FastifyPluginCallbackZod {
  return (app, _options, done) => {
    app.get(
      "/api/shops",
      {
        config: { permission: "shops:read" },
        schema: {
          operationId: "listShops",
          tags: ["shops"],
          security: [{ accessToken: [] }],
          summary: "The connected shops",
          description:
            "With the state of their connection, of the poll that finds what webhooks missed, and of the circuit breaker. Secrets are not shown to anybody.",
          response: { 200: shopsList, default: problemResponse },
        },
      },
      async (request) => ({
        shops: await withTenant(db, sessionOf(request).tenantId, listTenantShops),
      }),
    );
    done();
  };
}
