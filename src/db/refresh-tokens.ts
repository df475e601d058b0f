import { createHash, randomBytes, randomUUID } from "node:crypto";
import { asId, type TenantId, type UserId } from "../domain/ids.ts";
import type { Database } from "./connection.ts";
import { decrypt, encrypt } from "./encryption.ts";
import { type TenantTransaction, withTenant } from "./tenant.ts";

/**
 * Refresh tokens: 256 random bits behind the tenant's id, of which only the SHA-256 is stored.
 *
 * Each works once and names its successor. The one just used answers with the same successor for a moment (two tabs, a
 * lost answer); used later it is a stolen copy, by whom cannot be told, so its whole family ends.
 */

const day = 86_400_000;
export const refreshLifeMilliseconds = 30 * day;
export const refreshIdleMilliseconds = 7 * day;
export const refreshGraceMilliseconds = 30_000;

/** Starts a family: what a login gives. */
export async function openRefreshFamily(
  transaction: TenantTransaction,
  tenantId: TenantId,
  userId: UserId,
  now: Date,
): Promise<string> {
  return await insertToken(transaction, tenantId, now, {
    userId,
    familyId: randomUUID(),
    expiresAt: new Date(now.getTime() + refreshLifeMilliseconds),
  });
}

export type RefreshOutcome =
  | {
      readonly outcome: "rotated";
      readonly tenantId: TenantId;
      readonly userId: UserId;
      readonly token: string;
      readonly expiresAt: Date;
    }
  | { readonly outcome: "reused"; readonly tenantId: TenantId; readonly userId: UserId }
  | { readonly outcome: "refused"; readonly reason: "unknown" | "expired" | "revoked" };

/** Uses a token: the answer holds its successor. A reused one revokes its family, and that is committed. */
export async function rotateRefreshToken(
  db: Database,
  secretKey: Buffer,
  token: string,
  now: Date,
): Promise<RefreshOutcome> {
  const tenantId = tenantIdIn(token);
  if (tenantId === null) return { outcome: "refused", reason: "unknown" };
  return await withTenant(db, tenantId, async (transaction): Promise<RefreshOutcome> => {
    const row = await transaction
      .selectFrom("refresh_tokens")
      .where("token_hash", "=", hashOf(token))
      .select([
        "id",
        "user_id",
        "family_id",
        "successor",
        "rotated_at",
        "revoked_at",
        "expires_at",
        "idle_expires_at",
      ])
      .forUpdate()
      .executeTakeFirst();
    if (row === undefined) return { outcome: "refused", reason: "unknown" };
    if (row.revoked_at !== null) return { outcome: "refused", reason: "revoked" };
    const expiresAt = new Date(row.expires_at);
    if (expiresAt <= now || new Date(row.idle_expires_at) <= now) {
      return { outcome: "refused", reason: "expired" };
    }
    const userId = asId<"User">(row.user_id);
    if (row.rotated_at === null) {
      const successor = await insertToken(transaction, tenantId, now, {
        userId,
        familyId: row.family_id,
        expiresAt,
      });
      await transaction
        .updateTable("refresh_tokens")
        .set({
          rotated_at: now.toISOString(),
          successor: encrypt(secretKey, successor, successorContext(row.id)),
        })
        .where("id", "=", row.id)
        .execute();
      return { outcome: "rotated", tenantId, userId, token: successor, expiresAt };
    }
    const sinceRotation = now.getTime() - new Date(row.rotated_at).getTime();
    if (sinceRotation <= refreshGraceMilliseconds && row.successor !== null) {
      const successor = decrypt(secretKey, row.successor, successorContext(row.id));
      return { outcome: "rotated", tenantId, userId, token: successor, expiresAt };
    }
    await revokeFamily(transaction, row.family_id, now);
    return { outcome: "reused", tenantId, userId };
  });
}

/** Ends the family of a token: what a logout does. An unknown token is as good as ended. */
export async function revokeRefreshToken(db: Database, token: string, now: Date): Promise<void> {
  const tenantId = tenantIdIn(token);
  if (tenantId === null) return;
  await withTenant(db, tenantId, async (transaction) => {
    const row = await transaction
      .selectFrom("refresh_tokens")
      .where("token_hash", "=", hashOf(token))
      .select("family_id")
      .executeTakeFirst();
    if (row !== undefined) await revokeFamily(transaction, row.family_id, now);
  });
}

async function revokeFamily(transaction: TenantTransaction, familyId: string, now: Date): Promise<void> {
  await transaction
    .updateTable("refresh_tokens")
    .set({ revoked_at: now.toISOString(), successor: null })
    .where("family_id", "=", familyId)
    .where("revoked_at", "is", null)
    .execute();
}

async function insertToken(
  transaction: TenantTransaction,
  tenantId: TenantId,
  now: Date,
  { userId, familyId, expiresAt }: { userId: UserId; familyId: string; expiresAt: Date },
): Promise<string> {
  const tenantBytes = Buffer.from(tenantId.replaceAll("-", ""), "hex");
  const token = Buffer.concat([tenantBytes, randomBytes(32)]).toString("base64url");
  const idleExpiresAt = new Date(Math.min(now.getTime() + refreshIdleMilliseconds, expiresAt.getTime()));
  await transaction
    .insertInto("refresh_tokens")
    .values({
      tenant_id: tenantId,
      user_id: userId,
      family_id: familyId,
      token_hash: hashOf(token),
      created_at: now.toISOString(),
      expires_at: expiresAt.toISOString(),
      idle_expires_at: idleExpiresAt.toISOString(),
    })
    .execute();
  return token;
}

function hashOf(token: string): Buffer {
  return createHash("sha256").update(token).digest();
}

function tenantIdIn(token: string): TenantId | null {
  const bytes = Buffer.from(token, "base64url");
  if (bytes.length !== 48) return null;
  const hex = bytes.subarray(0, 16).toString("hex");
  return asId<"Tenant">(hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5"));
}

function successorContext(id: string): string {
  return `refresh_tokens|successor|${id}`;
}
