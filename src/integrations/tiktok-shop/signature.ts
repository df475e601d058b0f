import { createHmac, timingSafeEqual } from "node:crypto";

/** The app's key and secret; the previous secret is accepted for webhooks while a rotation is under way. */
export interface AppCredentials {
  readonly key: string;
  readonly secret: string;
  readonly previousSecret?: string | null;
}

export interface RequestToSign {
  /** Path alone, as in the request line: no host, no query. */
  readonly path: string;
  /** Decoded values. `sign` and `access_token` are left out of the signature by rule. */
  readonly query: Readonly<Record<string, string>>;
  /** The bytes exactly as they are sent; null when there is no body. */
  readonly body: Buffer | null;
}

/** The `sign` parameter: lower-case hex of HMAC-SHA256 over secret + path + sorted query + body + secret. */
export function signRequest(secret: string, request: RequestToSign): string {
  const parameters = Object.entries(request.query)
    .filter(([name]) => name !== "sign" && name !== "access_token")
    .sort(([left], [right]) => (left < right ? -1 : 1))
    .map(([name, value]) => name + value)
    .join("");
  const hmac = createHmac("sha256", secret).update(secret).update(request.path).update(parameters);
  if (request.body !== null) hmac.update(request.body);
  return hmac.update(secret).digest("hex");
}

/**
 * True when the `Authorization` header proves that the app's secret, or the one before it, signed exactly these bytes. One
 * spelling of a signature is accepted, the lower-case hex that TikTok Shop sends.
 * Takes the same time whichever secret fits and wherever a wrong signature differs.
 */
export function isSignedByApp(
  rawBody: Buffer,
  authorization: string | undefined,
  app: AppCredentials,
): boolean {
  if (authorization === undefined || !/^[0-9a-f]{64}$/.test(authorization)) return false;
  const given = Buffer.from(authorization, "hex");
  const secrets = [app.secret, app.previousSecret ?? app.secret];
  return secrets
    .map((secret) => timingSafeEqual(given, webhookSignature(app.key, secret, rawBody)))
    .includes(true);
}

function webhookSignature(appKey: string, secret: string, rawBody: Buffer): Buffer {
  return createHmac("sha256", secret).update(appKey).update(rawBody).digest();
}
