import { z } from "zod";
import { uuidSchema } from "./common.ts";
import { roleSchema } from "./permissions.ts";

export const loginBody = z.strictObject({
  email: z.email().max(320).describe("Case does not matter"),
  password: z.string().min(1).max(1_024),
});

const refreshTokenSchema = z
  .string()
  .regex(/^[A-Za-z0-9_-]{64}$/, "is not a refresh token")
  .describe("Opaque; 30 days at most, 7 days unused; each works once");

/** Browsers send the cookie and no body; programs without cookies send the token. */
export const refreshBody = z.strictObject({ refresh_token: refreshTokenSchema.optional() }).nullish();

export const userSchema = z
  .object({
    id: uuidSchema,
    tenant_id: uuidSchema,
    email: z.string(),
    name: z.string(),
    role: roleSchema,
    permissions: z.array(z.string()).describe("What the role may do"),
  })
  .meta({ id: "User" });

export const sessionSchema = z
  .object({
    access_token: z.string().describe("Send as `Authorization: Bearer`"),
    token_type: z.literal("Bearer"),
    expires_in: z.number().int().describe("Seconds"),
    refresh_token: refreshTokenSchema,
    user: userSchema,
  })
  .meta({ id: "Session" });

export const meSchema = z.object({
  user: userSchema,
  operator_links: z
    .object({ temporal_ui: z.string() })
    .nullable()
    .describe("Only for the platform's operators"),
});

export type SessionBody = z.output<typeof sessionSchema>;
export type UserBody = z.output<typeof userSchema>;
