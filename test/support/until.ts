import { setTimeout as pause } from "node:timers/promises";

export interface UntilOptions {
  /** Bound of the wait; 30 seconds unless told. */
  readonly seconds?: number;
}

/**
 * Waits until a probe gives something other than undefined, null or false, and returns it. A probe that throws counts
 * as "not yet".
 *
 * @throws Error after the bound, saying what was waited for and how the probe answered last.
 */
export async function until<Value>(
  what: string,
  probe: () => Value | Promise<Value>,
  options: UntilOptions = {},
): Promise<NonNullable<Exclude<Value, false>>> {
  const seconds = options.seconds ?? 30;
  const deadline = performance.now() + seconds * 1000;
  let last: unknown;
  do {
    try {
      const value = await probe();
      last = value;
      if (value !== undefined && value !== null && value !== false) {
        return value as NonNullable<Exclude<Value, false>>;
      }
    } catch (error) {
      last = error;
    }
    await pause(20);
  } while (performance.now() < deadline);
  const answer = last instanceof Error ? last.message : JSON.stringify(last);
  throw new Error(`Waited ${seconds} s in vain until ${what}. Last answer: ${answer}`, {
    cause: last instanceof Error ? last : undefined,
  });
}
