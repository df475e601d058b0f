import { createHmac, timingSafeEqual } from "node:crypto";

/**
 * Both signatures of TikTok Shop, written from its documentation and from nothing of ours: a mistake in the client
 * under test must not be able to hide behind the same mistake here.
 */

/** What a business call signs. `query` holds decoded values, `body` the bytes as they arrived. */
export interface SignedParts {
  /** The path alone: no host, no query. */
  readonly path: string;
  readonly query: ReadonlyMap<string, string>;
  readonly body: Uint8Array;
  /** The media type, parameters such as a boundary included. */
  readonly contentType: string;
}

const neverSigned = new Set(["sign", "access_token"]);

/** The `sign` parameter that belongs to a call: lower-case hex. */
export function signCall(appSecret: string, parts: SignedParts): string {
  const names = [...parts.query.keys()].filter((name) => !neverSigned.has(name)).sort(byBytes);
  const hmac = createHmac("sha256", appSecret);
  hmac.update(appSecret);
  hmac.update(parts.path);
  for (const name of names) hmac.update(name + (parts.query.get(name) ?? ""));
  if (!isMultipart(parts.contentType)) hmac.update(parts.body);
  hmac.update(appSecret);
  return hmac.digest("hex");
}

/** The `Authorization` header of a webhook: lower-case hex over the app's key and the raw body. */
export function signWebhook(appKey: string, appSecret: string, body: string): string {
  return createHmac("sha256", appSecret).update(appKey).update(body).digest("hex");
}

/** Compares two texts in a time that does not tell where they differ. */
export function sameText(left: string, right: string): boolean {
  const a = Buffer.from(left);
  const b = Buffer.from(right);
  return a.length === b.length && timingSafeEqual(a, b);
}

function byBytes(left: string, right: string): number {
  return Buffer.compare(Buffer.from(left), Buffer.from(right));
}

function isMultipart(contentType: string): boolean {
  return contentType.split(";")[0]?.trim().toLowerCase() === "multipart/form-data";
}
