import { type ChildProcess, execFile, spawn } from "node:child_process";
import fs from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { promisify } from "node:util";
import { findFreePort } from "../../src/embedded/ports.ts";
import { until } from "../support/until.ts";

/** The whole stack as `npm start` runs it, in a folder and on ports of its own. */
export interface RunningStack {
  readonly home: string;
  readonly output: () => string;
  /** Runs the command line against it and gives what it printed as JSON; rejects with stderr unless it exits 0. */
  cli<Answer>(...words: string[]): Promise<Answer>;
  /** What the proof finds once everything has settled, clean or not. */
  prove<Answer>(): Promise<Answer>;
  /** Sends the signal and gives the milliseconds until the process was gone. */
  stop(signal: "SIGINT" | "SIGTERM"): Promise<number>;
}

const root = path.resolve(import.meta.dirname, "../..");

export interface StackPlace {
  readonly home: string;
  readonly environment: NodeJS.ProcessEnv;
}

export async function makePlace(): Promise<StackPlace> {
  const home = await fs.mkdtemp(path.join(os.tmpdir(), "creatorflow-e2e-"));
  await fs.chmod(home, 0o755);
  const ports = await Promise.all(Array.from({ length: 5 }, () => findFreePort()));
  const names = ["PORT", "POSTGRES_PORT", "TEMPORAL_PORT", "TEMPORAL_UI_PORT", "SIMULATOR_PORT"];
  const inherited = Object.entries(process.env).filter(
    ([name]) => !/^(VITEST|NODE_ENV|TEMPORAL_ADDRESS|DATABASE_URL|MIGRATION_DATABASE_URL|NODE_V8)/.test(name),
  );
  return {
    home,
    environment: {
      ...Object.fromEntries(inherited),
      ...Object.fromEntries(names.map((name, index) => [name, String(ports[index])])),
      CREATORFLOW_HOME: home,
      // An hour passes in half a second, so that a test sees whole lives.
      TIME_SCALE: "7200",
    },
  };
}

/** Starts everything and waits until it says that it is up. */
export async function startStack({ home, environment }: StackPlace): Promise<RunningStack> {
  const child: ChildProcess = spawn(process.execPath, ["--import", "tsx", "src/embedded/start.ts"], {
    cwd: root,
    env: environment,
    stdio: ["ignore", "pipe", "pipe"],
  });
  let output = "";
  for (const stream of [child.stdout, child.stderr]) stream?.on("data", (chunk) => (output += String(chunk)));
  const ended = new Promise<void>((resolve) => child.once("exit", () => resolve()));
  await until(
    "the stack is up",
    () => {
      if (child.exitCode !== null) throw new Error(`it ended with ${child.exitCode}: ${output}`);
      return output.includes("CreatorFlow is up");
    },
    { seconds: 120 },
  );
  const run = (words: readonly string[]) =>
    promisify(execFile)(process.execPath, ["--import", "tsx", "src/cli/main.ts", "--json", ...words], {
      cwd: root,
      env: environment,
      maxBuffer: 64 * 1024 * 1024,
    });
  return {
    home,
    output: () => output,
    async cli(...words) {
      const { stdout } = await run(words);
      return JSON.parse(stdout) as never;
    },
    async prove() {
      const { stdout } = await run(["proof", "--settle", "90"]).catch(
        (failure: unknown) => failure as { stdout: string },
      );
      return JSON.parse(stdout) as never;
    },
    async stop(signal) {
      const began = performance.now();
      child.kill(signal);
      await ended;
      return performance.now() - began;
    },
  };
}

/** Processes that still work in a stack's folder or on its ports. */
export async function processesOf({ home }: StackPlace): Promise<readonly string[]> {
  const found: string[] = [];
  for (const pid of await fs.readdir("/proc").catch(() => [])) {
    if (!/^\d+$/.test(pid)) continue;
    const command = await fs.readFile(`/proc/${pid}/cmdline`, "utf8").catch(() => "");
    const environment = await fs.readFile(`/proc/${pid}/environ`, "utf8").catch(() => "");
    if (Number(pid) !== process.pid && `${command}\0${environment}`.includes(home))
      found.push(command.replaceAll("\0", " "));
  }
  return found;
}
