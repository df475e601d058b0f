import { setTimeout as wait } from "node:timers/promises";
import type { Logger } from "pino";

export interface Loop {
  /** Ends after the pass under way. */
  stop(): Promise<void>;
}

/**
 * Does passes until it is stopped: at once again while there is work, after a rest when there was none, and after a longer
 * one when a pass failed. A failed pass loses nothing, since what it had claimed comes back.
 *
 * @param pass does some work and says how much there was.
 */
export function startLoop(
  name: string,
  pass: () => Promise<number>,
  { restMilliseconds, logger }: { readonly restMilliseconds: number; readonly logger: Logger },
): Loop {
  const stopping = new AbortController();
  const rest = (milliseconds: number) =>
    wait(milliseconds, undefined, { signal: stopping.signal }).catch(() => undefined);
  let failures = 0;
  async function run(): Promise<void> {
    while (!stopping.signal.aborted) {
      try {
        const began = performance.now();
        const done = await pass();
        failures = 0;
        if (done > 0)
          logger.info(
            { operation: name, done, duration: Math.round(performance.now() - began) },
            "worked off",
          );
        if (done === 0) await rest(restMilliseconds);
      } catch (error) {
        failures += 1;
        logger.warn({ err: error, operation: name, failures }, "A pass failed and will be made again");
        await rest(Math.min(5_000, 200 * 2 ** failures));
      }
    }
  }
  const running = run();
  return {
    async stop() {
      stopping.abort();
      await running;
    },
  };
}
