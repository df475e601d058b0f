import { sql } from "kysely";
import type { TenantTransaction } from "../tenant.ts";

/** The tenant's shops, by name, with how their poll and their channel are. */
export async function listTenantShops(transaction: TenantTransaction) {
  const rows = await selectShops(transaction).execute();
  return rows.map(({ poll_ran_at, retry_at, ...row }) => ({
    id: row.id,
    name: row.name,
    channel: row.channel,
    channel_shop_id: row.channel_shop_id,
    region: row.region,
    status: row.status,
    status_reason: row.status_reason,
    stock_opened_at: row.stock_opened_at,
    connected_at: row.connected_at,
    poll:
      poll_ran_at === null
        ? null
        : {
            last_run_at: poll_ran_at,
            last_success_at: row.last_success_at,
            cursor: row.cursor,
            last_error: row.last_error,
            seen: row.seen_total ?? 0,
            recovered: row.recovered_total ?? 0,
            awaited: row.awaited_total ?? 0,
            refused: row.refused_total ?? 0,
          },
    breaker: {
      state: row.breaker_state,
      retry_at,
      latency_milliseconds: row.latency_milliseconds,
      last_answer_at: row.last_answer_at,
      last_failure: row.last_failure,
      last_failure_at: row.last_failure_at,
    },
  }));
}

/** `open` lets nothing through; `half_open` lets one call through, whose outcome decides. */
const breakerState = sql<"closed" | "open" | "half_open">`case when breaker.retry_at is null then 'closed'
  when breaker.retry_at > clock_timestamp() then 'open' else 'half_open' end`;

function selectShops(transaction: TenantTransaction) {
  return transaction
    .selectFrom("shops")
    .leftJoin("sync_cursors as poll", (join) =>
      join
        .onRef("poll.tenant_id", "=", "shops.tenant_id")
        .onRef("poll.shop_id", "=", "shops.id")
        .on("poll.kind", "=", "orders"),
    )
    .leftJoin("circuit_breakers as breaker", (join) =>
      join.onRef("breaker.tenant_id", "=", "shops.tenant_id").onRef("breaker.shop_id", "=", "shops.id"),
    )
    .orderBy("shops.name")
    .orderBy("shops.id")
    .select([
      "shops.id",
      "shops.name",
      "shops.channel",
      "shops.channel_shop_id",
      "shops.region",
      sql<"connecting" | "connected" | "disconnected">`shops.status`.as("status"),
      "shops.status_reason",
      "shops.opened_at as stock_opened_at",
      "shops.created_at as connected_at",
      "poll.last_run_at as poll_ran_at",
      "poll.last_success_at",
      "poll.cursor",
      "poll.last_error",
      "poll.seen_total",
      "poll.recovered_total",
      "poll.awaited_total",
      "poll.refused_total",
      breakerState.as("breaker_state"),
      "breaker.retry_at",
      "breaker.latency_milliseconds",
      "breaker.last_answer_at",
      "breaker.last_failure",
      "breaker.last_failure_at",
    ]);
}

/** How a tenant's channels answer, over all of its shops. */
export interface ChannelHealth {
  readonly shops: number;
  /** Shops whose channel is being spared because it did not answer. */
  readonly shopsSpared: number;
  /** Mean of the last calls, of the slowest shop; null before the first call. */
  readonly latencyMilliseconds: number | null;
  readonly lastAnswerAt: string | null;
  /** When the first spared shop is tried again; null when none is spared. */
  readonly retryAt: string | null;
}

/** Tells the tenant's health without a call: from what the last calls came to. */
export async function getChannelHealth(transaction: TenantTransaction): Promise<ChannelHealth> {
  return await transaction
    .selectFrom("shops")
    .leftJoin("circuit_breakers as breaker", (join) =>
      join.onRef("breaker.tenant_id", "=", "shops.tenant_id").onRef("breaker.shop_id", "=", "shops.id"),
    )
    .where("shops.status", "=", "connected")
    .select((of) => [
      of.fn.countAll<number>().as("shops"),
      of.fn.count<number>("breaker.retry_at").as("shopsSpared"),
      of.fn.max("breaker.latency_milliseconds").as("latencyMilliseconds"),
      of.fn.max("breaker.last_answer_at").as("lastAnswerAt"),
      of.fn.min("breaker.retry_at").as("retryAt"),
    ])
    .executeTakeFirstOrThrow();
}
