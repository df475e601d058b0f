import { randomUUID } from "node:crypto";
import {
  calculateJwkThumbprint,
  exportJWK,
  generateKeyPair,
  importJWK,
  type JWTHeaderParameters,
  jwtVerify,
  SignJWT,
} from "jose";
import { z } from "zod";
import type { Database } from "../../db/connection.ts";
import { getSigningKeys, type KeyMaterial, type SigningKey } from "../../db/signing-keys.ts";
import { asId, type TenantId, type UserId } from "../../domain/ids.ts";
import { type Role, roleSchema } from "../contract/permissions.ts";

/** Who is asking, as their access token says. */
export interface Session {
  readonly userId: UserId;
  readonly tenantId: TenantId;
  readonly role: Role;
  readonly permissionVersion: number;
}

export const accessTokenSeconds = 3_600;
const audience = "creatorflow-api";
const tokenType = "at+jwt";
const tokenLengthMax = 8_192;
const keysFreshMilliseconds = 60_000;
const reloadPauseMilliseconds = 2_000;

const claimsSchema = z.object({
  sub: z.uuid(),
  tenant: z.uuid(),
  role: roleSchema,
  permission_version: z.number().int(),
});

type ImportedKey = Awaited<ReturnType<typeof importJWK>>;

interface LoadedKeys {
  readonly signWith: { readonly id: string; readonly key: ImportedKey };
  readonly verifyWith: ReadonlyMap<string, ImportedKey>;
  readonly loadedAt: number;
}

/** Signs and checks access tokens: ES256 alone, keys of our own alone, whatever a token's header proposes. */
export class AccessTokens {
  readonly #db: Database;
  readonly #secretKey: Buffer;
  readonly #issuer: string;
  readonly #now: () => Date;
  #keys: Promise<LoadedKeys> | undefined;

  constructor(options: { db: Database; secretKey: Buffer; issuer: string; now: () => Date }) {
    this.#db = options.db;
    this.#secretKey = options.secretKey;
    this.#issuer = options.issuer;
    this.#now = options.now;
  }

  async issue(session: Session): Promise<string> {
    const { signWith } = await this.#loadKeys(keysFreshMilliseconds);
    const issuedAt = Math.floor(this.#now().getTime() / 1_000);
    return await new SignJWT({
      tenant: session.tenantId,
      role: session.role,
      permission_version: session.permissionVersion,
    })
      .setProtectedHeader({ alg: "ES256", kid: signWith.id, typ: tokenType })
      .setIssuer(this.#issuer)
      .setAudience(audience)
      .setSubject(session.userId)
      .setJti(randomUUID())
      .setIssuedAt(issuedAt)
      .setExpirationTime(issuedAt + accessTokenSeconds)
      .sign(signWith.key);
  }

  /** The session of a token that is ours, whole and in date; null for every other text. */
  async verify(token: string): Promise<Session | null> {
    if (token.length > tokenLengthMax) return null;
    const verified = await jwtVerify(token, (header) => this.#findKey(header), {
      algorithms: ["ES256"],
      issuer: this.#issuer,
      audience,
      typ: tokenType,
      requiredClaims: ["sub", "exp", "iat", "jti", "tenant"],
      maxTokenAge: accessTokenSeconds,
      clockTolerance: 5,
      currentDate: this.#now(),
    }).catch(ignoreBadToken);
    const claims = claimsSchema.safeParse(verified?.payload);
    if (!claims.success) return null;
    return {
      userId: asId<"User">(claims.data.sub),
      tenantId: asId<"Tenant">(claims.data.tenant),
      role: claims.data.role,
      permissionVersion: claims.data.permission_version,
    };
  }

  async #findKey(header: JWTHeaderParameters): Promise<ImportedKey> {
    const id = header.kid ?? "";
    const known = (await this.#loadKeys(keysFreshMilliseconds)).verifyWith.get(id);
    if (known !== undefined) return known;
    // Another process may have made a key since; asked at most every two seconds, whatever tokens come in.
    const reloaded = (await this.#loadKeys(reloadPauseMilliseconds)).verifyWith.get(id);
    if (reloaded === undefined) throw new UnknownKey();
    return reloaded;
  }

  async #loadKeys(freshMilliseconds: number): Promise<LoadedKeys> {
    const loaded = await this.#keys;
    if (loaded !== undefined && this.#now().getTime() - loaded.loadedAt < freshMilliseconds) return loaded;
    const loading = getSigningKeys(this.#db, this.#secretKey, makeSigningKey).then((keys) =>
      importKeys(keys, this.#now().getTime()),
    );
    this.#keys = loading;
    loading.catch(() => {
      this.#keys = undefined;
    });
    return await loading;
  }
}

class UnknownKey extends Error {}

/** What is wrong with a token is nobody's business; that the keys cannot be read is ours. */
function ignoreBadToken(error: unknown): undefined {
  const isAboutTheToken =
    error instanceof UnknownKey || (error instanceof Error && "code" in error && isJoseCode(error.code));
  if (!isAboutTheToken && !(error instanceof TypeError)) throw error;
}

function isJoseCode(code: unknown): boolean {
  return typeof code === "string" && code.startsWith("ERR_J");
}

async function makeSigningKey(): Promise<SigningKey> {
  const { publicKey, privateKey } = await generateKeyPair("ES256", { extractable: true });
  const publicJwk = await exportJWK(publicKey);
  return {
    id: await calculateJwkThumbprint(publicJwk),
    publicKey: publicJwk as KeyMaterial,
    privateKey: (await exportJWK(privateKey)) as KeyMaterial,
  };
}

async function importKeys(keys: readonly SigningKey[], loadedAt: number): Promise<LoadedKeys> {
  const [newest] = keys;
  if (newest === undefined) throw new Error("There is no signing key, and none could be made.");
  const verifyWith = new Map<string, ImportedKey>();
  for (const key of keys) verifyWith.set(key.id, await importJWK(key.publicKey, "ES256"));
  const signWith = { id: newest.id, key: await importJWK(newest.privateKey, "ES256") };
  return { signWith, verifyWith, loadedAt };
}
