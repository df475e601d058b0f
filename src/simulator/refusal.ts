/**
 * TikTok Shop's refusals: a code, a text and an HTTP status. The numbers are theirs; where the status of a code is not
 * published it is 200 for decisions of the business and 400 or 401 for calls that could not be handled.
 */
export interface Refusal {
  readonly code: number;
  readonly message: string;
  readonly status: number;
  /** Seconds after which the same call may be made again. */
  readonly retryAfterSeconds?: number;
}

/** What an endpoint answers: the envelope's `data`, or why not. */
export type Outcome = { readonly data: unknown } | { readonly refusal: Refusal };

export function refuse(refusal: Refusal): { readonly refusal: Refusal } {
  return { refusal };
}

/** A refusal as TikTok words it. */
export function envelope(requestId: string, { code, message }: Refusal) {
  return { code, message, request_id: requestId, data: {} };
}

/** An answer as TikTok words it. */
export function success(requestId: string, data: unknown) {
  return { code: 0, message: "Success", request_id: requestId, data };
}

/** One code stands for a dozen problems at TikTok's; clients tell them apart by words of the message. */
export function badRequest(message: string): Refusal {
  return { code: 36009004, status: 400, message };
}

export const refusals = {
  signatureInvalid: { code: 106001, status: 401, message: "sign is invalid" },
  cipherMissing: { code: 106013, status: 400, message: "shop_cipher is missing" },
  cipherForeign: { code: 101000, status: 403, message: "the access token does not fit this shop_cipher" },
  tokenExpired: { code: 105002, status: 401, message: "access token is expired" },
  tokenInvalid: { code: 36009004, status: 401, message: "x-tts-access-token in the header is invalid" },
  pathUnknown: { code: 36009009, status: 404, message: "invalid path" },
  internal: { code: 36009003, status: 500, message: "internal error" },
  authCodeInvalid: {
    code: 36004004,
    status: 200,
    message: "auth_code is invalid, expired or was used before",
  },
  refreshTokenExpired: { code: 36004001, status: 200, message: "refresh_token is expired" },
  authorizationMissing: {
    code: 36004005,
    status: 200,
    message: "no authorization belongs to this refresh_token",
  },
  orderUnknown: { code: 21001001, status: 200, message: "the order does not exist" },
  packageUnknown: { code: 21011001, status: 200, message: "the package does not exist" },
  lineUnknown: { code: 21001002, status: 200, message: "an order line item does not belong to the order" },
  packageShipped: { code: 21011008, status: 200, message: "the package has been shipped already" },
  documentUnavailable: {
    code: 21011021,
    status: 200,
    message: "no shipping document for this package in its present status",
  },
  shippingTypeWrong: {
    code: 21011013,
    status: 200,
    message: "this way of shipping does not fit the order's shipping_type",
  },
  trackingInvalid: {
    code: 21011024,
    status: 200,
    message: "tracking number or shipping provider is invalid",
  },
  cancelUnknown: { code: 25001001, status: 200, message: "the cancellation does not exist" },
  cancelNotAllowed: {
    code: 25001013,
    status: 200,
    message: "the order cannot be cancelled in its present status",
  },
  cancelAnswered: {
    code: 25001017,
    status: 200,
    message: "the cancellation request is not waiting for an answer",
  },
  productUnknown: { code: 12019150, status: 200, message: "the product does not exist" },
} as const satisfies Record<string, Refusal>;

/** The order's status forbids shipping it. */
export function notShippable(status: string): Refusal {
  return { code: 21011007, status: 200, message: `an order in status ${status} cannot be shipped` };
}
