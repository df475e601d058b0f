import type { SalesChannel, ShopKey } from "../ports/sales-channel.ts";
import { authorisedShopsCall, catalogueCalls, translateShops } from "./catalogue.ts";
import type { Breaker } from "./breaker.ts";
import { createClient } from "./client.ts";
import { fulfilmentCalls } from "./fulfilment.ts";
import { orderCalls } from "./orders.ts";
import type { RateBudget } from "./rate-budget.ts";
import type { Warner } from "./reading.ts";
import type { AppCredentials } from "./signature.ts";
import { type CredentialStore, createTokens, type SellerConsent } from "./tokens.ts";

/** What TikTok Shop offers beyond a sales channel: connecting a shop and staying connected. */
export interface TiktokShop extends SalesChannel {
  /** Exchanges the code of a seller's consent, once and within 30 minutes, for tokens. @throws ChannelFailure */
  exchangeAuthCode(code: string): Promise<SellerConsent>;
  /** The shops a token opens before any of them is stored. @throws ChannelFailure */
  shopsOpenedBy(accessToken: string): ReturnType<SalesChannel["authorisedShops"]>;
  /** Refreshes the tokens when they end within a day; a refusal is stored with the credentials. @throws ChannelFailure */
  refreshIfDue(shop: ShopKey): Promise<void>;
}

/**
 * A sales channel that speaks TikTok Shop's API.
 *
 * @param options.apiUrl and `authUrl` are origins; `now` tells milliseconds since the epoch.
 */
export function createTiktokShop(options: {
  readonly apiUrl: string;
  readonly authUrl: string;
  readonly app: AppCredentials;
  readonly credentials: CredentialStore;
  readonly budget: RateBudget;
  /** Without one every call is tried, however long the channel has not answered. */
  readonly breaker?: Breaker;
  readonly now?: () => number;
  readonly logger?: Warner;
}): TiktokShop {
  const now = options.now ?? Date.now;
  const tokens = createTokens({ ...options, store: options.credentials, now });
  const client = createClient({ ...options, tokens, now });
  return {
    ...catalogueCalls(client, options.logger),
    ...orderCalls(client, options.logger),
    ...fulfilmentCalls(client),
    exchangeAuthCode: (code) => tokens.exchangeAuthCode(code),
    shopsOpenedBy: async (accessToken) =>
      translateShops(await client.callWithToken(accessToken, authorisedShopsCall)),
    refreshIfDue: (shop) => client.refreshIfDue(shop),
  };
}
