import { z } from "zod";

/** What tests read of the simulator's answers. Written from TikTok's documentation, not from the simulator. */

const id = z.string().regex(/^\d{15,19}$/);
const seconds = z.number().int();

export const envelope = z.object({
  code: z.number().int(),
  message: z.string(),
  request_id: z.string(),
  data: z.unknown(),
});

const order = z.object({
  id,
  status: z.string(),
  create_time: seconds,
  update_time: seconds,
  user_id: id,
  is_on_hold_order: z.boolean(),
  is_buyer_request_cancel: z.boolean(),
  cancel_reason: z.string().optional(),
  cancellation_initiator: z.string().optional(),
  rts_sla_time: seconds.optional(),
  recipient_address: z.object({ name: z.string() }).nullable(),
  payment: z.object({
    sub_total: z.string(),
    shipping_fee: z.string(),
    seller_discount: z.string(),
    platform_discount: z.string(),
    total_amount: z.string(),
    original_total_product_price: z.string(),
  }),
  packages: z.array(z.object({ id })),
  line_items: z
    .array(
      z.object({
        id,
        sku_id: id,
        product_id: id,
        display_status: z.string(),
        sale_price: z.string(),
        package_id: id.optional(),
        package_status: z.string().optional(),
        tracking_number: z.string().optional(),
      }),
    )
    .min(1),
});

const paging = { next_page_token: z.string(), total_count: z.number().int() };
export const orders = z.object({ orders: z.array(order) });
export const orderPage = orders.extend(paging);
export const productPage = z.object({
  products: z.array(z.object({ id, skus: z.array(z.object({ id, seller_sku: z.string() })) })),
  ...paging,
});
export const inventory = z.object({
  inventory: z.array(
    z.object({
      product_id: id,
      skus: z.array(
        z.object({
          id,
          total_available_quantity: z.number().int(),
          total_committed_quantity: z.number().int(),
        }),
      ),
    }),
  ),
});
export const updateErrors = z.object({
  errors: z.array(
    z.object({
      code: z.number().int(),
      message: z.string(),
      detail: z.object({
        sku_id: z.string(),
        extra_errors: z.array(z.object({ warehouse_id: z.string(), code: z.number().int() })),
      }),
    }),
  ),
});
export const shipErrors = z.object({
  errors: z.array(z.object({ code: z.number().int(), detail: z.object({ package_id: z.string() }) })),
});
export const warehouses = z.object({ warehouses: z.array(z.object({ id, is_default: z.boolean() })) });
export const shops = z.object({ shops: z.array(z.object({ id, cipher: z.string(), region: z.string() })) });
export const label = z.object({ doc_url: z.url(), tracking_number: z.string() });
export const marked = z.object({ package_id: id, order_line_item_ids: z.array(id) });
export const track = z.object({ tracking: z.array(z.object({ update_time_millis: z.number().int() })) });
export const cancelled = z.object({ cancel_id: id, cancel_status: z.string() });
export const cancellations = z.object({ cancellations: z.array(z.object({ cancel_id: id, order_id: id })) });
export const tokens = z.object({
  access_token: z.string(),
  access_token_expire_in: seconds,
  refresh_token: z.string(),
});

export const credentials = z.object({
  appKey: z.string(),
  appSecret: z.string(),
  shopId: id,
  shopCipher: z.string(),
  sellerOpenId: z.string(),
  accessToken: z.string(),
  refreshToken: z.string(),
  authCode: z.string(),
});

const sku = z.object({
  id,
  sellerSku: z.string(),
  reservedForBursts: z.boolean(),
  available: z.number().int(),
});
export const catalogue = z.object({ products: z.array(z.object({ id, skus: z.array(sku) })) });

export const bookedOrder = z.object({
  orderId: id,
  status: z.string(),
  warehouseId: id,
  statusChanges: z.array(z.object({ status: z.string(), by: z.string(), at: z.string() })),
  lines: z.array(z.object({ id, skuId: id, oversold: z.boolean() })),
  packages: z.array(
    z.object({
      id,
      status: z.string(),
      shipCallsAccepted: z.number().int(),
      shipCallsRepeated: z.number().int(),
    }),
  ),
  shipCallsAccepted: z.number().int(),
  cancelCount: z.number().int(),
});
export const bookedStock = z.object({
  sellerSku: z.string(),
  warehouses: z.array(
    z.object({
      available: z.number(),
      committed: z.number(),
      initial: z.number(),
      sold: z.number(),
      oversold: z.number(),
      cancelled: z.number(),
      cancelledOversold: z.number(),
      deducted: z.number(),
      setByApi: z.number(),
      setByHand: z.number(),
    }),
  ),
});
export const bookedWebhook = z.object({
  id,
  type: z.number().int(),
  fate: z.string(),
  faults: z.array(z.string()),
  createMilliseconds: z.number(),
  attempts: z.array(
    z.object({ atMilliseconds: z.number(), status: z.number().nullable(), error: z.string().nullable() }),
  ),
});
export const bookedCall = z.object({ endpoint: z.string(), codes: z.record(z.string(), z.number().int()) });
export const burst = z.object({
  created: z.number().int(),
  soldOut: z.number().int(),
  done: z.boolean(),
  orderIds: z.array(id),
});
export const burstStarted = z.object({ burstId: id });
export const warehouse = z.object({ id });

/** Of a webhook: ids in stock news are numbers that a double cannot hold, so those are read from the text. */
export const webhook = z.object({
  type: z.number().int(),
  tts_notification_id: id,
  shop_id: id.optional(),
  seller_open_id: z.string().optional(),
  timestamp: seconds,
  data: z.object({
    order_id: id.optional(),
    order_status: z.string().optional(),
    cancellations_role: z.string().optional(),
    occurred_at: z.string().optional(),
    quantity_snapshot_after_change: z.record(z.string(), z.number()).optional(),
    change_detail: z.array(z.looseObject({ trigger_source: z.string() })).optional(),
  }),
});
