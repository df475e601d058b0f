import { sql } from "kysely";
import type { Database } from "./connection.ts";
import { decrypt, encrypt } from "./encryption.ts";

/** A JSON Web Key. */
export type KeyMaterial = Readonly<Record<string, string>>;

export interface SigningKey {
  readonly id: string;
  readonly publicKey: KeyMaterial;
  readonly privateKey: KeyMaterial;
}

/**
 * The installation's signing keys that are in use, newest first; without one, the given one is stored. Many processes
 * may ask at once: one key is made, and all get that one.
 */
export async function getSigningKeys(
  db: Database,
  secretKey: Buffer,
  make: () => Promise<SigningKey>,
): Promise<readonly SigningKey[]> {
  const known = await findSigningKeys(db, secretKey);
  if (known.length > 0) return known;
  const made = await make();
  await db.transaction().execute(async (transaction) => {
    await sql`select pg_advisory_xact_lock(hashtextextended('signing_keys', 0))`.execute(transaction);
    const { rows } = await sql`select id from signing_keys where retired_at is null limit 1`.execute(
      transaction,
    );
    if (rows.length > 0) return;
    await transaction
      .insertInto("signing_keys")
      .values({
        id: made.id,
        public_key: JSON.stringify(made.publicKey),
        private_key: encrypt(secretKey, JSON.stringify(made.privateKey), keyContext(made.id)),
      })
      .execute();
  });
  return await findSigningKeys(db, secretKey);
}

async function findSigningKeys(db: Database, secretKey: Buffer): Promise<readonly SigningKey[]> {
  const rows = await db
    .selectFrom("signing_keys")
    .where("retired_at", "is", null)
    .orderBy("created_at", "desc")
    .orderBy("id")
    .select(["id", "public_key", "private_key"])
    .execute();
  return rows.map((row) => ({
    id: row.id,
    publicKey: row.public_key as KeyMaterial,
    privateKey: JSON.parse(decrypt(secretKey, row.private_key, keyContext(row.id))) as KeyMaterial,
  }));
}

function keyContext(id: string): string {
  return `signing_keys|private_key|${id}`;
}
