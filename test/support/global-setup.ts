import fs from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import pg from "pg";
import type { TestProject } from "vitest/node";
import { loadConfig } from "../../src/config.ts";
import { migrate } from "../../src/db/migrate.ts";
import { findFreePort } from "../../src/embedded/ports.ts";
import { startPostgres } from "../../src/embedded/postgres.ts";
import { startTemporal } from "../../src/embedded/temporal.ts";
import { findTemporal } from "../../src/embedded/temporal-binary.ts";
import { connectClient, ensureSearchAttributes, searchAttributes } from "../../src/temporal.ts";

declare module "vitest" {
  interface ProvidedContext {
    testDatabases: {
      /** May create and drop databases. */
      superuserUrl: string;
      /** Owner and processes' login, both naming the template; another database of theirs is had by its name. */
      migrationUrl: string;
      url: string;
      template: string;
    };
    testTemporal: { address: string; namespace: string };
  }
}

type Ending = () => Promise<void>;

/**
 * One PostgreSQL and one Temporal server for the whole run, both thrown away after it. Where the environment names
 * servers (MIGRATION_DATABASE_URL must then be allowed to create databases), those are used instead.
 */
export default async function setUp(project: TestProject): Promise<Ending> {
  const folder = await fs.mkdtemp(path.join(os.tmpdir(), "creatorflow-test-"));
  // The server's own user must be able to enter it.
  await fs.chmod(folder, 0o755);
  const endings: Ending[] = [() => fs.rm(folder, { recursive: true, force: true })];
  const tearDown: Ending = async () => {
    for (const end of endings.reverse()) await end();
  };
  try {
    await Promise.all([setUpPostgres(project, folder, endings), setUpTemporal(project, endings)]);
  } catch (error) {
    await tearDown();
    throw error;
  }
  return tearDown;
}

async function setUpPostgres(project: TestProject, folder: string, endings: Ending[]): Promise<void> {
  const { url, migrationUrl } = loadConfig().database;
  const server =
    url !== null && migrationUrl !== null
      ? { url, migrationUrl, superuserUrl: migrationUrl }
      : await startThrowAwayPostgres(folder, endings);
  const template = `creatorflow_template_${process.pid}`;
  const superuser = new pg.Client({ connectionString: server.superuserUrl });
  await superuser.connect();
  const owner = superuser.escapeIdentifier(decodeURIComponent(new URL(server.migrationUrl).username));
  await superuser.query(`create database ${template} owner ${owner}`);
  await superuser.end();
  const target = {
    url: inDatabase(server.url, template),
    migrationUrl: inDatabase(server.migrationUrl, template),
  };
  endings.push(() => dropDatabase(server.superuserUrl, template));
  await migrate(target);
  project.provide("testDatabases", { ...target, superuserUrl: server.superuserUrl, template });
}

async function startThrowAwayPostgres(
  folder: string,
  endings: Ending[],
): Promise<{ url: string; migrationUrl: string; superuserUrl: string }> {
  const server = await startPostgres({
    home: folder,
    port: await findFreePort(),
    log: (line) => console.log(line),
    throwAway: true,
  });
  endings.push(() => server.stop());
  return server;
}

async function setUpTemporal(project: TestProject, endings: Ending[]): Promise<void> {
  const { temporal } = loadConfig();
  const found = await findTemporal({ ...temporal, log: (line) => console.log(line) });
  const { namespace } = temporal;
  if (found.kind === "server") {
    const client = await connectClient({ address: found.address, namespace });
    await ensureSearchAttributes(client);
    await client.connection.close();
    project.provide("testTemporal", { address: found.address, namespace });
    return;
  }
  const server = await startTemporal({
    program: found.path,
    home: null,
    port: await findFreePort(),
    uiPort: null,
    namespace,
    searchAttributes,
  });
  endings.push(() => server.stop());
  project.provide("testTemporal", { address: server.address, namespace });
}

function inDatabase(url: string, name: string): string {
  const changed = new URL(url);
  changed.pathname = `/${name}`;
  return changed.href;
}

async function dropDatabase(superuserUrl: string, name: string): Promise<void> {
  const client = new pg.Client({ connectionString: superuserUrl });
  await client.connect();
  await client.query(`drop database if exists ${client.escapeIdentifier(name)} with (force)`);
  await client.end();
}
