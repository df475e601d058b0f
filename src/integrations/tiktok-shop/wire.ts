import { z } from "zod";
import { storableText } from "./text.ts";

/**
 * TikTok Shop's shapes, as far as we read them. Tolerant: unknown fields pass, words we do not know stay words until
 * `translate.ts` judges them, and lists keep their items unread so that one strange item does not lose its page.
 */

export const text = z.string().transform(storableText);
const textOrNull = text
  .transform((value) => (value === "" ? null : value))
  .nullish()
  .catch(null);

/** What travels in a header or a query: tokens, ciphers, places in a listing. */
export const printable = z.string().regex(/^[\x21-\x7e]{1,4000}$/);

/** The reason for a refusal, short enough for a history. */
const message = z
  .string()
  .transform((value) => storableText(value.slice(0, 300)))
  .catch("");
export const errorCode = z.union([z.number().int(), z.string().regex(/^\d{1,19}$/)]).transform(String);

/** 64-bit: text, or a number when it is a small one. */
const id = z
  .union([z.string(), z.number().int()])
  .transform(String)
  .pipe(z.string().regex(/^[\x21-\x7e]{1,64}$/));
export const idOrNull = id.nullish().catch(null);

/** Unix seconds as ISO 8601; TikTok writes 0 for "not yet". */
const lastSecond = 253_402_300_799;
const seconds = z
  .union([z.number(), z.string().regex(/^\d{1,12}$/)])
  .transform(Number)
  .pipe(z.number().int().min(0).max(lastSecond));
const time = seconds.pipe(z.number().min(1)).transform((value) => new Date(value * 1_000).toISOString());
const timeOrNull = time.nullish().catch(null);

/** A decimal in major units, as text. */
const decimal = z.union([z.string(), z.number()]).transform(String);
/** PostgreSQL counts units in 32 bits. */
const count = z.number().int().min(0).max(2_147_483_647);
const currency = z.string().regex(/^[A-Z]{3}$/);

const lineSchema = z.object({
  id,
  sku_id: id,
  product_id: id,
  seller_sku: textOrNull,
  product_name: text.catch(""),
  sku_name: textOrNull,
  display_status: z.string().nullish().catch(null),
  package_id: idOrNull,
  sale_price: decimal,
});

/** Personal, and never a reason to lose an order. */
const recipientSchema = z
  .object({
    name: textOrNull,
    phone_number: textOrNull,
    full_address: textOrNull,
    postal_code: textOrNull,
    region_code: textOrNull,
  })
  .nullish()
  .catch(null);

export const orderSchema = z.object({
  id,
  status: z.string(),
  is_on_hold_order: z.boolean().nullish().catch(null),
  create_time: time,
  update_time: time,
  paid_time: timeOrNull,
  fulfillment_type: z.string().nullish().catch(null),
  shipping_type: z.string().nullish().catch(null),
  warehouse_id: idOrNull,
  rts_sla_time: timeOrNull,
  cancel_order_sla_time: timeOrNull,
  cancel_reason: textOrNull,
  is_buyer_request_cancel: z.boolean().nullish().catch(null),
  tracking_number: textOrNull,
  packages: z.array(z.object({ id })).nullish().catch(null),
  payment: z.object({ currency, total_amount: decimal }),
  recipient_address: recipientSchema,
  line_items: z.array(lineSchema).min(1),
});
export type WireOrder = z.output<typeof orderSchema>;

/** What can be told of an order that does not fit. */
export const strangeOrderSchema = z
  .object({ id: idOrNull, update_time: timeOrNull })
  .catch({ id: null, update_time: null });

const unreadList = z
  .array(z.unknown())
  .nullish()
  .transform((list) => list ?? []);
const nextPageToken = z
  .union([printable, z.literal("")])
  .nullish()
  .transform((token) => (token === "" ? null : (token ?? null)));

export const ordersAnswer = z.object({ orders: unreadList, next_page_token: nextPageToken });

export const productSchema = z.object({
  id,
  title: text.catch(""),
  status: z.string(),
  skus: z.array(
    z.object({
      id,
      seller_sku: textOrNull,
      sales_attributes: z
        .array(z.object({ value_name: text }))
        .nullish()
        .catch(null),
      price: z
        .object({
          currency,
          sale_price: decimal.nullish(),
          tax_exclusive_price: decimal.nullish(),
        })
        .nullish()
        .catch(null),
      inventory: z
        .array(z.object({ warehouse_id: id }))
        .nullish()
        .catch(null),
      status_info: z.object({ status: z.string() }).nullish().catch(null),
    }),
  ),
});
export type WireProduct = z.output<typeof productSchema>;

export const productsAnswer = z.object({ products: unreadList, next_page_token: nextPageToken });

/** Units that are kept for somebody; each entry has a number, whatever else it has. */
const lockedPool = z
  .array(z.looseObject({ quantity: count.catch(0) }))
  .nullish()
  .catch(null)
  .transform((entries) => (entries ?? []).reduce((sum, entry) => sum + entry.quantity, 0));

export const stockSchema = z.object({
  product_id: id,
  skus: z.array(
    z.object({
      id,
      total_available_inventory_distribution: z
        .looseObject({ campaign_inventory: lockedPool, creator_inventory: lockedPool })
        .nullish()
        .catch(null),
      warehouse_inventory: z.array(
        z.object({
          warehouse_id: id,
          available_quantity: count.default(0),
          committed_quantity: count.default(0),
        }),
      ),
    }),
  ),
});
export type WireStock = z.output<typeof stockSchema>;
export const stockAnswer = z.object({ inventory: unreadList });

const itemErrors = <Detail extends z.ZodType>(detail: Detail) =>
  z
    .array(
      z.object({
        code: errorCode,
        message,
        detail: detail.nullish().catch(null),
      }),
    )
    .nullish()
    .transform((errors) => errors ?? []);

const extraErrorSchema = z.object({
  warehouse_id: idOrNull,
  code: errorCode,
  message,
});

export const stockUpdateAnswer = z.object({
  errors: itemErrors(z.object({ sku_id: id, extra_errors: z.array(extraErrorSchema).nullish().catch(null) })),
});

export const shipAnswer = z.object({ errors: itemErrors(z.object({ package_id: id })) });

export const shopsAnswer = z.object({
  shops: z.array(z.object({ id, cipher: printable, name: text.catch(""), region: text.catch("") })),
});

export const warehousesAnswer = z.object({
  warehouses: z.array(
    z.object({
      id,
      name: text.catch(""),
      type: z.string().nullish().catch(null),
      effect_status: z.string().nullish().catch(null),
      is_default: z.boolean().nullish().catch(null),
    }),
  ),
});

export const markShippedAnswer = z.object({ package_id: id });

export const documentAnswer = z.object({
  doc_url: z.url({ protocol: /^https?$/, normalize: true }),
  tracking_number: textOrNull,
});

/** Milliseconds here, where everything else has seconds. */
export const trackingAnswer = z.object({
  tracking: z
    .array(
      z.object({
        description: text.catch(""),
        update_time_millis: z
          .union([z.number(), z.string().regex(/^\d{1,15}$/)])
          .transform(Number)
          .pipe(
            z
              .number()
              .int()
              .min(0)
              .max(lastSecond * 1_000),
          )
          .transform((value) => new Date(value).toISOString()),
      }),
    )
    .nullish()
    .transform((entries) => entries ?? []),
});

export const cancelAnswer = z.object({ cancel_id: id, cancel_status: text });
