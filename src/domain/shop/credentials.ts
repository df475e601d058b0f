/** What a channel issues when a seller consents, and again at every refresh. Times are ISO 8601 in UTC. */
export interface IssuedTokens {
  readonly accessToken: string;
  readonly accessTokenExpiresAt: string;
  readonly refreshToken: string;
  readonly refreshTokenExpiresAt: string;
}

/** What opens one shop on its channel. */
export interface ShopCredentials extends IssuedTokens {
  /** The channel's handle of the shop in calls; secret like a token. */
  readonly cipher: string;
  /** When the channel last refused to refresh, and its words; null since the last tokens were issued. */
  readonly refreshRefusal: { readonly at: string; readonly reason: string } | null;
}

/** How an attempt to refresh ended. `not_needed`: somebody else has refreshed meanwhile. */
export type RefreshOutcome =
  | { readonly kind: "not_needed" }
  | { readonly kind: "renewed"; readonly tokens: IssuedTokens }
  | { readonly kind: "refused"; readonly reason: string };
