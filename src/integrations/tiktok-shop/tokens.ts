import { z } from "zod";
import { crashPoint } from "../../crash-points.ts";
import type { IssuedTokens, RefreshOutcome, ShopCredentials } from "../../domain/shop/credentials.ts";
import { ChannelFailure } from "../ports/failure.ts";
import type { ShopKey } from "../ports/sales-channel.ts";
import type { AppCredentials } from "./signature.ts";
import { readData, sendAndOpen } from "./transport.ts";
import { printable, text } from "./wire.ts";

/**
 * Access tokens live for days and are refreshed a day ahead of their end, or when TikTok rejects one early. A refresh
 * may invalidate the tokens before it, so only one runs per shop in the whole installation: concurrent calls of this
 * process share one promise, and processes meet at the store's row lock, where who comes second finds the new tokens.
 * A refresh that fails leaves the old access token in use for as long as it lives.
 */
export interface CredentialStore {
  /** Null when the shop has none. */
  load(shop: ShopKey): Promise<ShopCredentials | null>;
  /**
   * Runs `renew` with the credentials as they are, alone among all processes, saves its outcome before anybody else may
   * look, and returns what is then true. When `renew` throws, nothing is saved. Null when the shop has none.
   */
  withRefreshLock(
    shop: ShopKey,
    renew: (current: ShopCredentials) => Promise<RefreshOutcome>,
  ): Promise<ShopCredentials | null>;
}

/** What TikTok says of a seller's consent, besides the tokens. */
export interface SellerConsent {
  readonly tokens: IssuedTokens;
  readonly sellerOpenId: string;
  readonly sellerName: string;
  readonly grantedScopes: readonly string[];
}

export interface Tokens {
  /** Credentials to call with now. */
  current(shop: ShopKey): Promise<ShopCredentials>;
  /** Credentials other than the rejected ones, or the failure that says why there are none. */
  replace(shop: ShopKey, rejectedAccessToken: string): Promise<ShopCredentials>;
  /** Forgets what this process remembers of a shop. */
  forget(shop: ShopKey): void;
  exchangeAuthCode(code: string): Promise<SellerConsent>;
}

const refreshAheadMilliseconds = 24 * 3_600_000;
const cachedMilliseconds = 30_000;
const refusalPauseMilliseconds = 10 * 60_000;
const failurePauseMilliseconds = 60_000;
/** Below the time others may wait for the row lock (7.5 s), so that they find its result and not a time-out. */
const tokenCallMilliseconds = 6_000;

export function createTokens(options: {
  readonly authUrl: string;
  readonly app: AppCredentials;
  readonly store: CredentialStore;
  readonly now: () => number;
}): Tokens {
  const { now, store } = options;
  const remembered = new Map<string, { readonly credentials: ShopCredentials; readonly until: number }>();
  const renewals = new Map<string, Promise<ShopCredentials>>();
  const quietUntil = new Map<string, number>();

  async function load(shop: ShopKey): Promise<ShopCredentials> {
    const known = remembered.get(shop.shopId);
    if (known !== undefined && known.until > now()) return known.credentials;
    return remember(shop, await reach(shop, () => store.load(shop)));
  }

  function remember(shop: ShopKey, credentials: ShopCredentials | null): ShopCredentials {
    if (credentials === null)
      throw new ChannelFailure(
        "unauthorised",
        `Shop ${shop.shopId} is not connected: it has no credentials.`,
      );
    remembered.set(shop.shopId, { credentials, until: now() + cachedMilliseconds });
    return credentials;
  }

  async function current(shop: ShopKey): Promise<ShopCredentials> {
    const credentials = await load(shop);
    const lifeLeft = Date.parse(credentials.accessTokenExpiresAt) - now();
    const mayTry = (quietUntil.get(shop.shopId) ?? 0) <= now() && !wasJustRefused(credentials, now());
    if (lifeLeft > refreshAheadMilliseconds || (lifeLeft > 0 && !mayTry)) return credentials;
    try {
      return await renew(shop, credentials.accessToken);
    } catch (error) {
      if (lifeLeft <= 0) throw error;
      quietUntil.set(shop.shopId, now() + failurePauseMilliseconds);
      return credentials;
    }
  }

  function renew(shop: ShopKey, staleAccessToken: string): Promise<ShopCredentials> {
    const underWay = renewals.get(shop.shopId);
    if (underWay !== undefined) return underWay;
    const renewal = renewAlone(shop, staleAccessToken).finally(() => renewals.delete(shop.shopId));
    renewals.set(shop.shopId, renewal);
    return renewal;
  }

  async function renewAlone(shop: ShopKey, staleAccessToken: string): Promise<ShopCredentials> {
    remembered.delete(shop.shopId);
    const result = await reach(shop, () =>
      store.withRefreshLock(shop, async (held) => {
        if (held.accessToken !== staleAccessToken) return { kind: "not_needed" };
        if (wasJustRefused(held, now())) return { kind: "not_needed" };
        const outcome = await refresh(options, shop, held);
        crashPoint("tokens: refreshed, not saved");
        return outcome;
      }),
    );
    const credentials = remember(shop, result);
    if (credentials.accessToken !== staleAccessToken) return credentials;
    throw new ChannelFailure(
      "unauthorised",
      `The access token of shop ${shop.shopId} cannot be refreshed: ${credentials.refreshRefusal?.reason ?? "no reason was given"}. The seller must connect the shop again.`,
    );
  }

  return {
    current,
    forget: (shop) => void remembered.delete(shop.shopId),
    exchangeAuthCode: (code) => exchangeAuthCode(options, code),
    replace: async (shop, rejectedAccessToken) => {
      // Somebody may have replaced it between the call and its rejection.
      const credentials = await load(shop);
      if (credentials.accessToken !== rejectedAccessToken) return credentials;
      return await renew(shop, rejectedAccessToken);
    },
  };
}

function wasJustRefused(credentials: ShopCredentials, now: number): boolean {
  const refusal = credentials.refreshRefusal;
  return refusal !== null && now - Date.parse(refusal.at) < refusalPauseMilliseconds;
}

interface TokenEndpoint {
  readonly authUrl: string;
  readonly app: AppCredentials;
  readonly now: () => number;
}

async function refresh(
  endpoint: TokenEndpoint,
  shop: ShopKey,
  held: ShopCredentials,
): Promise<RefreshOutcome> {
  const call = `Refreshing the tokens of shop ${shop.shopId}`;
  try {
    const issued = await callTokenEndpoint(endpoint, call, "refresh", {
      refresh_token: held.refreshToken,
      grant_type: "refresh_token",
    });
    return { kind: "renewed", tokens: issued.tokens };
  } catch (error) {
    if (error instanceof ChannelFailure && (error.kind === "unauthorised" || error.kind === "refused"))
      return { kind: "refused", reason: error.message };
    throw error;
  }
}

async function exchangeAuthCode(endpoint: TokenEndpoint, code: string): Promise<SellerConsent> {
  return await callTokenEndpoint(endpoint, "Exchanging an authorisation code", "get", {
    auth_code: code,
    grant_type: "authorized_code",
  });
}

async function callTokenEndpoint(
  endpoint: TokenEndpoint,
  call: string,
  name: "get" | "refresh",
  parameters: Readonly<Record<string, string>>,
): Promise<SellerConsent> {
  const url = new URL(`/api/v2/token/${name}`, endpoint.authUrl);
  const query = { app_key: endpoint.app.key, app_secret: endpoint.app.secret, ...parameters };
  for (const [key, value] of Object.entries(query)) url.searchParams.set(key, value);
  const answer = await sendAndOpen(
    { method: "GET", url, timeoutMilliseconds: tokenCallMilliseconds },
    { call, now: endpoint.now(), secrets: Object.values(parameters).concat(endpoint.app.secret) },
  );
  if (!answer.ok) throw answer.failure;
  const data = readData(tokenSchema, answer, call);
  return {
    tokens: {
      accessToken: data.access_token,
      accessTokenExpiresAt: data.access_token_expire_in,
      refreshToken: data.refresh_token,
      refreshTokenExpiresAt: data.refresh_token_expire_in,
    },
    sellerOpenId: data.open_id,
    sellerName: data.seller_name,
    grantedScopes: data.granted_scopes,
  };
}

/** `*_expire_in` are moments in Unix seconds, whatever their name says. */
const expiry = z
  .number()
  .int()
  .min(1)
  .max(253_402_300_799)
  .transform((seconds) => new Date(seconds * 1_000).toISOString());

const tokenSchema = z.object({
  access_token: printable,
  access_token_expire_in: expiry,
  refresh_token: printable,
  refresh_token_expire_in: expiry,
  open_id: text.catch(""),
  seller_name: text.catch(""),
  granted_scopes: z.array(text).catch([]),
});

/** A store that cannot be reached is a fault that passes, like a channel that cannot. */
async function reach<Result>(shop: ShopKey, work: () => Promise<Result>): Promise<Result> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof ChannelFailure) throw error;
    throw new ChannelFailure("unavailable", `The credentials of shop ${shop.shopId} cannot be read.`, {
      cause: error,
    });
  }
}
