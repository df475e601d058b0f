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
    transformObject: jsonSchemaTransformObject,
  });
}

/** The page at /docs and the document at /docs/json. */
export async function serveDocumentation(app: FastifyInstance): Promise<void> {
  await app.register(
    async (docs) => {
      docs.addHook("onRoute", (route) => {
        route.config = { ...route.config, permission: "public" };
      });
      await docs.register(swaggerUi, {
        staticCSP: true,
        uiConfig: { persistAuthorization: false, tryItOutEnabled: true },
      });
    },
    { prefix: "/docs" },
  );
}
