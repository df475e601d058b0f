/**
 * Slows guessing down: after ten failures of an account or an address each further try must wait, twice as long each
 * time, a minute at most. Known and unknown accounts are treated alike. Kept in this process's memory, which bounds it.
 */
const freeFailures = 10;
const waitMillisecondsMax = 60_000;
const forgottenAfterMilliseconds = 15 * 60_000;
const entriesMax = 50_000;

interface Failures {
  count: number;
  lastAt: number;
}

export class LoginThrottle {
  readonly #failures = new Map<string, Failures>();

  /**
   * Notes a try before its password is looked at, so that many at once cannot slip through. After a success the account
   * is forgotten and the address's try is taken back; its other failures stay, or one good account would buy a guesser
   * ever new tries at others.
   *
   * @returns milliseconds to wait; 0 when the try may go on.
   */
  attempt(names: readonly string[], now: number): number {
    const wait = Math.max(...names.map((name) => this.#waitFor(name, now)));
    if (wait > 0) return wait;
    for (const name of names) this.#note(name, now);
    return 0;
  }

  forget(name: string): void {
    this.#failures.delete(name);
  }

  takeBack(name: string): void {
    const failures = this.#failures.get(name);
    if (failures !== undefined) failures.count -= 1;
  }

  #waitFor(name: string, now: number): number {
    const failures = this.#failures.get(name);
    if (failures === undefined || failures.count < freeFailures) return 0;
    const pause = Math.min(1_000 * 2 ** (failures.count - freeFailures), waitMillisecondsMax);
    return Math.max(0, failures.lastAt + pause - now);
  }

  #note(name: string, now: number): void {
    const known = this.#failures.get(name);
    const count = known === undefined || now - known.lastAt > forgottenAfterMilliseconds ? 0 : known.count;
    this.#failures.delete(name);
    this.#failures.set(name, { count: count + 1, lastAt: now });
    // The map keeps the order of insertion: the first is the one that was quiet for longest.
    const [oldest] = this.#failures.keys();
    if (this.#failures.size > entriesMax && oldest !== undefined) this.#failures.delete(oldest);
  }
}
