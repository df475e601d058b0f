import type { SeededShop } from "./seed.ts";
import type { TestDatabase } from "./database.ts";

export interface WaitingDeliveries {
  readonly count: number;
  /** Seconds that the first of them has waited; the others a millisecond less each. Negative is not due yet. */
  readonly waitedSeconds: number;
  /** All of this order; of one order each unless told. */
  readonly order?: string;
  /** Whether nothing came of their orders before. */
  readonly first?: boolean;
}

/** Stores deliveries of a shop that wait to be worked off. */
export async function storeDeliveries(
  database: TestDatabase,
  { tenantId, shopId }: SeededShop,
  { count, waitedSeconds, order, first }: WaitingDeliveries,
): Promise<void> {
  await database.asSuperuser(
    `insert into webhook_deliveries (channel, tenant_id, shop_id, sender, dedupe_key, topic, channel_order_id, body, headers,
       first_of_order, next_attempt_at)
     select 'tiktok-shop', $1, $2, 'test', uuidv4(), 1, coalesce($3, uuidv4()::text), '\\x7b7d', '{}', $4,
       now() - make_interval(secs => $5) + number * interval '1 millisecond'
     from generate_series(1, $6::integer) as number`,
    [tenantId, shopId, order ?? null, first ?? false, waitedSeconds, count],
  );
}
