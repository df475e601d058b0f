import type { Kysely } from "kysely";
import { run } from "./tools.ts";

/**
 * The list of SKUs stays quick with 50,000 of them. It is read by columns: behind row-level security a condition on
 * `lower(name)` is not trusted to an index, so that the pages at the end read all that come before them; and `ilike` makes
 * every name small again for each search. Whether a SKU is low is kept beside it, since no index answers a sum.
 */
export async function up(db: Kysely<unknown>): Promise<void> {
  await run(
    db,
    `alter table skus
       add column sort_name text not null generated always as (lower(name)) stored,
       add column search_text text not null generated always as (lower(name || chr(10) || code)) stored,
       add column stock_status text not null default 'out_of_stock'
         constraint stock_status_is_known check (stock_status in ('in_stock', 'low_stock', 'out_of_stock'));
     drop index skus_by_name;
     create index skus_by_name on skus (tenant_id, sort_name, id);
     create index skus_by_status on skus (tenant_id, stock_status, sort_name, id)`,
  );
  await run(
    db,
    `create function stock_status_of(tenant uuid, sku uuid, threshold integer) returns text language sql stable as $$
       select case when units <= 0 then 'out_of_stock' when units <= threshold then 'low_stock' else 'in_stock' end
       from (
         select coalesce(sum(available_stock), 0) as units from stock_levels where tenant_id = tenant and sku_id = sku
       ) as available
     $$;

     -- The lock makes whoever changes a threshold wait for the numbers, and the numbers for the threshold.
     create function level_keeps_status() returns trigger language plpgsql as $$
     declare
       known record;
       status text;
     begin
       select low_stock_threshold, stock_status into known from skus
         where tenant_id = new.tenant_id and id = new.sku_id for share;
       status := stock_status_of(new.tenant_id, new.sku_id, known.low_stock_threshold);
       if status <> known.stock_status then
         update skus set stock_status = status where tenant_id = new.tenant_id and id = new.sku_id;
       end if;
       return null;
     end $$;
     create trigger keeps_status after insert on stock_levels for each row
       when (new.available_stock <> 0) execute function level_keeps_status();
     -- A level that is stopped, or goes on, was changed past this trigger.
     create trigger keeps_changed_status after update on stock_levels for each row
       when (new.available_stock <> old.available_stock or (new.stopped_at is null) <> (old.stopped_at is null)) execute function level_keeps_status();

     create function threshold_keeps_status() returns trigger language plpgsql as $$
     begin
       new.stock_status := stock_status_of(new.tenant_id, new.id, new.low_stock_threshold);
       return new;
     end $$;
     create trigger keeps_status before update on skus for each row
       when (new.low_stock_threshold <> old.low_stock_threshold) execute function threshold_keeps_status()`,
  );
  // What is there already belongs to many sellers: the owner steps over the wall for one statement.
  await run(
    db,
    `alter table skus no force row level security;
     alter table stock_levels no force row level security;
     update skus set stock_status = stock_status_of(tenant_id, id, low_stock_threshold)
       where stock_status <> stock_status_of(tenant_id, id, low_stock_threshold);
     alter table skus force row level security;
     alter table stock_levels force row level security`,
  );
}
