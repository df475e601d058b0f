import type { FastifyInstance, FastifyRequest, RouteOptions } from "fastify";
import { appendAudit } from "../../db/audit-log.ts";
import type { Database } from "../../db/connection.ts";
import { withTenant } from "../../db/tenant.ts";
import { findUser } from "../../db/users.ts";
import type { AccessTokens, Session } from "../auth/access-tokens.ts";
import { mayDo, type Permission, permissions } from "../contract/permissions.ts";
import { Problem } from "../problem.ts";

declare module "fastify" {
  interface FastifyContextConfig {
    /** What the caller must be allowed to do. Every route names it, or the server does not start. */
    permission?: Permission | "public";
  }
  interface FastifyRequest {
    /** Who asks; null on public routes. */
    session: Session | null;
  }
}

/** How long a role change may go unnoticed. */
const rightsFreshMilliseconds = 10_000;
const rightsKnownMax = 10_000;

export interface AuthenticationOptions {
  readonly db: Database;
  readonly accessTokens: AccessTokens;
  readonly now: () => Date;
}

/**
 * Who may call what, in one hook: a route without a permission stops the start, a request without the right is refused.
 */
export function requirePermissions(app: FastifyInstance, options: AuthenticationOptions): void {
  const routes: RouteOptions[] = [];
  const rights = new CurrentRights(options);
  app.addHook("onRoute", (route) => {
    routes.push(route);
  });
  app.addHook("onReady", () => {
    const open = routes.filter((route) => !isNamed(route.config?.permission));
    if (open.length === 0) return;
    const names = open.map((route) => `${route.method.toString()} ${route.url}`);
    throw new Error(`These routes name no permission: ${names.join(", ")}.`);
  });
  app.decorateRequest("session", null);
  app.addHook("onRequest", async (request) => {
    if (request.is404) return;
    const permission = request.routeOptions.config.permission;
    if (permission === "public") return;
    const session = await authenticate(request, options.accessTokens, rights);
    request.session = session;
    if (permission !== undefined && mayDo(session.role, permission)) return;
    await recordRefusal(options.db, request, session, permission);
    throw new Problem(
      "permission-denied",
      `This needs the permission ${permission ?? "of nobody"}; the role ${session.role} does not have it.`,
    );
  });
}

/** Who asks, on a route that is not public. */
export function sessionOf(request: Pick<FastifyRequest, "session">): Session {
  if (request.session === null) throw new Error("A public route asked who is asking.");
  return request.session;
}

function isNamed(permission: string | undefined): boolean {
  return permission === "public" || Object.hasOwn(permissions, permission ?? "");
}

async function authenticate(
  request: FastifyRequest,
  accessTokens: AccessTokens,
  rights: CurrentRights,
): Promise<Session> {
  const [, token] = /^Bearer ([^\s]+)$/i.exec(request.headers.authorization ?? "") ?? [];
  if (token === undefined) {
    throw new Problem("unauthenticated", "Send an access token from POST /api/auth/login as a Bearer token.");
  }
  const session = await accessTokens.verify(token);
  if (session === null) throw new Problem("unauthenticated", "The access token is not valid, or no longer.");
  if (!(await rights.areStill(session))) {
    throw new Problem("unauthenticated", "Your rights have changed since you signed in: sign in again.");
  }
  return session;
}

/** A token outlives a role change by ten seconds at most. */
class CurrentRights {
  readonly #options: AuthenticationOptions;
  readonly #known = new Map<string, { readonly rights: string | null; readonly until: number }>();

  constructor(options: AuthenticationOptions) {
    this.#options = options;
  }

  async areStill(session: Session): Promise<boolean> {
    const now = this.#options.now().getTime();
    const known = this.#known.get(session.userId);
    const rights = known !== undefined && known.until > now ? known.rights : await this.#look(session, now);
    return rights === `${session.tenantId} ${session.role} ${session.permissionVersion}`;
  }

  async #look({ tenantId, userId }: Session, now: number): Promise<string | null> {
    const user = await withTenant(this.#options.db, tenantId, (transaction) => findUser(transaction, userId));
    const rights =
      user === null || user.disabled ? null : `${user.tenantId} ${user.role} ${user.permissionVersion}`;
    if (this.#known.size >= rightsKnownMax) this.#known.clear();
    this.#known.set(userId, { rights, until: now + rightsFreshMilliseconds });
    return rights;
  }
}

async function recordRefusal(
  db: Database,
  request: FastifyRequest,
  session: Session,
  permission: string | undefined,
): Promise<void> {
  await withTenant(db, session.tenantId, (transaction) =>
    appendAudit(transaction, session.tenantId, {
      eventType: "permission_refused",
      userId: session.userId,
      newValues: { permission: permission ?? null, method: request.method, route: request.routeOptions.url },
      ...originOf(request),
    }),
  );
}

/** Where a request came from, for the record. */
export function originOf(request: FastifyRequest): {
  readonly address: string;
  readonly userAgent: string | null;
  readonly requestId: string;
} {
  const userAgent = request.headers["user-agent"];
  return {
    address: request.ip,
    userAgent: userAgent?.replaceAll(/\p{Cc}/gu, " ") ?? null,
    requestId: request.id,
  };
}
