import { Client, Connection } from "@temporalio/client";
import { pino } from "pino";
import { buildApp } from "../src/api/app.ts";
import { openApiDatabases } from "../src/api/databases.ts";
import { workerPoolSize } from "./servers.ts";

/**
 * The API as a process of its own, for `bench/size.ts`: as `src/api/server.ts` starts it, but answering more than the 1,000
 * requests a minute at which that one refuses. Nobody signs in and nothing is written, so Temporal is not reached.
 */
const { port, databaseUrl, secretKey } = JSON.parse(process.argv[2] ?? "{}") as {
  port: number;
  databaseUrl: string;
  secretKey: string;
};

const perMinute = 1_000_000;
const app = await buildApp({
  ...openApiDatabases(databaseUrl, workerPoolSize),
  temporal: new Client({ connection: Connection.lazy({ address: "127.0.0.1:1" }) }),
  queuePrefix: "",
  tiktokApp: { key: "none", secret: "none", previousSecret: null },
  secretKey: Buffer.from(secretKey, "base64"),
  logger: pino({ level: "warn" }),
  publicUrl: `http://127.0.0.1:${port}`,
  temporalUiUrl: null,
  findPendingMigrations: () => Promise.resolve([]),
  rateLimits: { globalPerMinute: perMinute, userPerMinute: perMinute, addressPerMinute: perMinute },
});
await app.listen({ host: "127.0.0.1", port });
