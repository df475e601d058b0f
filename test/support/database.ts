import { randomUUID } from "node:crypto";
import pg from "pg";
import { inject } from "vitest";

export interface TestDatabase {
  /** Login of the processes; what DATABASE_URL would be. */
  readonly url: string;
  /** Login of the owner; sees past no tenant wall, but owns every table. */
  readonly migrationUrl: string;
  /** Stands above row-level security: for looking at rows in a test, never for the code under test. */
  readonly superuserUrl: string;
  /** Runs SQL as the superuser and gives its rows. */
  asSuperuser<Row extends object>(statement: string, values?: readonly unknown[]): Promise<Row[]>;
  drop(): Promise<void>;
}

/** A database of a test file's own with the newest schema and no rows, cloned from a migrated template. */
export async function createTestDatabase(): Promise<TestDatabase> {
  const { superuserUrl, migrationUrl, url, template } = inject("testDatabases");
  const name = `creatorflow_test_${randomUUID().replaceAll("-", "")}`;
  const owner = decodeURIComponent(new URL(migrationUrl).username);
  await run(superuserUrl, `create database ${name} template ${template} owner "${owner}"`);
  const here = (address: string): string => address.replace(/\/[^/]*$/, `/${name}`);
  return {
    url: here(url),
    migrationUrl: here(migrationUrl),
    superuserUrl: here(superuserUrl),
    asSuperuser: (statement, values) => run(here(superuserUrl), statement, values),
    drop: async () => {
      await run(superuserUrl, `drop database if exists ${name} with (force)`);
    },
  };
}

async function run<Row extends object>(
  url: string,
  statement: string,
  values?: readonly unknown[],
): Promise<Row[]> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    const { rows } = await client.query<Row>(statement, values === undefined ? undefined : [...values]);
    return rows;
  } finally {
    await client.end();
  }
}
