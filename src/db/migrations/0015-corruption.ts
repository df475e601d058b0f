import type { Kysely } from "kysely";
import { allowOutboxKinds, run } from "./tools.ts";

/**
 * A stock level that does not agree with its ledger is stopped: it takes the ledger's numbers again, nothing more is promised
 * from it, and one movement, with what a person has counted, lets it go on.
 */
export async function up(db: Kysely<unknown>): Promise<void> {
  await run(
    db,
    `alter table stock_levels
       add column stopped_at timestamptz,
       add column stop_reason text check (length(stop_reason) between 1 and 500),
       add constraint stop_says_why check ((stopped_at is null) = (stop_reason is null));
     create index stock_levels_stopped on stock_levels (tenant_id, sku_id) where stopped_at is not null;
     create or replace function level_moves_forward() returns trigger language plpgsql as $$
     begin
       if (new.tenant_id, new.sku_id, new.location_id) is distinct from (old.tenant_id, old.sku_id, old.location_id) then
         raise exception 'a stock level cannot become another one' using errcode = 'restrict_violation';
       end if;
       -- What is being stopped goes back to its ledger, and may have been ahead of it.
       if old.stopped_at is null and new.stopped_at is not null and new.version = old.version + 1 then
         return new;
       end if;
       if (new.current_stock, new.reserved_stock) is distinct from (old.current_stock, old.reserved_stock)
          and (new.version <> old.version + 1 or new.last_sequence <= old.last_sequence) then
         raise exception 'a stock level changes only with its version and its movements' using errcode = 'restrict_violation';
       end if;
       return new;
     end $$;
     drop trigger counts_up on stock_levels;
     create trigger counts_up before update on stock_levels for each row
       when (new.version < old.version
         or (new.last_sequence < old.last_sequence and (old.stopped_at is not null or new.stopped_at is null)))
       execute function refuse_illegal_change('version and sequence never go down');
     create trigger goes_on_by_a_repair before update on stock_levels for each row
       when (old.stopped_at is not null and new.stopped_at is null and new.last_sequence <= old.last_sequence)
       execute function refuse_illegal_change('what was stopped goes on by a movement');
     alter table inventory_transactions
       drop constraint inventory_transactions_quantity_check,
       drop constraint reference_is_known,
       add constraint reference_is_known check (reference_type in ('order_line', 'adjustment', 'count', 'receipt', 'return',
         'write_off', 'transfer', 'hold', 'import', 'observation', 'opening', 'repair')),
       -- A repair that finds as many units as the ledger says is written down all the same.
       add constraint moves_units check (quantity > 0 or (quantity = 0 and kind = 'adjust' and reference_type = 'repair'))`,
  );
  await allowOutboxKinds(db, ["check_stock"]);
}
