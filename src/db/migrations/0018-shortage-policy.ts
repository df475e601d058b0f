import type { Kysely } from "kysely";
import { run } from "./tools.ts";

/** What a seller wants done about paid orders that are short, and what is done about each. */
export async function up(db: Kysely<unknown>): Promise<void> {
  await run(
    db,
    `alter table tenants add column shortage_policy text not null default 'ask'
       check (shortage_policy in ('ask', 'wait', 'release_others', 'propose_cancelling'));
     grant update (shortage_policy) on tenants to cf_app;
     alter table orders
       add column shortage_course text
         check (shortage_course in ('ask', 'wait', 'release_others', 'propose_cancelling', 'overdue')),
       add column shortage_decided_by uuid,
       add column others_released boolean not null default false,
       add constraint decided_about_a_shortage check (shortage_course is not null or shortage_decided_by is null);
     alter table order_lines drop constraint order_lines_stage_check;
     alter table order_lines add constraint stage_is_known check (stage in ('new', 'held', 'short', 'yielding', 'set_aside',
       'arranged', 'shipped', 'closing', 'cancelled', 'reversing', 'reversed', 'untracked'));
     drop trigger moves_forward on order_lines;
     create trigger asked_again_anew before update on order_lines for each row
       when (new.generation <= old.generation
         and (old.stage = 'set_aside' and new.stage in ('new', 'held', 'short', 'arranged', 'shipped')
           or old.stage = 'yielding' and new.stage in ('new', 'short')))
       execute function refuse_illegal_change('a line that was set aside is asked for only as its next generation');
     create trigger moves_forward before update on order_lines for each row when (${lineGoesBack})
       execute function refuse_illegal_change('a line never goes back')`,
  );
}

const end = ["arranged", "shipped", "closing", "cancelled", "reversing", "reversed", "untracked"];
/** Where a line may go from each stage, by way of any others; `new` may go anywhere. */
const laterStages: Readonly<Record<string, readonly string[]>> = {
  short: ["held", "yielding", "set_aside", ...end],
  held: ["short", "yielding", "set_aside", ...end],
  yielding: ["held", "short", "set_aside", "new", ...end],
  set_aside: ["new", "held", "short", "yielding", ...end],
  arranged: ["shipped", "closing", "cancelled", "reversing", "reversed", "untracked"],
  closing: ["cancelled", "reversing", "reversed"],
  shipped: ["reversing", "reversed"],
  reversing: ["reversed"],
  cancelled: [],
  reversed: [],
  untracked: [],
};

const lineGoesBack = Object.entries(laterStages)
  .map(([stage, later]) => {
    const allowed = [stage, ...later].map((each) => `'${each}'`).join(", ");
    return `old.stage = '${stage}' and new.stage not in (${allowed})`;
  })
  .join(" or ");
