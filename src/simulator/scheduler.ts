/** What Node's timers can hold; later moments are reached in steps. */
const stepMillisecondsMax = 2 ** 31 - 1;

/**
 * Runs actions when they are due, one per key; a new time for a key replaces the old one. It lives in memory alone:
 * due times are in the books, and the scheduler is filled from them at boot, where what is overdue runs at once.
 */
export class Scheduler {
  readonly #timers = new Map<string, NodeJS.Timeout>();
  readonly #perform: (action: () => void) => void;
  #stopped = false;

  /** `perform` is handed each action when it is due, and deals with what it throws. */
  constructor(perform: (action: () => void) => void) {
    this.#perform = perform;
  }

  set(key: string, atMilliseconds: number, action: () => void): void {
    this.cancel(key);
    if (this.#stopped) return;
    const wait = Math.max(0, atMilliseconds - Date.now());
    const timer = setTimeout(
      () => {
        this.#timers.delete(key);
        if (wait > stepMillisecondsMax) {
          this.set(key, atMilliseconds, action);
          return;
        }
        this.#perform(action);
      },
      Math.min(wait, stepMillisecondsMax),
    );
    this.#timers.set(key, timer);
  }

  cancel(key: string): void {
    clearTimeout(this.#timers.get(key));
    this.#timers.delete(key);
  }

  /** Nothing runs any more, whatever is set later. */
  stop(): void {
    this.#stopped = true;
    for (const timer of this.#timers.values()) clearTimeout(timer);
    this.#timers.clear();
  }
}
