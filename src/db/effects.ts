import { sql } from "kysely";
import type { TenantId } from "../domain/ids.ts";
import type { TenantTransaction } from "./tenant.ts";

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
 * Notes that an effect is about to be attempted.
 *
 * @throws Error when the key was used before with another input: two different wishes must not share an effect.
 */
export async function beginEffect<Result>(
  transaction: TenantTransaction,
  tenantId: TenantId,
  effect: { readonly key: string; readonly kind: string; readonly input: string },
): Promise<EffectState<Result>> {
  const row = await transaction
    .insertInto("effects")
    .values({ tenant_id: tenantId, key: effect.key, kind: effect.kind, input_hash: effect.input })
    .onConflict((conflict) =>
      conflict.columns(["tenant_id", "key"]).doUpdateSet({
        attempts: sql`effects.attempts + case effects.state when 'started' then 1 else 0 end`,
      }),
    )
    .returning(["state", "result", "attempts", "input_hash"])
    .executeTakeFirstOrThrow();
  if (row.input_hash !== effect.input) {
    throw new Error(`Effect ${effect.key} was begun with another input`);
  }
  if (row.state !== "started") return { state: "finished", result: row.result as Result };
  return row.attempts === 1 ? { state: "new" } : { state: "unclear" };
}

/** Writes down how an effect ended; the first ending counts. */
export async function finishEffect(
  transaction: TenantTransaction,
  key: string,
  state: "done" | "refused",
  result: object,
): Promise<void> {
  await transaction
    .updateTable("effects")
    .set({ state, result: JSON.stringify(result), finished_at: sql`clock_timestamp()` })
    .where("key", "=", key)
    .where("state", "=", "started")
    .execute();
}

/** Forgets a refused attempt, so that the same wish may be tried again when something has changed. */
export async function reopenEffect(transaction: TenantTransaction, key: string): Promise<void> {
  await transaction
    .updateTable("effects")
    .set({ state: "started", result: null, finished_at: null, attempts: 0 })
    .where("key", "=", key)
    .where("state", "=", "refused")
    .execute();
}
