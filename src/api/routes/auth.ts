import type { FastifyReply, FastifyRequest } from "fastify";
import type { FastifyPluginCallbackZod } from "fastify-type-provider-zod";
import { z } from "zod";
import { appendAudit, type AuditEntry } from "../../db/audit-log.ts";
import {
  openRefreshFamily,
  refreshLifeMilliseconds,
  revokeRefreshToken,
  rotateRefreshToken,
} from "../../db/refresh-tokens.ts";
import { withTenant } from "../../db/tenant.ts";
import { findLogin, findUser, type Login, type User } from "../../db/users.ts";
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

export function authRoutes(dependencies: AuthDependencies): FastifyPluginCallbackZod {
  const sessions = createSessions(dependencies);
  return (app, _options, done) => {
    addLogin(app, dependencies, sessions);
    addRefresh(app, dependencies, sessions);
    addLogout(app, dependencies, sessions);
    addMe(app, dependencies);
    done();
  };
}

type RouteApp = Parameters<FastifyPluginCallbackZod>[0];
type Sessions = ReturnType<typeof createSessions>;

function addLogin(app: RouteApp, { db, now }: AuthDependencies, sessions: Sessions): void {
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
      const login = await checkLogin(request, { db, now }, sessions);
      const { user, token } = await withTenant(db, login.tenantId, async (transaction) => ({
        user: await findUser(transaction, login.userId),
        token: await openRefreshFamily(transaction, login.tenantId, login.userId, now()),
      }));
      if (user === null) throw new Error("A user was gone between two looks.");
      await sessions.record(request, login, "login");
      return await sessions.open(reply, user, token, new Date(now().getTime() + refreshLifeMilliseconds));
    },
  );
}

/** The account that an email and its password name. Every other pair is answered alike, and slowed down. */
async function checkLogin(
  request: FastifyRequest & { readonly body: z.output<typeof loginBody> },
  { db, now }: Pick<AuthDependencies, "db" | "now">,
  { throttle, passwordMatches, record }: Sessions,
): Promise<Login> {
  const { email, password } = request.body;
  const [account, address] = [`account ${email.toLowerCase()}`, `address ${request.ip}`];
  const wait = throttle.attempt([account, address], now().getTime());
  if (wait > 0) {
    throw new Problem("too-many-requests", "Too many failed tries: wait before the next one.", {
      retryAfterSeconds: wait / 1_000,
    });
  }
  const login = await findLogin(db, email);
  if (!(await passwordMatches(login?.passwordHash ?? null, password)) || login === null) {
    // Nobody waits for the record: the time it takes would tell that the account exists.
    if (login !== null) {
      record(request, login, "login_refused").catch((error: unknown) =>
        request.log.error({ err: error }, "A refused login could not be recorded"),
      );
    }
    throw new Problem("unauthenticated", "The email or the password is wrong.");
  }
  throttle.forget(account);
  throttle.takeBack(address);
  return login;
}

function addRefresh(app: RouteApp, { db, secretKey, now }: AuthDependencies, sessions: Sessions): void {
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
      if (outcome.outcome === "reused") await sessions.record(request, outcome, "session_reused");
      if (outcome.outcome !== "rotated") {
        void sessions.forget(reply);
        throw new Problem("unauthenticated", "The refresh token is not valid, or no longer: sign in again.");
      }
      const user = await withTenant(db, outcome.tenantId, (transaction) =>
        findUser(transaction, outcome.userId),
      );
      if (user === null || user.disabled) {
        await revokeRefreshToken(db, outcome.token, now());
        throw new Problem("unauthenticated", "The account is disabled.");
      }
      return await sessions.open(reply, user, outcome.token, outcome.expiresAt);
    },
  );
}

function addLogout(app: RouteApp, { db, now }: AuthDependencies, sessions: Sessions): void {
  app.post(
    "/api/auth/logout",
    {
      config: { permission: "public" },
      schema: {
        operationId: "logout",
        tags: ["auth"],
        summary: "Sign out",
        description: "Ends every session that came from the same sign-in. Access tokens end with their hour.",
        security: [{ refreshCookie: [] }, {}],
        body: refreshBody,
        response: { 204: z.undefined().describe("Signed out"), default: problemResponse },
      },
    },
    async (request, reply) => {
      const token = request.body?.refresh_token ?? request.cookies[cookieName];
      if (token !== undefined) await revokeRefreshToken(db, token, now());
      return sessions.forget(reply).code(204).send();
    },
  );
}

function addMe(app: RouteApp, { db, temporalUiUrl }: AuthDependencies): void {
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
      const uiUrl = mayDo(role, "operator:links") ? temporalUiUrl : null;
      return { user: userBody(user), operator_links: uiUrl === null ? null : { temporal_ui: uiUrl } };
    },
  );
}

/** What the routes share: how a session is opened and forgotten, and how tries are slowed and recorded. */
function createSessions({ db, publicUrl, accessTokens }: AuthDependencies) {
  const cookieOptions = {
    httpOnly: true,
    sameSite: "strict",
    path: cookiePath,
    secure: publicUrl.startsWith("https:"),
  } as const;
  return {
    throttle: new LoginThrottle(),
    passwordMatches: createPasswordCheck(),

    async open(reply: FastifyReply, user: User, refreshToken: string, until: Date): Promise<SessionBody> {
      void reply.setCookie(cookieName, refreshToken, { ...cookieOptions, expires: until });
      return {
        access_token: await accessTokens.issue({ ...user, userId: user.id }),
        token_type: "Bearer",
        expires_in: accessTokenSeconds,
        refresh_token: refreshToken,
        user: userBody(user),
      };
    },

    forget: (reply: FastifyReply): FastifyReply => reply.clearCookie(cookieName, cookieOptions),

    record: async (
      request: FastifyRequest,
      who: { readonly tenantId: TenantId; readonly userId: UserId },
      eventType: AuditEntry["eventType"],
    ): Promise<void> => {
      await withTenant(db, who.tenantId, (transaction) =>
        appendAudit(transaction, who.tenantId, { eventType, userId: who.userId, ...originOf(request) }),
      );
    },
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
