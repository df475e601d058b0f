import { sql } from "kysely";
import { asId, type TenantId, type UserId } from "../domain/ids.ts";
import type { Database } from "./connection.ts";
import type { TenantTransaction } from "./tenant.ts";

export type UserRole = "creator" | "admin" | "support" | "system" | "operator";

export interface User {
  readonly id: UserId;
  readonly tenantId: TenantId;
  readonly email: string;
  readonly name: string;
  readonly role: UserRole;
  /** Rises when the role changes or the user is disabled, so that tokens issued before stop working. */
  readonly permissionVersion: number;
  readonly disabled: boolean;
}

export interface NewUser {
  readonly email: string;
  readonly name: string;
  readonly role: UserRole;
  /** argon2id, in its own text form. */
  readonly passwordHash: string;
}

/**
 * Adds a user to the transaction's tenant.
 *
 * @throws the driver's error when the email is taken, by whichever tenant.
 */
export async function createUser(
  transaction: TenantTransaction,
  tenantId: TenantId,
  user: NewUser,
): Promise<UserId> {
  const row = await transaction
    .insertInto("users")
    .values({
      tenant_id: tenantId,
      email: user.email.toLowerCase(),
      name: user.name,
      role: user.role,
      password_hash: user.passwordHash,
    })
    .returning("id")
    .executeTakeFirstOrThrow();
  return asId<"User">(row.id);
}

/** Adds a user, or gives the tenant's user of that email this name, role and password. For seeding. */
export async function upsertUser(
  transaction: TenantTransaction,
  tenantId: TenantId,
  user: NewUser,
): Promise<UserId> {
  const row = await transaction
    .updateTable("users")
    .set({
      name: user.name,
      role: user.role,
      password_hash: user.passwordHash,
      permission_version: sql`case when role = ${user.role} then permission_version else permission_version + 1 end`,
    })
    .where("email", "=", user.email.toLowerCase())
    .returning("id")
    .executeTakeFirst();
  return row === undefined ? await createUser(transaction, tenantId, user) : asId<"User">(row.id);
}

export async function findUser(transaction: TenantTransaction, userId: UserId): Promise<User | null> {
  const row = await transaction
    .selectFrom("users")
    .where("id", "=", userId)
    .select(["id", "tenant_id", "email", "name", "role", "permission_version", "disabled_at"])
    .executeTakeFirst();
  if (row === undefined) return null;
  return {
    id: asId<"User">(row.id),
    tenantId: asId<"Tenant">(row.tenant_id),
    email: row.email,
    name: row.name,
    role: row.role as UserRole,
    permissionVersion: row.permission_version,
    disabled: row.disabled_at !== null,
  };
}

export interface Login {
  readonly tenantId: TenantId;
  readonly userId: UserId;
  readonly passwordHash: string;
}

/** Who logs in with an email, before any tenant is known. Null for unknown and disabled users alike. */
export async function findLogin(db: Database, email: string): Promise<Login | null> {
  const { rows } = await sql<{ tenant_id: string; user_id: string; password_hash: string }>`
    select tenant_id, user_id, password_hash from find_login(${email.toLowerCase()})`.execute(db);
  const [row] = rows;
  if (row === undefined) return null;
  return {
    tenantId: asId<"Tenant">(row.tenant_id),
    userId: asId<"User">(row.user_id),
    passwordHash: row.password_hash,
  };
}
