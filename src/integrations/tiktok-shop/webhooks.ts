import { createHash } from "node:crypto";
import { z } from "zod";
import { parseJson } from "./json.ts";
import { type AppCredentials, isSignedByApp } from "./signature.ts";

/**
 * What a webhook says, as far as it is needed to know what to fetch. A webhook is a hint: everything else is read from
 * the API. Reading never throws, since whatever was signed must be kept, readable or not.
 */
export type WebhookReading =
  | {
      readonly kind: "readable";
      readonly topic: number;
      readonly dedupeKey: string;
      readonly channelShopId: string | null;
      readonly sellerOpenId: string | null;
      /** With topics that are about one order: its status, address, cancellation or return. */
      readonly orderId: string | null;
      /** With topic 68, a change of stock. */
      readonly skuId: string | null;
      /** A number that neither an order nor a call of ours explains, as far as the message says. */
      readonly changedByOthers: boolean;
      /** ISO 8601 in UTC; null when the sender gave no usable time. */
      readonly occurredAt: string | null;
      readonly notificationId: string | null;
    }
  | { readonly kind: "unreadable"; readonly reason: string; readonly dedupeKey: string };

export const webhookTopics = {
  orderStatus: 1,
  recipientAddress: 3,
  packageUpdate: 4,
  sellerDeauthorisation: 6,
  authorisationExpiring: 7,
  cancellationStatus: 11,
  returnStatus: 12,
  inventoryChange: 68,
} as const;

const topicsOfOneOrder: ReadonlySet<number> = new Set([
  webhookTopics.orderStatus,
  webhookTopics.recipientAddress,
  webhookTopics.cancellationStatus,
  webhookTopics.returnStatus,
]);

/**
 * What changes a number in the channel without anybody else's doing (TikTok Shop, inventory update, `trigger_source`): its
 * orders, which we hear of as orders, and our own calls, which are read back. Calls of another app bear the same name; what they
 * have done is found by the regular look at the stock.
 */
const causesWeKnow: ReadonlySet<string> = new Set([
  "order_created",
  "order_canceled",
  "order_shipped",
  "api_sync",
]);

/** True when the sender holds the app's current or previous secret. Give it the bytes as they arrived. */
export function verifyWebhook(
  rawBody: Buffer,
  authorization: string | undefined,
  app: AppCredentials,
): boolean {
  return isSignedByApp(rawBody, authorization, app);
}

/**
 * Reads a webhook's bytes; never throws.
 *
 * The dedupe key is the notification's id, with topic 68 the event's; without either it is a hash of the bytes and the
 * hour of receipt, so that the same text an hour later counts as new.
 *
 * @param receivedAt tells the hour.
 */
export function readWebhook(rawBody: Buffer, receivedAt: Date): WebhookReading {
  const unreadable = (reason: string): WebhookReading => ({
    kind: "unreadable",
    reason,
    dedupeKey: hashKey(rawBody, receivedAt),
  });
  let body: unknown;
  try {
    body = parseJson(new TextDecoder("utf-8", { fatal: true }).decode(rawBody));
  } catch (error) {
    return unreadable(error instanceof SyntaxError ? "The body is not JSON." : "The body is not UTF-8 text.");
  }
  const envelope = envelopeSchema.safeParse(body);
  if (!envelope.success) return unreadable("The body is not a JSON object.");
  const bare = envelope.data.type === null ? inventorySchema.safeParse(body) : null;
  const topic = bare?.success === true ? webhookTopics.inventoryChange : envelope.data.type;
  if (topic === null) return unreadable("The body names no topic.");
  const data = bare?.success === true ? bare.data : envelope.data.data;
  const { tts_notification_id: notificationId, shop_id, seller_open_id, timestamp } = envelope.data;
  const isInventory = topic === webhookTopics.inventoryChange;
  return {
    kind: "readable",
    topic,
    dedupeKey:
      dedupeKeyOf({ eventId: isInventory ? data.event_id : null, notificationId }) ??
      hashKey(rawBody, receivedAt),
    channelShopId: shop_id,
    sellerOpenId: seller_open_id,
    orderId: topicsOfOneOrder.has(topic) ? orderNumberOf(data.order_id) : null,
    skuId: isInventory ? data.sku_id : null,
    changedByOthers: isInventory && !data.change_detail.every((cause) => causesWeKnow.has(cause)),
    occurredAt: (isInventory ? data.occurred_at : null) ?? timestamp,
    notificationId,
  };
}

/** Ids come as text or number; anything that is not short printable ASCII (NUL, lone surrogates) is no id. */
const idOrNull = z
  .union([z.string(), z.number().int()])
  .transform(String)
  .pipe(z.string().regex(/^[\x21-\x7e]{1,128}$/))
  .nullable()
  .catch(null);

/** TikTok Shop numbers orders by 64-bit decimals; anything else names no order that could be fetched. */
function orderNumberOf(text: string | null): string | null {
  return text !== null && /^\d{1,20}$/.test(text) ? text : null;
}

const secondsOrNull = z
  .union([z.number(), z.string().regex(/^\d{1,12}$/)])
  .transform((seconds) => isoOrNull(Number(seconds) * 1_000))
  .catch(null);

const dataSchema = z
  .object({
    order_id: idOrNull,
    event_id: idOrNull,
    sku_id: idOrNull,
    occurred_at: z
      .string()
      .transform((text) => isoOrNull(Date.parse(text)))
      .catch(null),
    change_detail: z
      .array(z.object({ trigger_source: z.string() }).transform(({ trigger_source: cause }) => cause))
      .min(1)
      .catch(["not told"]),
  })
  .catch({ order_id: null, event_id: null, sku_id: null, occurred_at: null, change_detail: ["not told"] });

const envelopeSchema = z.object({
  type: z
    .union([z.number().int(), z.string().regex(/^\d{1,6}$/)])
    .transform(Number)
    .pipe(z.number().int().min(0).max(999_999))
    .nullable()
    .catch(null),
  tts_notification_id: idOrNull,
  shop_id: idOrNull,
  seller_open_id: idOrNull,
  timestamp: secondsOrNull,
  data: dataSchema,
});

/** Topic 68 is also seen without an envelope; these two fields tell it. */
const inventorySchema = dataSchema.refine((data) => data.event_id !== null && data.sku_id !== null);

function dedupeKeyOf(ids: {
  readonly eventId: string | null;
  readonly notificationId: string | null;
}): string | null {
  if (ids.eventId !== null) return `event:${ids.eventId}`;
  return ids.notificationId === null ? null : `notification:${ids.notificationId}`;
}

function hashKey(rawBody: Buffer, receivedAt: Date): string {
  const hour = receivedAt.toISOString().slice(0, 13);
  return `body:${hour}:${createHash("sha256").update(rawBody).digest("hex")}`;
}

function isoOrNull(milliseconds: number): string | null {
  const year = new Date(milliseconds).getUTCFullYear();
  // Four digits: a year beyond has another ISO form, which PostgreSQL does not read.
  return year >= 1970 && year <= 9999 ? new Date(milliseconds).toISOString() : null;
}
