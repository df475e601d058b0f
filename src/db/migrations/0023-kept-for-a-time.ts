import type { Kysely } from "kysely";
import { run } from "./tools.ts";

/**
 * What only tells how something went is kept for a time: messages that were worked off, deliveries that were taken in, what
 * channels said and what they were told. The dispatcher forgets it afterwards (`src/db/retention.ts`), and nobody can forget it
 * sooner, nor what is not settled. The ledger, orders and the audit log are kept for ever.
 */
export async function up(db: Kysely<unknown>): Promise<void> {
  await run(
    db,
    `drop trigger append_only on channel_observations;
     create trigger append_only before update on channel_observations for each row execute function refuse_change();
     create trigger kept_for_a_time before delete on channel_observations for each row
       when (old.observed_at > now() - interval '14 days')
       execute function refuse_illegal_change('what a channel said is kept for 14 days');
     create trigger kept_for_a_time before delete on push_intents for each row
       when (old.state = 'open' or old.closed_at > now() - interval '30 days')
       execute function refuse_illegal_change('a push is kept until 30 days after its end');
     create trigger kept_for_a_time before delete on outbox for each row
       when (old.done_at is null or old.done_at > now() - interval '14 days')
       execute function refuse_illegal_change('a message is kept until 14 days after its end');
     create trigger kept_for_a_time before delete on webhook_deliveries for each row
       when (old.state <> 'processed' or old.processed_at > now() - interval '90 days')
       execute function refuse_illegal_change('a delivery is kept until 90 days after its end');
     grant delete on channel_observations, push_intents, outbox, webhook_deliveries to cf_dispatcher`,
  );
}
