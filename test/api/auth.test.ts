import { createHmac, generateKeyPairSync, randomUUID } from "node:crypto";
import { exportJWK, generateKeyPair, importJWK, type JWTPayload, SignJWT } from "jose";
import { afterAll, beforeAll, beforeEach, describe, expect, test, vi } from "vitest";
import type * as argon2 from "@node-rs/argon2";
import { verify } from "@node-rs/argon2";
import type { sessionSchema } from "../../src/api/contract/auth.ts";
import type { z } from "zod";
import { getSigningKeys, type SigningKey } from "../../src/db/signing-keys.ts";
import { type ApiBed, password, type Seller, startApiBed } from "./api-bed.ts";

vi.mock("@node-rs/argon2", async (original) => {
  const real = await original<typeof argon2>();
  return { ...real, verify: vi.fn(real.verify) };
});

type SessionBody = z.output<typeof sessionSchema>;

let bed: ApiBed;
let seller: Seller;
let clock = Date.now();
const later = (seconds: number) => {
  clock += seconds * 1_000;
};

beforeAll(async () => {
  bed = await startApiBed({ now: () => new Date(clock) });
  seller = await bed.addSeller();
});
beforeEach(() => {
  // Beyond the memory of the login throttle, so that no test sees another's failures.
  later(3_600);
});
afterAll(async () => {
  await bed.close();
});

async function login(email: string, secret = password) {
  return await bed.app.inject({
    method: "POST",
    url: "/api/auth/login",
    payload: { email, password: secret },
  });
}
async function session(): Promise<SessionBody> {
  return (await login(seller.users.admin.email)).json<SessionBody>();
}
async function refresh(token: string) {
  return await bed.app.inject({
    method: "POST",
    url: "/api/auth/refresh",
    payload: { refresh_token: token },
  });
}
async function me(token: string) {
  return await bed.app.inject({ url: "/api/me", headers: { authorization: `Bearer ${token}` } });
}

describe("an access token", () => {
  let genuine: { key: SigningKey; header: Record<string, string>; claims: JWTPayload };

  beforeAll(async () => {
    const { access_token: token } = await session();
    const [header, claims] = token
      .split(".")
      .slice(0, 2)
      .map((part): unknown => JSON.parse(Buffer.from(part, "base64url").toString())) as [never, JWTPayload];
    const [key] = await getSigningKeys(bed.db, bed.secretKey, () => {
      throw new Error("There is a key already.");
    });
    genuine = { key: key!, header, claims };
  });

  const part = (value: object) => Buffer.from(JSON.stringify(value)).toString("base64url");
  const fresh = (): JWTPayload => ({
    ...genuine.claims,
    iat: Math.floor(clock / 1_000),
    exp: Math.floor(clock / 1_000) + 3_600,
  });
  async function signed(claims: JWTPayload, header: Record<string, unknown> = {}): Promise<string> {
    const key = await importJWK(genuine.key.privateKey, "ES256");
    return await new SignJWT(claims)
      .setProtectedHeader({ ...genuine.header, ...header, alg: "ES256" })
      .sign(key);
  }
  const without = (name: string): JWTPayload =>
    Object.fromEntries(Object.entries(fresh()).filter(([claim]) => claim !== name));

  test("that we signed is accepted, and says who one is and what one may do", async () => {
    const response = await me(await signed(fresh()));
    expect(response.statusCode).toBe(200);
    expect(response.json()).toMatchObject({
      user: { id: seller.users.admin.id, role: "admin", tenant_id: seller.tenantId },
      operator_links: null,
    });
  });

  const attacks: readonly (readonly [string, () => Promise<string> | string])[] = [
    ...["none", "None", "NONE", "nOnE"].map(
      (alg) => [`algorithm ${alg}`, () => `${part({ ...genuine.header, alg })}.${part(fresh())}.`] as const,
    ),
    [
      "HS256 with our public key as the secret",
      () => {
        const unsigned = `${part({ ...genuine.header, alg: "HS256" })}.${part(fresh())}`;
        const secret = JSON.stringify(genuine.key.publicKey);
        return `${unsigned}.${createHmac("sha256", secret).update(unsigned).digest("base64url")}`;
      },
    ],
    [
      "a key of the sender's own under our key's id",
      async () => {
        const { privateKey } = await generateKeyPair("ES256");
        return await new SignJWT(fresh()).setProtectedHeader(genuine.header as never).sign(privateKey);
      },
    ],
    [
      "a key that the header brings along",
      async () => {
        const { privateKey, publicKey } = await generateKeyPair("ES256", { extractable: true });
        const jwk = await exportJWK(publicKey);
        const header = {
          ...genuine.header,
          kid: "theirs",
          jwk,
          jku: "http://127.0.0.1:1/jwks",
          x5u: "http://x",
        };
        return await new SignJWT(fresh()).setProtectedHeader(header as never).sign(privateKey);
      },
    ],
    [
      "RS256",
      async () => {
        const { privateKey } = generateKeyPairSync("rsa", { modulusLength: 2_048 });
        return await new SignJWT(fresh())
          .setProtectedHeader({ ...genuine.header, alg: "RS256" })
          .sign(privateKey);
      },
    ],
    ...["../../etc/passwd", "' or 1=1 --", "http://127.0.0.1:1/key", "", "\u0000"].map(
      (kid) => [`key id ${JSON.stringify(kid)}`, () => signed(fresh(), { kid })] as const,
    ),
    [
      "an all-zero signature",
      async () =>
        `${(await signed(fresh())).replace(/\.[^.]+$/, "")}.${Buffer.alloc(64).toString("base64url")}`,
    ],
    ["a cut signature", async () => (await signed(fresh())).slice(0, -4)],
    ["no signature", async () => `${(await signed(fresh())).replace(/\.[^.]+$/, "")}.`],
    [
      "changed claims under an old signature",
      async () => {
        const [header, , signature] = (await signed(fresh())).split(".");
        return `${header ?? ""}.${part({ ...fresh(), role: "operator" })}.${signature ?? ""}`;
      },
    ],
    [
      "an hour that is over",
      () => signed({ ...fresh(), iat: clock / 1_000 - 3_700, exp: clock / 1_000 - 100 }),
    ],
    [
      "a life longer than an hour",
      () => signed({ ...fresh(), iat: clock / 1_000 - 7_200, exp: clock / 1_000 + 7_200 }),
    ],
    ["a time that has not come", () => signed({ ...fresh(), nbf: clock / 1_000 + 600 })],
    ["another issuer", () => signed({ ...fresh(), iss: "http://elsewhere" })],
    ["another audience", () => signed({ ...fresh(), aud: "another-api" })],
    ["another type", () => signed(fresh(), { typ: "JWT" })],
    [
      "a critical extension",
      () => `${part({ ...genuine.header, crit: ["exp"], exp: 1 })}.${part(fresh())}.AAAA`,
    ],
    ...["exp", "iat", "sub", "jti", "tenant", "role", "permission_version", "aud", "iss"].map(
      (claim) => [`no ${claim}`, () => signed(without(claim))] as const,
    ),
    ["an unknown role", () => signed({ ...fresh(), role: "root" })],
    ["another tenant's id", () => signed({ ...fresh(), tenant: randomUUID() })],
    ["a user who does not exist", () => signed({ ...fresh(), sub: randomUUID() })],
    ["rights of before a change", () => signed({ ...fresh(), permission_version: 0 })],
    ["more rights than the user has", () => signed({ ...fresh(), role: "operator" })],
    ["a refresh token", async () => (await session()).refresh_token],
    ["9,000 characters", () => "a".repeat(9_000)],
    ["dots alone", () => ".."],
    ["something that is no token", () => "x"],
  ];

  test.each(attacks)("is refused with: %s", async (_what, craft) => {
    const response = await me(await craft());
    expect(response.statusCode).toBe(401);
    expect(response.headers["www-authenticate"]).toBe("Bearer");
  });

  test("stops working within ten seconds of a role change", async () => {
    const own = await bed.addSeller();
    const { authorization } = await bed.signIn(own, "creator");
    const ask = () => bed.app.inject({ url: "/api/me", headers: { authorization } });
    expect((await ask()).statusCode).toBe(200);
    await bed.superuser.query(
      "update users set role = 'support', permission_version = permission_version + 1 where id = $1",
      [own.users.creator.id],
    );
    later(11);
    expect((await ask()).statusCode).toBe(401);
  });

  test("signed by another process's new key is accepted, and one key is made however many ask at once", async () => {
    const { rows } = await bed.superuser.query("select count(*)::integer as keys from signing_keys");
    expect(rows[0].keys).toBe(1);
    const fresh = await startApiBed();
    try {
      const other = await fresh.addSeller();
      await Promise.all(Array.from({ length: 8 }, () => fresh.signIn(other)));
      const keys = await fresh.superuser.query("select count(*)::integer as keys from signing_keys");
      expect(keys.rows[0].keys).toBe(1);
    } finally {
      await fresh.close();
    }
  });
});

describe("a refresh token", () => {
  test("comes as a cookie that scripts and other sites cannot use, and only its hash is stored", async () => {
    const response = await login(seller.users.admin.email);
    const [cookie] = [response.headers["set-cookie"]].flat();
    expect(cookie).toMatch(/^cf_refresh=/);
    expect(cookie).toContain("HttpOnly");
    expect(cookie).toContain("SameSite=Strict");
    expect(cookie).toContain("Path=/api/auth");
    const { refresh_token: token } = response.json<SessionBody>();
    const { rows } = await bed.superuser.query(
      "select row_to_json(refresh_tokens)::text as row from refresh_tokens",
    );
    expect(rows.length).toBeGreaterThan(0);
    for (const { row } of rows) expect(row).not.toContain(token);
  });

  test("by cookie gives a new session, and is replaced", async () => {
    const { refresh_token: token } = await session();
    const response = await bed.app.inject({
      method: "POST",
      url: "/api/auth/refresh",
      cookies: { cf_refresh: token },
    });
    expect(response.statusCode).toBe(200);
    const next = response.json<SessionBody>();
    expect(next.refresh_token).not.toBe(token);
    expect((await me(next.access_token)).statusCode).toBe(200);
  });

  test("used again within 30 seconds, by many at once, gives the same successor", async () => {
    const { refresh_token: token } = await session();
    const responses = await Promise.all(Array.from({ length: 5 }, () => refresh(token)));
    const successors = new Set(responses.map((response) => response.json<SessionBody>().refresh_token));
    expect(successors.size).toBe(1);
    later(29);
    expect((await refresh(token)).json<SessionBody>().refresh_token).toBe([...successors][0]);
  });

  test("used again later ends every session of its sign-in, and no other", async () => {
    const other = await session();
    const { refresh_token: stolen } = await session();
    const successor = (await refresh(stolen)).json<SessionBody>().refresh_token;
    later(31);
    expect((await refresh(stolen)).statusCode).toBe(401);
    expect((await refresh(successor)).statusCode).toBe(401);
    expect((await refresh(other.refresh_token)).statusCode).toBe(200);
    const { rows } = await bed.superuser.query(
      "select count(*)::integer as uses from inventory_audit_log where event_type = 'session_reused'",
    );
    expect(rows[0].uses).toBe(1);
  });

  test("ends after seven days unused, and after thirty days however often it was used", async () => {
    const idle = await session();
    let used = (await session()).refresh_token;
    for (let day = 0; day < 5; day += 1) {
      later(6 * 86_400);
      used = (await refresh(used)).json<SessionBody>().refresh_token;
      expect(used, `after ${6 * (day + 1)} days`).toBeDefined();
      if (day === 1) expect((await refresh(idle.refresh_token)).statusCode).toBe(401);
      if (day === 3) break;
    }
    later(6 * 86_400 - 60);
    used = (await refresh(used)).json<SessionBody>().refresh_token;
    later(120);
    expect((await refresh(used)).statusCode).toBe(401);
  });

  test("ends with a logout", async () => {
    const { refresh_token: token } = await session();
    const response = await bed.app.inject({
      method: "POST",
      url: "/api/auth/logout",
      cookies: { cf_refresh: token },
    });
    expect(response.statusCode).toBe(204);
    expect((await refresh(token)).statusCode).toBe(401);
  });

  test("of a disabled user gives nothing", async () => {
    const own = await bed.addSeller();
    const { refresh_token: token } = (await login(own.users.support.email)).json<SessionBody>();
    await bed.superuser.query("update users set disabled_at = now() where id = $1", [own.users.support.id]);
    expect((await refresh(token)).statusCode).toBe(401);
    expect((await login(own.users.support.email)).statusCode).toBe(401);
  });

  test.each(["A".repeat(64), "not a token", ""])("that was never given is refused: %j", async (token) => {
    const response = await refresh(token);
    expect([400, 401]).toContain(response.statusCode);
  });
});

describe("signing in", () => {
  test("answers a wrong password and an unknown email alike, and checks a password for both", async () => {
    const attempt = async (email: string) => {
      vi.mocked(verify).mockClear();
      const response = await login(email, "wrong");
      return { response, checks: vi.mocked(verify).mock.calls.length };
    };
    const known = await attempt(seller.users.admin.email);
    const unknown = await attempt(`${randomUUID()}@example.test`);
    const withoutIds = (body: string) => ({ ...(JSON.parse(body) as object), requestId: "" });
    expect(known.response.statusCode).toBe(401);
    expect(withoutIds(known.response.body)).toEqual(withoutIds(unknown.response.body));
    // The check is what takes the time: without one of its own the unknown email would be answered in a tenth of it.
    expect([known.checks, unknown.checks]).toEqual([1, 1]);
  });

  test("takes the email in any case", async () => {
    expect((await login(seller.users.admin.email.toUpperCase())).statusCode).toBe(200);
  });

  test("is slowed after ten failures of an account, also for the right password, and then goes on", async () => {
    const own = await bed.addSeller();
    const { email } = own.users.creator;
    const tries = await Promise.all(Array.from({ length: 40 }, () => login(email, "wrong")));
    expect(tries.filter((response) => response.statusCode === 401)).toHaveLength(10);
    const slowed = tries.filter((response) => response.statusCode === 429);
    expect(slowed).toHaveLength(30);
    expect(Number(slowed[0]!.headers["retry-after"])).toBeGreaterThan(0);
    expect((await login(email)).statusCode).toBe(429);
    later(2);
    expect((await login(email)).statusCode).toBe(200);
  });

  test("to an account of one's own does not buy an address new tries at others", async () => {
    const own = await bed.addSeller();
    const victims = ["admin", "support", "creator"] as const;
    const statuses: number[] = [];
    for (let count = 0; count < 12; count += 1) {
      statuses.push((await login(own.users[victims[count % 3]!].email, "wrong")).statusCode);
      if (count % 4 === 0) await login(own.users.operator.email);
    }
    expect(statuses.filter((status) => status === 401)).toHaveLength(10);
    expect(statuses.slice(10)).toEqual([429, 429]);
  });
});
