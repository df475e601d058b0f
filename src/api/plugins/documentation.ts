import swagger from "@fastify/swagger";
import swaggerUi from "@fastify/swagger-ui";
import type { FastifyInstance } from "fastify";
import { jsonSchemaTransform, jsonSchemaTransformObject } from "fastify-type-provider-zod";

/** The OpenAPI document, made from the routes' own schemas. Must be registered before the routes. */
export async function describeRoutes(app: FastifyInstance, publicUrl: string): Promise<void> {
  await app.register(swagger, {
    openapi: {
      openapi: "3.1.0",
      info: {
        title: "CreatorFlow",
        version: "0.1.0",
        description:
          "Orders and stock of TikTok Shop sellers. Errors are RFC 9457 problems. Writes take an `Idempotency-Key`.",
        license: { name: "MIT", identifier: "MIT" },
      },
      servers: [{ url: publicUrl }],
      tags: [
        { name: "auth", description: "Signing in and out" },
        { name: "inventory", description: "SKUs, their stock and its ledger" },
        { name: "orders", description: "Orders and their timelines" },
        { name: "shops", description: "Connected shops" },
        { name: "deliveries", description: "Webhook requests as received, and their fate" },
        { name: "webhooks", description: "What channels call" },
        { name: "health", description: "For load balancers and monitors" },
      ],
      components: {
        securitySchemes: {
          accessToken: { type: "http", scheme: "bearer", bearerFormat: "JWT" },
          refreshCookie: { type: "apiKey", in: "cookie", name: "cf_refresh" },
        },
      },
    },
    transform: jsonSchemaTransform,
    transformObject: (document) => withoutInputTwins(jsonSchemaTransformObject(document)),
  });
}

interface WithSchemas {
  readonly components?: { readonly schemas?: Readonly<Record<string, object>> };
}

/** The shared shapes are answers' alone; the twins that they would have as input are named by nothing. */
function withoutInputTwins<Document extends object>(document: Document): Document {
  const { components } = document as WithSchemas;
  const schemas = components?.schemas ?? {};
  const isTwin = (name: string) => name.endsWith("Input") && name.slice(0, -"Input".length) in schemas;
  const named = Object.entries(schemas).filter(([name]) => !isTwin(name));
  return { ...document, components: { ...components, schemas: Object.fromEntries(named) } };
}

/** The page at /docs and the document at /docs/json. */
export async function serveDocumentation(app: FastifyInstance): Promise<void> {
  await app.register(async (docs) => {
    docs.addHook("onRoute", (route) => {
      route.config = { ...route.config, permission: "public" };
    });
    await docs.register(swaggerUi, { routePrefix: "/docs", uiConfig: { tryItOutEnabled: true } });
  });
}
