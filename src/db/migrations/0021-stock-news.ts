import type { Kysely } from "kysely";
import { allowOutboxKinds, run } from "./tools.ts";

/**
 * The channel tells that somebody else has changed a number. Its message names the seller and the SKU, not the shop, and the
 * role that takes messages in sees no listings: a function of the directory finds the listing, marks it, and leaves one message
 * for all of a shop's news within five seconds, so that they are looked at in one call.
 */
export async function up(db: Kysely<unknown>): Promise<void> {
  await allowOutboxKinds(db, ["look_at_news"]);
  await run(
    db,
    `alter table listings add column news_at timestamptz;
     create index listings_with_news on listings (shop_id, id) where news_at is not null;
     create index listings_by_channel_sku on listings (channel_sku_id);

     create policy directory_finds on listings for select to cf_directory using (true);
     create policy directory_marks on listings for update to cf_directory using (true) with check (true);
     create policy directory_leaves on outbox for insert to cf_directory with check (kind = 'look_at_news');
     grant select (id, tenant_id, shop_id, channel_sku_id), update (news_at) on listings to cf_directory;
     grant insert (tenant_id, kind, key, payload, next_attempt_at) on outbox to cf_directory;
     grant create on schema public to cf_directory;

     create function note_stock_news(news_channel text, shop_reference text, open_id text, sku_reference text)
       returns boolean
       language sql volatile security definer set search_path = pg_catalog, public as $$
       with noted as (
         update public.listings as listing set news_at = date_trunc('milliseconds', clock_timestamp())
         from public.shops as shop
         where listing.channel_sku_id = sku_reference and shop.tenant_id = listing.tenant_id and shop.id = listing.shop_id
           and shop.channel = news_channel
           and (shop.channel_shop_id = shop_reference or (shop_reference is null and shop.seller_open_id = open_id))
         returning listing.tenant_id, listing.shop_id
       ), left_behind as (
         insert into public.outbox (tenant_id, kind, key, payload, next_attempt_at)
         select distinct tenant_id, 'look_at_news', shop_id || '/' || window_number,
           jsonb_build_object('shopId', shop_id, 'window', window_number), to_timestamp((window_number + 1) * 5)
         from noted, lateral (select floor(extract(epoch from clock_timestamp()) / 5)::bigint as window_number) as now
         on conflict do nothing
       )
       select exists (select from noted)
       $$;
     alter function note_stock_news(text, text, text, text) owner to cf_directory;
     revoke create on schema public from cf_directory;
     set role cf_directory;
     revoke all on function note_stock_news(text, text, text, text) from public;
     grant execute on function note_stock_news(text, text, text, text) to cf_ingest;
     reset role`,
  );
}
