import { sql } from "kysely";
import type { TenantId } from "../domain/ids.ts";
import { currentTenant, type TenantTransaction } from "./tenant.ts";

/**
 * An effect on another system that has no idempotency keys of its own. The row is written before the call, so that an
 * attempt after a crash knows that the first one may have worked and reads the state back instead of doing it twice.
 */
export type EffectState<Result> =
  | { readonly state: "new" }
  /** An earlier attempt began and its outcome is not known. */
  | { readonly state: "unclear" }
  | { readonly state: "finished"; readonly result: Result };

/**
 * Notes that effects are about to be attempted. One that was refused is attempted anew: the same wish comes again when
 * something has changed.
 *
 * @param effects each key once.
 * @throws Error when a key was used before with another input: two different wishes must not share an effect.
 */
export async function beginEffects<Result>(
  transaction: TenantTransaction,
  tenantId: TenantId,
  kind: string,
  effects: readonly { readonly key: string; readonly input: string }[],
): Promise<ReadonlyMap<string, EffectState<Result>>> {
  const { rows } = await sql<{
    key: string;
    state: string;
    result: unknown;
    attempts: number;
    input_hash: string;
  }>`
    insert into effects as known (tenant_id, key, kind, input_hash)
    select ${tenantId}, given.key, ${kind}, given.input
    from unnest(${effects.map(({ key }) => key)}::text[], ${effects.map(({ input }) => input)}::text[])
      as given (key, input)
    order by given.key
    on conflict (tenant_id, key) do update
    set attempts = case known.state when 'started' then known.attempts + 1 when 'refused' then 1 else known.attempts end,
        state = case known.state when 'refused' then 'started' else known.state end,
        result = case known.state when 'refused' then null else known.result end,
        finished_at = case known.state when 'refused' then null else known.finished_at end
    returning key, state, result, attempts, input_hash
  `.execute(transaction);
  const inputs = new Map(effects.map(({ key, input }) => [key, input]));
  return new Map(
    rows.map(({ key, state, result, attempts, input_hash }): [string, EffectState<Result>] => {
      if (input_hash !== inputs.get(key)) throw new Error(`Effect ${key} was begun with another input`);
      if (state !== "started") return [key, { state: "finished", result: result as Result }];
      return [key, { state: attempts === 1 ? "new" : "unclear" }];
    }),
  );
}

/** Takes attempts back that never reached the other system, so that the next ones need not read anything back. */
export async function withdrawEffects(
  transaction: TenantTransaction,
  keys: readonly string[],
): Promise<void> {
  if (keys.length === 0) return;
  await transaction
    .updateTable("effects")
    .set({ attempts: 0 })
    .where("key", "in", keys)
    .where("state", "=", "started")
    // Of two attempts at once the other one may have reached it.
    .where("attempts", "=", 1)
    .execute();
}

/** Writes down how effects ended; the first ending counts. */
export async function finishEffects(
  transaction: TenantTransaction,
  endings: readonly {
    readonly key: string;
    readonly state: "done" | "refused";
    readonly result: object;
  }[],
): Promise<void> {
  if (endings.length === 0) return;
  await sql`
    update effects set state = given.state, result = given.result, finished_at = clock_timestamp()
    from jsonb_to_recordset(${JSON.stringify(endings)}::jsonb) as given (key text, state text, result jsonb)
    where effects.tenant_id = ${currentTenant} and effects.key = given.key
      and effects.state = 'started'
  `.execute(transaction);
}
