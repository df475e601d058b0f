import { z } from "zod";
import type { Grant } from "../records.ts";
import { badRequest, type Outcome, refusals, refuse } from "../refusal.ts";
import { sameText } from "../signature.ts";
import type { Simulation } from "../simulation.ts";
import type { Books } from "../state.ts";
import { endpoint } from "./endpoint.ts";

/** Lives of tokens are TikTok's own and are not scaled: a client's daily upkeep must fit both. */
const accessSeconds = 7 * 86_400;
const refreshSeconds = 365 * 86_400;
const authCodeMilliseconds = 30 * 60_000;
/** A replaced refresh token works this much longer, so that a client that lost the answer can ask again. */
const replacedMillisecondsMax = 10 * 60_000;

const appCredentials = z.object({ app_key: z.string(), app_secret: z.string(), grant_type: z.string() });

export const tokenEndpoints = [
  endpoint({
    method: "GET",
    path: "/api/v2/token/get",
    access: "open",
    query: appCredentials.extend({ auth_code: z.string() }),
    answer: (simulation, { query }) => {
      const { books } = simulation;
      const stranger = whyStranger(simulation, query);
      if (stranger !== null) return stranger;
      if (query.grant_type !== "authorized_code") return refuse(badRequest("grant_type is invalid"));
      const code = books.authCodes.find(query.auth_code);
      if (code === undefined || code.expireMilliseconds <= Date.now())
        return refuse(refusals.authCodeInvalid);
      books.authCodes.remove(code.id);
      return { data: tokenData(books, issueGrant(books)) };
    },
  }),
  endpoint({
    method: "GET",
    path: "/api/v2/token/refresh",
    access: "open",
    query: appCredentials.extend({ refresh_token: z.string() }),
    answer: (simulation, { query }) => {
      const { books } = simulation;
      const stranger = whyStranger(simulation, query);
      if (stranger !== null) return stranger;
      if (query.grant_type !== "refresh_token") return refuse(badRequest("grant_type is invalid"));
      const now = Date.now();
      const grants: Grant[] = [...books.grants.all()];
      const grant = grants.find(({ refreshToken }) => sameText(refreshToken, query.refresh_token));
      if (grant === undefined) return refuse(refusals.authorizationMissing);
      const replaced = grant.replacedMilliseconds;
      const forgotten = replaced !== null && replaced + replacedMillisecondsMax <= now;
      if (forgotten || grant.refreshExpireTime <= now / 1000) return refuse(refusals.refreshTokenExpired);
      grant.replacedMilliseconds ??= now;
      books.grants.save(grant);
      return { data: tokenData(books, issueGrant(books)) };
    },
  }),
];

/** A code as the consent page would hand out: for one use, within 30 minutes. */
export function issueAuthCode(books: Books): string {
  const now = Date.now();
  for (const code of books.authCodes.all()) {
    if (code.expireMilliseconds <= now) books.authCodes.remove(code.id);
  }
  const id = books.newSecret("GCP_");
  books.authCodes.save({ id, expireMilliseconds: now + authCodeMilliseconds });
  return id;
}

/** A new pair of tokens; pairs of which nothing is valid any more are forgotten. */
export function issueGrant(books: Books): Grant {
  const now = Math.floor(Date.now() / 1000);
  for (const old of books.grants.all()) {
    const refreshable = old.replacedMilliseconds === null && old.refreshExpireTime > now;
    if (!refreshable && old.accessExpireTime + accessSeconds < now) books.grants.remove(old.id);
  }
  const grant: Grant = {
    id: books.newId("grant"),
    accessToken: books.newSecret("GCP_"),
    accessExpireTime: now + accessSeconds,
    refreshToken: books.newSecret("GCP_"),
    refreshExpireTime: now + refreshSeconds,
    replacedMilliseconds: null,
  };
  books.grants.save(grant);
  return grant;
}

function whyStranger(
  { books }: Simulation,
  query: { readonly app_key: string; readonly app_secret: string },
): Outcome | null {
  if (query.app_key !== books.account.appKey) return refuse(badRequest("app_key is invalid"));
  return sameText(query.app_secret, books.account.appSecret)
    ? null
    : refuse(badRequest("app_secret is invalid"));
}

function tokenData(books: Books, grant: Grant) {
  return {
    access_token: grant.accessToken,
    access_token_expire_in: grant.accessExpireTime,
    refresh_token: grant.refreshToken,
    refresh_token_expire_in: grant.refreshExpireTime,
    open_id: books.account.sellerOpenId,
    seller_name: books.account.shopName,
    seller_base_region: books.account.region,
    user_type: 0,
    granted_scopes: ["seller.authorization.info", "seller.order.info", "seller.product.basic"],
  };
}
