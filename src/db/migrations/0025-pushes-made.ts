import type { Kysely } from "kysely";
import { run } from "./tools.ts";

/**
 * Who pushes marks the messages that ask for it when that has worked, or when the SKU's entity was told to, and not when it begins:
 * until then they are what makes sure of the push. One whose row somebody writes at that moment is skipped, and comes due again.
 */
export async function up(db: Kysely<unknown>): Promise<void> {
  await run(
    db,
    `create function complete_pushes(pushes jsonb) returns void
       language sql security definer set search_path = pg_catalog, public as $$
       with made as (
         select message.id, given.begun_at
         from jsonb_to_recordset(pushes) as given (key text, begun_at timestamptz)
         join outbox as message on message.tenant_id = current_setting('app.tenant_id')::uuid
           and message.kind = 'push_offer' and message.key = given.key
         where message.done_at is null
         for update of message skip locked
       )
       update outbox set done_at = coalesce(made.begun_at, clock_timestamp()), leased_until = null, last_error = null from made where outbox.id = made.id
     $$;
     revoke all on function complete_pushes(jsonb) from public;
     grant execute on function complete_pushes(jsonb) to cf_app;
     drop function take_over_pushes(text[])`,
  );
}
