import type { Kysely } from "kysely";
import { run } from "./tools.ts";

/**
 * A SKU's entity pushes by itself what its own batch has changed, and then nobody needs to tell it: the activity that pushes
 * marks the message as done, and no other: working off messages is the dispatcher's. And a shop whose channel limits calls is asked by one call at a time whether that is over.
 */
export async function up(db: Kysely<unknown>): Promise<void> {
  await run(
    db,
    `create function take_over_pushes(keys text[]) returns setof timestamptz
       language sql security definer set search_path = pg_catalog, public as $$
       update outbox set done_at = coalesce(done_at, clock_timestamp()), leased_until = null
       where tenant_id = current_setting('app.tenant_id')::uuid and kind = 'push_offer' and key = any (keys)
       returning created_at
     $$;
     revoke all on function take_over_pushes(text[]) from public;
     grant execute on function take_over_pushes(text[]) to cf_app;
     alter table rate_buckets add column limit_state text not null default 'none'
       check (limit_state in ('none', 'paused', 'asked'))`,
  );
}
