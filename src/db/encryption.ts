import { createCipheriv, createDecipheriv, createHash, randomBytes } from "node:crypto";

/**
 * Values that must not be readable in a dump: AES-256-GCM, bound to the place where they are stored, so that a value
 * moved to another row, column or tenant does not open there.
 *
 * Layout: key id (4 bytes) | IV (12) | tag (16) | ciphertext. The key id tells a value of a rotated key from a damaged one.
 */
const keyIdBytes = 4;
const ivBytes = 12;
const tagBytes = 16;

/** Where a value is stored, as the text it is bound to. */
export function placeOf(place: {
  readonly tenantId: string;
  readonly table: string;
  readonly column: string;
  readonly rowId: string;
}): string {
  return [place.tenantId, place.table, place.column, place.rowId].join("|");
}

/** @param key 32 bytes. @param place what the value is bound to; decrypting asks for the same. */
export function encrypt(key: Buffer, plain: string, place: string): Buffer {
  const iv = randomBytes(ivBytes);
  const cipher = createCipheriv("aes-256-gcm", key, iv, { authTagLength: tagBytes });
  cipher.setAAD(Buffer.from(place));
  const body = Buffer.concat([cipher.update(plain, "utf8"), cipher.final()]);
  return Buffer.concat([keyId(key), iv, cipher.getAuthTag(), body]);
}

/** @throws Error when the value was encrypted with another key, for another place, or was changed. */
export function decrypt(key: Buffer, sealed: Buffer, place: string): string {
  if (sealed.length < keyIdBytes + ivBytes + tagBytes)
    throw new Error("An encrypted value is too short to be one.");
  const id = sealed.subarray(0, keyIdBytes);
  if (!id.equals(keyId(key))) {
    throw new Error(
      `A value was encrypted with key ${id.toString("hex")}, the configured one is ${keyId(key).toString("hex")}.`,
    );
  }
  const iv = sealed.subarray(keyIdBytes, keyIdBytes + ivBytes);
  const tag = sealed.subarray(keyIdBytes + ivBytes, keyIdBytes + ivBytes + tagBytes);
  const decipher = createDecipheriv("aes-256-gcm", key, iv, { authTagLength: tagBytes });
  decipher.setAAD(Buffer.from(place));
  decipher.setAuthTag(tag);
  const body = sealed.subarray(keyIdBytes + ivBytes + tagBytes);
  return Buffer.concat([decipher.update(body), decipher.final()]).toString("utf8");
}

function keyId(key: Buffer): Buffer {
  return createHash("sha256").update("creatorflow key id").update(key).digest().subarray(0, keyIdBytes);
}
