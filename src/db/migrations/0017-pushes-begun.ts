import type { Kysely } from "kysely";
import { run } from "./tools.ts";

/**
 * A SKU's entity pushes by itself what its own batch has changed, and then nobody needs to tell it: the activity that pushes
 * marks the message as done. And a shop whose channel limits calls is asked by one call at a time whether that is over.
 */
export async function up(db: Kysely<unknown>): Promise<void> {
  await run(
    db,
    `grant update (done_at, leased_until) on outbox to cf_app;
     alter table rate_buckets add column limit_state text not null default 'none'
       check (limit_state in ('none', 'paused', 'asked'))`,
  );
}
