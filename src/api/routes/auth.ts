import type { FastifyReply, FastifyRequest } from "fastify";
import type { FastifyPluginAsyncZod } from "fastify-type-provider-zod";
import { z } from "zod";
import { appendAudit, type AuditEntry } from "../../db/audit-log.ts";
import {
  openRefreshFamily,
  refreshLifeMilliseconds,
  revokeRefreshToken,
  rotateRefreshToken,
} from "../../db/refresh-tokens.ts";
import { withTenant } from "../../db/tenant.ts";
import { findLogin, findUser, type User } from "../../db/users.ts";
import type { TenantId, UserId } from "../../domain/ids.ts";
import { type AccessTokens, accessTokenSeconds } from "../auth/access-tokens.ts";
import { LoginThrottle } from "../auth/login-throttle.ts";
import { createPasswordCheck } from "../auth/passwords.ts";
import {
  loginBody,
  meSchema,
  refreshBody,
  type SessionBody,
  sessionSchema,
  type UserBody,
} from "../contract/auth.ts";
import { mayDo, type Permission, permissions } from "../contract/permissions.ts";
import { problemResponse } from "../contract/problem.ts";
import type { ApiDependencies } from "../dependencies.ts";
import { originOf, sessionOf } from "../plugins/authentication.ts";
import { Problem } from "../problem.ts";

const cookieName = "cf_refresh";
const cookiePath = "/api/auth";

type AuthDependencies = Pick<ApiDependencies, "db" | "secretKey" | "publicUrl" | "temporalUiUrl"> & {
  readonly accessTokens: AccessTokens;
  readonly now: () => Date;
};

export function authRoutes(dependencies: AuthDependencies): FastifyPluginAsyncZod {
  const { db, secretKey, now } = dependencies;
  const throttle = new LoginThrottle();
  const passwordMatches = createPasswordCheck();
  const cookieOptions = {
    httpOnly: true,
    sameSite: "strict",
    path: cookiePath,
    secure: dependencies.publicUrl.startsWith("https:"),
  } as const;

  const answerSession = async (
    reply: FastifyReply,
    user: User,
    refreshToken: string,
    cookieUntil: Date,
  ): Promise<SessionBody> => {
    void reply.header("cache-control", "no-store");
    void reply.setCookie(cookieName, refreshToken, { ...cookieOptions, expires: cookieUntil });
    const accessToken = await dependencies.accessTokens.issue({ ...user, userId: user.id });
    return {
      access_token: accessToken,
      token_type: "Bearer",
      expires_in: accessTokenSeconds,
      refresh_token: refreshToken,
      user: userBody(user),
    };
  };

  const record = async (
    request: FastifyRequest,
    who: { readonly tenantId: TenantId; readonly userId: UserId },
    eventType: AuditEntry["eventType"],
  ): Promise<void> => {
    await withTenant(db, who.tenantId, (transaction) =>
      appendAudit(transaction, who.tenantId, { eventType, userId: who.userId, ...originOf(request) }),
    );
  };

  return async (app) => {
    app.post(
      "/api/auth/login",
      {
        config: { permission: "public" },
        schema: {
          operationId: "login",
          tags: ["auth"],
          summary: "Sign in",
          description:
            "Gives an access token for an hour, and a refresh token in the answer and as an HttpOnly cookie. " +
            "After ten failures of an account or an address, further tries must wait (429 with Retry-After).",
          body: loginBody,
          response: { 200: sessionSchema, default: problemResponse },
        },
      },
      async (request, reply) => {
        const { email, password } = request.body;
        const names = [`account ${email.toLowerCase()}`, `address ${request.ip}`];
        const wait = throttle.attempt(names, now().getTime());
        if (wait > 0) {
          throw new Problem("too-many-requests", "Too many failed tries: wait before the next one.", {
            retryAfterSeconds: wait / 1_000,
          });
        }
        const login = await findLogin(db, email);
        if (!(await passwordMatches(login?.passwordHash ?? null, password)) || login === null) {
          if (login !== null) await record(request, login, "login_refused");
          throw new Problem("unauthenticated", "The email or the password is wrong.");
        }
        throttle.forgive(names);
        const { user, token } = await withTenant(db, login.tenantId, async (transaction) => ({
          user: await findUser(transaction, login.userId),
          token: await openRefreshFamily(transaction, login.tenantId, login.userId, now()),
        }));
        if (user === null) throw new Error("A user was gone between two looks.");
        await record(request, login, "login");
        return await answerSession(reply, user, token, new Date(now().getTime() + refreshLifeMilliseconds));
      },
    );

    app.post(
      "/api/auth/refresh",
      {
        config: { permission: "public" },
        schema: {
          operationId: "refresh",
          tags: ["auth"],
          summary: "Exchange a refresh token for a new session",
          description:
            "Takes the cookie, or the token in the body. Each token works once; for 30 seconds it gives the same successor again, " +
            "after that its use ends every session that came from the same sign-in.",
          security: [{ refreshCookie: [] }, {}],
          body: refreshBody,
          response: { 200: sessionSchema, default: problemResponse },
        },
      },
      async (request, reply) => {
        const token = givenRefreshToken(request, request.body?.refresh_token);
        const outcome = await rotateRefreshToken(db, secretKey, token, now());
        if (outcome.outcome === "refused") {
          void reply.clearCookie(cookieName, cookieOptions);
          throw new Problem(
            "unauthenticated",
            "The refresh token is not valid, or no longer: sign in again.",
          );
        }
        const user = await withTenant(db, outcome.tenantId, (transaction) =>
          findUser(transaction, outcome.userId),
        );
        if (user === null || user.disabled) {
          await revokeRefreshToken(db, outcome.token, now());
          throw new Problem("unauthenticated", "The account is disabled.");
        }
        return await answerSession(reply, user, outcome.token, outcome.expiresAt);
      },
    );

    app.post(
      "/api/auth/logout",
      {
        config: { permission: "public" },
        schema: {
          operationId: "logout",
          tags: ["auth"],
          summary: "Sign out",
          description:
            "Ends every session that came from the same sign-in. Access tokens end with their hour.",
          security: [{ refreshCookie: [] }, {}],
          body: refreshBody,
          response: { 204: z.undefined().describe("Signed out"), default: problemResponse },
        },
      },
      async (request, reply) => {
        const token = request.body?.refresh_token ?? request.cookies[cookieName];
        if (token !== undefined) await revokeRefreshToken(db, token, now());
        return reply.clearCookie(cookieName, cookieOptions).code(204).send();
      },
    );

    app.get(
      "/api/me",
      {
        config: { permission: "self:read" },
        schema: {
          operationId: "me",
          tags: ["auth"],
          summary: "Who am I",
          description: "The signed-in user with what their role may do.",
          security: [{ accessToken: [] }],
          response: { 200: meSchema, default: problemResponse },
        },
      },
      async (request) => {
        const { tenantId, userId, role } = sessionOf(request);
        const user = await withTenant(db, tenantId, (transaction) => findUser(transaction, userId));
        if (user === null) throw new Problem("unauthenticated", "The account is gone.");
        const uiUrl = mayDo(role, "operator:links") ? dependencies.temporalUiUrl : null;
        return { user: userBody(user), operator_links: uiUrl === null ? null : { temporal_ui: uiUrl } };
      },
    );
    await Promise.resolve();
  };
}

function givenRefreshToken(request: FastifyRequest, fromBody: string | undefined): string {
  const token = fromBody ?? request.cookies[cookieName];
  if (token === undefined) throw new Problem("unauthenticated", "No refresh token came with the request.");
  return token;
}

function userBody(user: User): UserBody {
  const allowed = Object.keys(permissions).filter((permission) => mayDo(user.role, permission as Permission));
  return {
    id: user.id,
    tenant_id: user.tenantId,
    email: user.email,
    name: user.name,
    role: user.role,
    permissions: allowed,
  };
}
