import { execFile } from "node:child_process";
import { randomBytes } from "node:crypto";
import fs from "node:fs/promises";
import path from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { promisify } from "node:util";
import pg from "pg";
import { z } from "zod";
import { refuseTakenPort } from "./ports.ts";
import {
  findPostgresPrograms,
  type PostgresPrograms,
  reachableFolder,
  type ServerUser,
  serverUser,
} from "./postgres-files.ts";
import { commandOf, type RunningProcess, startProcess } from "./processes.ts";

/**
 * The real PostgreSQL, in a folder of ours.
 *
 * What can be found at start: no data (make it beside and move it into place, so that a half made one is never taken
 * for whole), the data of an earlier start, the data of a killed one (PostgreSQL recovers by itself; we wait), or a
 * server of an earlier start that outlived its parent (it is stopped first).
 */

export interface EmbeddedPostgresOptions {
  /** Folder for `postgres/` and `postgres.json`. */
  readonly home: string;
  readonly port: number;
  readonly log: (line: string) => void;
  readonly logFile?: string;
  /** Gives up safety against a crash for speed; for tests alone. */
  readonly throwAway?: boolean;
}

export interface EmbeddedPostgres {
  /** Login of the owner: owns the database, may create roles, is no superuser. */
  readonly migrationUrl: string;
  /** Login of the processes; the migrations create it. */
  readonly url: string;
  readonly superuserUrl: string;
  readonly process: RunningProcess;
  stop(): Promise<void>;
}

const database = "creatorflow";
const startSecondsMax = 60;
/** A stop in order takes a fraction of it; one that does not is recovered from at the next start. */
const stopSecondsMax = 3;
const survivorSecondsMax = 10;

const passwordsSchema = z.object({ superuser: z.string(), owner: z.string(), app: z.string() });
type Passwords = z.output<typeof passwordsSchema>;

/**
 * Starts the server on 127.0.0.1, as another user when we are root, and waits until it serves the database.
 *
 * @throws Error naming POSTGRES_PORT when it is taken, or with the server's last lines when it does not come up.
 */
export async function startPostgres(options: EmbeddedPostgresOptions): Promise<EmbeddedPostgres> {
  const home = path.resolve(options.home);
  const place = path.join(home, "postgres");
  const user = await serverUser();
  const programs = await findPostgresPrograms(user);
  await fs.mkdir(home, { recursive: true });
  if (await exists(place)) await stopSurvivor(await fs.realpath(place), options.log);
  await refuseTakenPort(options.port, "POSTGRES_PORT", "the embedded PostgreSQL");
  const passwords = await readOrMakePasswords(home, place);
  if (!(await exists(place))) await makeData(programs, user, home, passwords.superuser, options);
  const data = await fs.realpath(place);

  const urlOf = (login: string, password: string, name = database): string =>
    `postgres://${login}:${password}@127.0.0.1:${options.port}/${name}`;
  const superuserUrl = urlOf("postgres", passwords.superuser, "postgres");
  const server = await startServer(programs, user, data, superuserUrl, options);
  try {
    await ensureOwner(superuserUrl, passwords.owner);
  } catch (error) {
    await server.stop();
    throw error;
  }
  return {
    migrationUrl: urlOf("creatorflow_owner", passwords.owner),
    url: urlOf("creatorflow_app", passwords.app),
    superuserUrl,
    process: server,
    stop: () => server.stop(),
  };
}

async function readOrMakePasswords(home: string, data: string): Promise<Passwords> {
  const file = path.join(home, "postgres.json");
  if (await exists(file)) return passwordsSchema.parse(JSON.parse(await fs.readFile(file, "utf8")));
  if (await exists(data)) {
    throw new Error(
      `${data} holds a database, but its passwords in ${file} are gone. Put them back, or move the folder away.`,
    );
  }
  const random = (): string => randomBytes(24).toString("base64url");
  const passwords = { superuser: random(), owner: random(), app: random() };
  await fs.writeFile(file, `${JSON.stringify(passwords, null, 2)}\n`, { mode: 0o600 });
  return passwords;
}

async function makeData(
  programs: PostgresPrograms,
  user: ServerUser | null,
  home: string,
  password: string,
  options: EmbeddedPostgresOptions,
): Promise<void> {
  const folder = await reachableFolder(home, user);
  const data = path.join(folder, "postgres");
  const unfinished = `${data}.unfinished`;
  await fs.rm(unfinished, { recursive: true, force: true });
  await fs.mkdir(unfinished, { mode: 0o700 });
  const passwordFile = path.join(folder, ".postgres-password");
  await fs.writeFile(passwordFile, password, { mode: 0o600 });
  if (user !== null) {
    await fs.chown(unfinished, user.uid, user.gid);
    await fs.chown(passwordFile, user.uid, user.gid);
  }
  try {
    await promisify(execFile)(
      programs.initdb,
      [
        `--pgdata=${unfinished}`,
        "--username=postgres",
        `--pwfile=${passwordFile}`,
        "--auth=scram-sha-256",
        // The builtin provider sorts alike on every machine, whatever locales it has.
        "--encoding=UTF8",
        "--locale-provider=builtin",
        "--builtin-locale=C.UTF-8",
        "--locale=C",
        "--no-instructions",
        ...(options.throwAway === true ? ["--no-sync"] : []),
      ],
      { ...user, cwd: "/" },
    );
  } catch (cause) {
    throw new Error(`The embedded PostgreSQL could not make its data folder ${data}: ${String(cause)}`, {
      cause,
    });
  } finally {
    await fs.rm(passwordFile, { force: true });
  }
  await fs.rename(unfinished, data);
  if (folder === home) return;
  options.log(`the user postgres cannot enter ${home}: the database is kept in ${data}`);
  await fs.rm(path.join(home, "postgres"), { force: true });
  await fs.symlink(data, path.join(home, "postgres"));
}

async function startServer(
  programs: PostgresPrograms,
  user: ServerUser | null,
  data: string,
  superuserUrl: string,
  options: EmbeddedPostgresOptions,
): Promise<RunningProcess> {
  const settings = {
    listen_addresses: "127.0.0.1",
    // A folder that the server's user may not write to would end it without a word; nobody needs the socket.
    unix_socket_directories: "",
    max_connections: "200",
    timezone: "UTC",
    ...(options.throwAway === true
      ? { fsync: "off", synchronous_commit: "off", full_page_writes: "off" }
      : {}),
  };
  const start = (): RunningProcess =>
    startProcess({
      name: "postgres",
      command: programs.postgres,
      args: [
        ...["-D", data, "-p", String(options.port)],
        ...Object.entries(settings).flatMap(([key, value]) => ["-c", `${key}=${value}`]),
      ],
      workingFolder: "/",
      ...(user === null ? {} : { user }),
      // INT is the fast shutdown: sessions are ended, nothing is lost, no recovery is needed next time.
      stopSignal: "INT",
      graceSeconds: stopSecondsMax,
      ...(options.logFile === undefined ? {} : { logFile: options.logFile }),
    });
  let server = start();
  const deadline = Date.now() + startSecondsMax * 1000;
  while (Date.now() < deadline) {
    if (server.hasEnded()) {
      const words = server.lastLines().join("\n");
      // The sessions of a killed server end a moment after it.
      if (!words.includes("pre-existing shared memory block")) {
        throw new Error(`The embedded PostgreSQL ended while starting (${await server.ended}):\n${words}`);
      }
      server = start();
    }
    if (await answers(superuserUrl)) return server;
    await pause(50);
  }
  await server.stop();
  throw new Error(
    `The embedded PostgreSQL did not answer within ${startSecondsMax} s:\n${server.lastLines().join("\n")}`,
  );
}

async function answers(url: string): Promise<boolean> {
  const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: 2000 });
  client.on("error", () => undefined);
  try {
    await client.connect();
    await client.query("select 1");
    return true;
  } catch {
    return false;
  } finally {
    await client.end().catch(() => undefined);
  }
}

async function ensureOwner(superuserUrl: string, password: string): Promise<void> {
  const client = new pg.Client({ connectionString: superuserUrl });
  await client.connect();
  try {
    const { rows: roles } = await client.query("select from pg_roles where rolname = 'creatorflow_owner'");
    if (roles.length === 0) {
      await client.query(
        `create role creatorflow_owner login createrole nosuperuser password ${client.escapeLiteral(password)}`,
      );
    }
    const { rows: databases } = await client.query("select from pg_database where datname = $1", [database]);
    if (databases.length === 0) await client.query(`create database ${database} owner creatorflow_owner`);
  } finally {
    await client.end();
  }
}

/** Stops a server that still runs on our data because everything above it was killed. */
async function stopSurvivor(data: string, log: (line: string) => void): Promise<void> {
  const lock = path.join(data, "postmaster.pid");
  const pid = Number.parseInt((await fs.readFile(lock, "utf8").catch(() => "")).split("\n")[0] ?? "", 10);
  if (Number.isNaN(pid)) return;
  const command = await commandOf(pid);
  if (command === null) return;
  if (!command.includes(data)) {
    // The number was given to another process since; PostgreSQL would take that one for its own.
    await fs.rm(lock, { force: true });
    return;
  }
  log(`stopping the PostgreSQL that an earlier start left behind (process ${pid})`);
  process.kill(pid, "SIGINT");
  const deadline = Date.now() + survivorSecondsMax * 1000;
  while ((await commandOf(pid)) !== null) {
    if (Date.now() > deadline) {
      throw new Error(
        `A PostgreSQL of an earlier start (process ${pid}) still uses ${data} and does not stop.`,
      );
    }
    await pause(50);
  }
}

async function exists(file: string): Promise<boolean> {
  return await fs.access(file).then(
    () => true,
    () => false,
  );
}
