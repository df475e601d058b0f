import type { Socket } from "node:net";
import { Kysely, PostgresDialect, sql } from "kysely";
import pg from "pg";
import type { DB } from "./schema.generated.ts";

/** What a connection may do; each is a database role that the processes' login enters (migration 0001). */
export type DatabaseRole = "cf_app" | "cf_ingest" | "cf_dispatcher" | "cf_report";

export type Database = Kysely<DB>;

export interface DatabaseOptions {
  readonly url: string;
  readonly role: DatabaseRole;
  readonly poolSize: number;
  /** Milliseconds a statement may run; 15 s unless told. */
  readonly statementTimeoutMilliseconds?: number;
  /** Milliseconds that a caller waits for a connection, be all of them busy or the server away; 10 s unless told. */
  readonly connectTimeoutMilliseconds?: number;
}

/**
 * Opens a pool whose every connection acts as one role.
 *
 * Timestamps come back as ISO 8601 text and bigints as numbers, since what we store is JSON in the end and no count or
 * amount of ours passes 2^53; one that did would be an error, not a rounded number.
 */
export function openDatabase(options: DatabaseOptions): Database {
  const timeout = options.statementTimeoutMilliseconds ?? 15_000;
  const pool = new pg.Pool({
    Client: PreparingClient,
    connectionString: options.url,
    max: options.poolSize,
    types: valueTypes(),
    options: [
      `-c role=${options.role}`,
      `-c statement_timeout=${timeout}`,
      `-c lock_timeout=${Math.ceil(timeout / 2)}`,
      "-c idle_in_transaction_session_timeout=30000",
      "-c timezone=UTC",
    ].join(" "),
    connectionTimeoutMillis: options.connectTimeoutMilliseconds ?? 10_000,
    // The server keeps its own bound; this one is for a server that is not heard of any more.
    query_timeout: timeout + silenceMilliseconds,
  });
  // Without a listener a connection that breaks while idle would end the process; the pool replaces it by itself.
  pool.on("error", () => undefined);
  // The same for one that breaks while somebody has it and asks nothing: who asks next is told.
  pool.on("connect", (client) => client.on("error", () => undefined));
  return new Kysely<DB>({ dialect: new PostgresDialect({ pool }) });
}

/** After a statement's own time is over, how long its end may take to arrive. */
const silenceMilliseconds = 500;

/** How often a statement must come on a connection before it is prepared there, and how many are kept. */
const preparedAfter = 3;
const preparedMaximum = 200;
/** Statements whose text differs each time (lists of many lengths) are not counted for ever. */
const countedMaximum = 2_000;

/**
 * Prepares the statements that keep coming, so that the server need not parse, rewrite for row-level security and plan
 * them each time: a third of its work for short statements. A connection on which no answer comes is closed, since the
 * library would hand it out again and whoever got it would wait as long.
 */
class PreparingClient extends pg.Client {
  readonly #counts = new Map<string, number>();
  /** The names under which statements are prepared. */
  readonly #prepared = new Map<string, string>();

  // The library's overloads are many; Kysely calls with text and values, and everything else passes through.
  override query(...given: never[]): never {
    const [text, values] = given as unknown[];
    const ask = super.query.bind(this) as (...passed: unknown[]) => unknown;
    const run = (...passed: unknown[]): never => {
      const answer = ask(...passed);
      if (answer instanceof Promise) answer.catch((error: unknown) => this.#closeIfSilent(error));
      return answer as never;
    };
    if (typeof text !== "string" || !Array.isArray(values) || values.length === 0) return run(...given);
    const name = this.#nameOf(text);
    return name === null ? run(text, values) : run({ name, text, values });
  }

  #closeIfSilent(error: unknown): void {
    const isSilent = error instanceof Error && error.message === "Query read timeout";
    if (isSilent) (this as unknown as { connection: { stream: Socket } }).connection.stream.destroy();
  }

  #nameOf(text: string): string | null {
    const known = this.#prepared.get(text);
    if (known !== undefined) return known;
    const count = (this.#counts.get(text) ?? 0) + 1;
    if (count > 1 || this.#counts.size < countedMaximum) this.#counts.set(text, count);
    if (count < preparedAfter || this.#prepared.size >= preparedMaximum) return null;
    const name = `statement_${this.#prepared.size + 1}`;
    this.#counts.delete(text);
    this.#prepared.set(text, name);
    return name;
  }
}

function valueTypes(): pg.TypeOverrides {
  const types = new pg.TypeOverrides();
  types.setTypeParser(pg.types.builtins.TIMESTAMPTZ, (text) => new Date(text).toISOString());
  types.setTypeParser(pg.types.builtins.INT8, parseBigInteger);
  return types;
}

function parseBigInteger(text: string): number {
  const value = Number(text);
  if (!Number.isSafeInteger(value))
    throw new RangeError(`The database returned ${text}, which no number can hold.`);
  return value;
}

/**
 * Refuses a login that stands above the tenant wall. Row-level security does not bind a superuser or a role with
 * BYPASSRLS, so a process on such a connection would see every seller's data.
 *
 * @throws Error naming the login and what to do.
 */
export async function refusePrivilegedLogin(db: Database): Promise<void> {
  const { rows } = await sql<{ rolname: string }>`
    select rolname from pg_roles
    where rolname in (session_user, current_user) and (rolsuper or rolbypassrls)`.execute(db);
  const [privileged] = rows;
  if (privileged === undefined) return;
  throw new Error(
    `The database login "${privileged.rolname}" is a superuser or may bypass row-level security: one seller's data would not be walled off from another's. ` +
      "Put a plain login into DATABASE_URL and run `npm run cli -- db migrate`, which makes it a member of the roles it needs.",
  );
}

/** The time, ISO 8601, by the one clock that all processes share. */
export async function readClock(db: Database): Promise<string> {
  const { rows } = await sql<{ now: string }>`select clock_timestamp() as now`.execute(db);
  const [row] = rows;
  if (row === undefined) throw new Error("The database was asked for the time and returned nothing.");
  return row.now;
}
