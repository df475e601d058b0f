import type { Grant } from "../records.ts";
import { badRequest, type Refusal, refusals } from "../refusal.ts";
import { sameText, signCall } from "../signature.ts";
import type { Simulation } from "../simulation.ts";
import type { Call, Endpoint } from "./endpoint.ts";
import type { Quota } from "./quota.ts";

/** The accepted clock, in seconds against ours. */
const secondsBehindMax = 5 * 60;
const secondsAheadMax = 30;

/** Everything TikTok checks before an operation is looked at; null when the call may pass. */
export function whyRefused(
  simulation: Simulation,
  quota: Quota,
  endpoint: Endpoint,
  call: Call,
): Refusal | null {
  if (endpoint.access === "open") return null;
  return (
    whyUnsigned(simulation, call) ??
    whyUnauthorized(simulation, call) ??
    whyWrongShop(simulation, endpoint, call) ??
    quota.take(simulation.books.settings)
  );
}

function whyUnsigned({ books }: Simulation, call: Call): Refusal | null {
  const { appKey, appSecret } = books.account;
  for (const name of ["app_key", "timestamp", "sign"]) {
    if (!call.query.has(name)) return badRequest(`${name} is missing`);
  }
  if (call.query.get("app_key") !== appKey) return badRequest("app_key is invalid");
  const timestamp = call.query.get("timestamp") ?? "";
  const age = Math.floor(Date.now() / 1000) - Number(timestamp);
  if (!/^\d{10}$/.test(timestamp) || age > secondsBehindMax || -age > secondsAheadMax) {
    return badRequest("timestamp is invalid or out of the accepted window");
  }
  const expected = signCall(appSecret, call);
  return sameText(expected, call.query.get("sign") ?? "") ? null : refusals.signatureInvalid;
}

function whyUnauthorized({ books }: Simulation, call: Call): Refusal | null {
  const { token } = call;
  if (token === undefined) return refusals.tokenInvalid;
  const grants: Grant[] = [...books.grants.all()];
  const grant = grants.find(({ accessToken }) => sameText(accessToken, token));
  if (grant === undefined) return refusals.tokenInvalid;
  return grant.accessExpireTime <= Date.now() / 1000 ? refusals.tokenExpired : null;
}

function whyWrongShop({ books }: Simulation, endpoint: Endpoint, call: Call): Refusal | null {
  const cipher = call.query.get("shop_cipher");
  if (endpoint.access === "seller") {
    return cipher === undefined ? null : badRequest("shop_cipher is not required by this endpoint");
  }
  if (cipher === undefined || cipher === "") return refusals.cipherMissing;
  return cipher === books.account.shopCipher ? null : refusals.cipherForeign;
}
