import { ClassicLevel } from "classic-level";
import type { z } from "zod";

/**
 * The books on disk. Changes are made in memory, synchronously, and noted here; `flush` writes everything noted so far
 * as one atomic batch and resolves when the operating system has it, so that a killed process loses nothing it
 * answered, and half a change is never found at the next boot. Callers that flush at the same time share a batch.
 */
export class Store {
  readonly #level: ClassicLevel;
  readonly #noted = new Map<string, object | null>();
  #writing: Promise<void> | null = null;
  #next: Promise<void> | null = null;

  private constructor(level: ClassicLevel) {
    this.#level = level;
  }

  /** Fails when another process has the same folder open. */
  static async open(folder: string): Promise<Store> {
    const level = new ClassicLevel(folder);
    try {
      await level.open();
    } catch (error) {
      throw new Error(`The books in ${folder} could not be opened; is another simulator using them?`, {
        cause: error,
      });
    }
    return new Store(level);
  }

  /** Notes a record, which may still change before the next flush; null removes it. */
  note(key: string, record: object | null): void {
    this.#noted.set(key, record);
  }

  /** Resolves when all that was noted before the call is written, by whomever. Fails for good once a write failed. */
  flush(): Promise<void> {
    if (this.#next !== null) return this.#next;
    if (this.#noted.size === 0) return this.#writing ?? Promise.resolve();
    this.#next = (this.#writing ?? Promise.resolve()).then(() => {
      this.#next = null;
      this.#writing = this.#write();
      return this.#writing;
    });
    return this.#next;
  }

  async #write(): Promise<void> {
    const operations = [...this.#noted].map(([key, record]) =>
      record === null
        ? ({ type: "del", key } as const)
        : ({ type: "put", key, value: JSON.stringify(record) } as const),
    );
    this.#noted.clear();
    await this.#level.batch(operations);
  }

  /** Records under a prefix in the order of their keys, from the first key after `after`. */
  async *read(prefix: string, after = "", limit = Number.POSITIVE_INFINITY): AsyncGenerator {
    const range = { gt: `${prefix}${after}`, lt: `${prefix}\u{10ffff}`, limit };
    for await (const text of this.#level.values(range)) yield JSON.parse(text);
  }

  async close(): Promise<void> {
    await this.flush();
    await this.#level.close();
  }
}

/** Records of one kind: all of them in memory, each written through to the store when saved. */
export class Shelf<Kept extends { id: string }> {
  readonly #store: Store;
  readonly #prefix: string;
  readonly #schema: z.ZodType<Kept>;
  readonly #records = new Map<string, Kept>();

  constructor(store: Store, name: string, schema: z.ZodType<Kept>) {
    this.#store = store;
    this.#prefix = `${name}/`;
    this.#schema = schema;
  }

  async load(): Promise<void> {
    for await (const value of this.#store.read(this.#prefix)) {
      const record = this.#schema.parse(value);
      this.#records.set(record.id, record);
    }
  }

  get size(): number {
    return this.#records.size;
  }

  find(id: string): Kept | undefined {
    return this.#records.get(id);
  }

  get(id: string): Kept {
    const record = this.#records.get(id);
    if (record === undefined) throw new Error(`${this.#prefix}${id} is not in the books`);
    return record;
  }

  /** In the order in which they came to be. */
  all(): IterableIterator<Kept> {
    return this.#records.values();
  }

  save(record: Kept): void {
    this.#records.set(record.id, record);
    this.#store.note(this.#prefix + record.id, record);
  }

  remove(id: string): void {
    this.#records.delete(id);
    this.#store.note(this.#prefix + id, null);
  }
}
