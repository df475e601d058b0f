import { z } from "zod";
import { timeSchema } from "./common.ts";

const checkStatus = z.enum(["healthy", "degraded", "unhealthy"]);

export const livezAnswer = z.object({ status: z.literal("alive") });

export const readyzAnswer = z.object({
  status: z.enum(["ready", "not_ready"]),
  database: z.enum(["reachable", "unreachable"]),
  pending_migrations: z.array(z.string()),
  temporal: z
    .enum(["reachable", "unreachable"])
    .describe("Shown only: webhooks are taken in without Temporal, so it does not decide readiness"),
});

export const inventoryHealth = z.object({
  status: checkStatus,
  timestamp: timeSchema,
  checks: z.object({
    database: z.object({ status: checkStatus, latency: z.string().describe("For example 4ms") }),
    temporal: z.object({ status: checkStatus, latency: z.string().nullable() }),
    tiktokAPI: z
      .object({
        status: checkStatus,
        latency: z
          .string()
          .nullable()
          .describe("Of the last calls, of the slowest shop; null before the first"),
      })
      .describe("Told from the last calls; none is made for this answer"),
    messageQueue: z.object({
      status: checkStatus,
      depth: z.number().int().describe("Deliveries that wait to be worked off"),
    }),
  }),
  metrics: z.object({
    syncedProducts: z.number().int().describe("SKUs whose listings agree with the ledger"),
    pendingJobs: z
      .number()
      .int()
      .describe("Consequences of finished transactions that are still to be carried out"),
    lastSyncTime: timeSchema.nullable(),
    lastProofTime: timeSchema.nullable().describe("When the whole installation's books were last checked"),
    lastProofClean: z.boolean().nullable(),
  }),
});
