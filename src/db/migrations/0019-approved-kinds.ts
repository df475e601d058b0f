import type { Kysely } from "kysely";
import { run } from "./tools.ts";

/** Receipts and write-offs may wait for an approval as adjustments do. */
export async function up(db: Kysely<unknown>): Promise<void> {
  await run(
    db,
    `alter table approvals
       add column kind text not null default 'adjust' check (kind in ('adjust', 'receive', 'damage', 'lost')),
       add constraint units_fit_the_kind check (kind = 'adjust' or (kind = 'receive') = (quantity > 0)),
       add constraint only_an_adjustment_is_counted check (kind = 'adjust' or counted is null)`,
  );
}
