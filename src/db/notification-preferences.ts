import { sql } from "kysely";
import { type AlertKind, alertKinds } from "../domain/alert/alert.ts";
import { type Manager, type Preference, preferenceDefault } from "../domain/alert/recipients.ts";
import { asId, type TenantId, type UserId } from "../domain/ids.ts";
import { decrypt, encrypt, placeOf } from "./encryption.ts";
import { currentTenant, type TenantTransaction } from "./tenant.ts";

/** By which media a person hears of each kind of alert: what was said, and the default where nothing was. */
export async function findPreferences(
  transaction: TenantTransaction,
  userId: UserId,
): Promise<ReadonlyMap<AlertKind, Preference>> {
  const rows = await transaction
    .selectFrom("notification_preferences")
    .where("user_id", "=", userId)
    .select(["kind", "in_app", "email", "sms"])
    .execute();
  const said = new Map(rows.map(({ kind, ...preference }) => [kind, preference]));
  return new Map(alertKinds.map((kind) => [kind, said.get(kind) ?? preferenceDefault(kind)]));
}

/** Writes down what a person has said; kinds that are not given stay as they are. */
export async function savePreferences(
  transaction: TenantTransaction,
  tenantId: TenantId,
  userId: UserId,
  preferences: readonly ({ readonly kind: AlertKind } & Preference)[],
): Promise<void> {
  if (preferences.length === 0) return;
  await transaction
    .insertInto("notification_preferences")
    .values(preferences.map((preference) => ({ tenant_id: tenantId, user_id: userId, ...preference })))
    .onConflict((conflict) =>
      conflict.columns(["tenant_id", "user_id", "kind"]).doUpdateSet((eb) => ({
        in_app: eb.ref("excluded.in_app"),
        email: eb.ref("excluded.email"),
        sms: eb.ref("excluded.sms"),
        updated_at: sql`clock_timestamp()`,
      })),
    )
    .execute();
}

const phonePlace = (tenantId: TenantId, userId: UserId): string =>
  placeOf({ tenantId, table: "users", column: "phone", rowId: userId });

/** Keeps a person's phone number, encrypted, or forgets it. */
export async function savePhone(
  transaction: TenantTransaction,
  tenantId: TenantId,
  userId: UserId,
  /** E.164, as in +447700900123. */
  phone: string | null,
  secretKey: Buffer,
): Promise<void> {
  await transaction
    .updateTable("users")
    .set({ phone: phone === null ? null : encrypt(secretKey, phone, phonePlace(tenantId, userId)) })
    .where("id", "=", userId)
    .execute();
}

/** Where a person is reached. */
export interface Addresses {
  readonly email: string;
  readonly phone: string | null;
  readonly disabled: boolean;
}

/**
 * Reads where a person is reached, for the one who is about to send: what comes from here goes into no log and no history.
 *
 * @throws Error when the phone number was encrypted with another key.
 */
export async function findAddresses(
  transaction: TenantTransaction,
  tenantId: TenantId,
  userId: UserId,
  secretKey: Buffer,
): Promise<Addresses | null> {
  const row = await transaction
    .selectFrom("users")
    .where("id", "=", userId)
    .select(["email", "phone", "disabled_at"])
    .executeTakeFirst();
  if (row === undefined) return null;
  return {
    email: row.email,
    phone: row.phone === null ? null : decrypt(secretKey, row.phone, phonePlace(tenantId, userId)),
    disabled: row.disabled_at !== null,
  };
}

/** Those of the seller's people who may answer alerts, with what they want to hear of this kind. */
export async function findManagers(
  transaction: TenantTransaction,
  kind: AlertKind,
): Promise<readonly Manager[]> {
  const { rows } = await sql<{
    id: string;
    role: "creator" | "admin";
    has_phone: boolean;
    preference: Preference | null;
  }>`
    select person.id, person.role, person.phone is not null as has_phone,
      case when said.kind is not null
        then jsonb_build_object('in_app', said.in_app, 'email', said.email, 'sms', said.sms) end as preference
    from users as person
    left join notification_preferences as said
      on said.tenant_id = person.tenant_id and said.user_id = person.id and said.kind = ${kind}
    where person.tenant_id = ${currentTenant} and person.role in ('creator', 'admin') and person.disabled_at is null
    order by person.role desc, person.id
    limit ${sql.lit(managersMaximum)}
  `.execute(transaction);
  return rows.map((row) => ({
    userId: asId<"User">(row.id),
    role: row.role,
    preference: row.preference ?? preferenceDefault(kind),
    hasPhone: row.has_phone,
  }));
}

/** People of one seller who are told of one alert at most. */
const managersMaximum = 100;

/** What the seller's contract and settings say about alerts. */
export interface AlertSettings {
  readonly smsAllowed: boolean;
  /** Who looks after this seller's installation; null: the installation's own address. */
  readonly engineeringEmail: string | null;
}

export async function getAlertSettings(transaction: TenantTransaction): Promise<AlertSettings> {
  const row = await transaction
    .selectFrom("tenants")
    .select(["plan", "engineering_email"])
    .executeTakeFirstOrThrow();
  return { smsAllowed: row.plan === "premium", engineeringEmail: row.engineering_email };
}
