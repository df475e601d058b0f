import { type ChildProcess, execFile, spawn } from "node:child_process";
import fs from "node:fs";
import path from "node:path";
import readline from "node:readline";
import { promisify } from "node:util";
import { inheritedEnvironment } from "./environment.ts";

/**
 * Child processes that end with us, whatever happens to us.
 *
 * Each child runs below a small shell, its guard, in a process group of its own. The guard holds the reading end of a
 * pipe whose only writing end is ours. When the pipe closes, because we close it to stop the child or because we were
 * killed with SIGKILL, the guard asks the child to stop and kills it after a bound. One path serves both cases, and the
 * children need to know nothing of it. A group of its own keeps the terminal's Ctrl-C from reaching the database before
 * the worker has drained.
 */

export interface ProcessOptions {
  /** What people know it by; also the name of its log file. */
  readonly name: string;
  readonly command: string;
  readonly args: readonly string[];
  /** Added to the environment that we were started with; null takes a key away. */
  readonly environment?: Readonly<Record<string, string | null>>;
  readonly workingFolder?: string;
  /** The user to run as; ours unless told. */
  readonly user?: { readonly uid: number; readonly gid: number };
  /** What asks it to stop; SIGTERM unless told. */
  readonly stopSignal?: "TERM" | "INT";
  /** Seconds it has from being asked to being killed. */
  readonly graceSeconds: number;
  /** Where its output goes; only the newest lines are kept, in memory, when there is none. */
  readonly logFile?: string;
  /** Told each line of its output. */
  readonly onLine?: (line: string) => void;
}

export interface RunningProcess {
  readonly name: string;
  /** Settles when it has ended, with why: "exit code 1", "SIGKILL". */
  readonly ended: Promise<string>;
  hasEnded(): boolean;
  /** The newest lines of its output, for a message. */
  lastLines(): readonly string[];
  /** Asks it to stop and waits until it has; kills it after its bound. Safe to call again. */
  stop(): Promise<void>;
}

const guard = `
unset CREATORFLOW_GUARD
signal=$1 ticks=$(($2 * 10))
shift 2
exec 3<&0 </dev/null
"$@" 3<&- &
child=$!
exec 2>/dev/null
(
  read -r _ <&3
  kill -s "$signal" "$child"
  while [ "$ticks" -gt 0 ] && kill -0 "$child"; do sleep 0.1; ticks=$((ticks - 1)); done
  kill -s KILL "$child"
) >/dev/null &
watch=$!
exec 3<&-
wait "$child"
code=$?
kill "$watch"
exit "$code"
`;
const linesKept = 40;

/** Starts a process that ends with us. What it prints goes to its log file and to `onLine`. */
export function startProcess(options: ProcessOptions): RunningProcess {
  const settings = [options.stopSignal ?? "TERM", String(options.graceSeconds)];
  const child = spawn(
    "/bin/sh",
    [
      "-c",
      'eval "$CREATORFLOW_GUARD"',
      `creatorflow-${options.name}`,
      ...settings,
      options.command,
      ...options.args,
    ],
    {
      detached: true,
      stdio: ["pipe", "pipe", "pipe"],
      ...(options.workingFolder === undefined ? {} : { cwd: options.workingFolder }),
      ...options.user,
      // Handed over in the environment, so that a process list stays readable.
      env: inheritedEnvironment({ ...options.environment, CREATORFLOW_GUARD: guard }),
    },
  );
  const lines: string[] = [];
  const logFile = options.logFile === undefined ? null : openLog(options.logFile);
  for (const output of [child.stdout, child.stderr]) {
    readline.createInterface({ input: output }).on("line", (line) => {
      lines.push(line);
      if (lines.length > linesKept) lines.shift();
      logFile?.write(`${line}\n`);
      options.onLine?.(line);
    });
  }
  // The pipe breaks when the guard ends first; that end is reported below.
  child.stdin.on("error", () => undefined);

  let over = false;
  const ended = whenEnded(child).then((how) => {
    over = true;
    logFile?.end();
    return how;
  });
  return {
    name: options.name,
    ended,
    hasEnded: () => over,
    lastLines: () => [...lines],
    stop: () => stop(child, ended, options.graceSeconds),
  };
}

export interface OwnProcessOptions extends Omit<ProcessOptions, "command" | "workingFolder"> {
  /** A JavaScript file of ours that is loaded before it, into each of its threads: those do not know TypeScript. */
  readonly preload?: string;
}

/** Starts one of our own entry points, from source or from the build, whichever this file is part of. */
export function startOwn(file: string, options: OwnProcessOptions): RunningProcess {
  const root = path.resolve(import.meta.dirname, "../..");
  const fromSource = import.meta.filename.endsWith(".ts");
  const entry = path.join(root, fromSource ? file : file.replace(/\.ts$/, ".js"));
  const preloads = [
    ...(fromSource ? ["tsx"] : []),
    ...(options.preload === undefined ? [] : [path.join(root, options.preload)]),
  ];
  return startProcess({
    ...options,
    command: process.execPath,
    args: [...preloads.flatMap((preload) => ["--import", preload]), entry, ...options.args],
    // Node looks for "tsx" from here.
    workingFolder: root,
  });
}

/** The command line of a running process of this machine; null when there is none with that number. */
export async function commandOf(pid: number): Promise<string | null> {
  try {
    // Slim container images have /proc but no `ps`; macOS is the other way round.
    const command =
      process.platform === "linux"
        ? (await fs.promises.readFile(`/proc/${pid}/cmdline`, "utf8")).replaceAll("\0", " ")
        : (await promisify(execFile)("ps", ["-o", "args=", "-p", String(pid)])).stdout;
    return command.trim() === "" ? null : command.trim();
  } catch {
    return null;
  }
}

function openLog(file: string): fs.WriteStream {
  fs.mkdirSync(path.dirname(file), { recursive: true });
  // One file a start and the one before it: enough to look back, and nothing grows for ever.
  fs.rmSync(`${file}.previous`, { force: true });
  if (fs.existsSync(file)) fs.renameSync(file, `${file}.previous`);
  return fs.createWriteStream(file, { flags: "a" });
}

async function whenEnded(child: ChildProcess): Promise<string> {
  return await new Promise((resolve) => {
    child.once("error", (error) => resolve(error.message));
    child.once("exit", (code, signal) => {
      const how = signal ?? `exit code ${code ?? "unknown"}`;
      // "close" comes when the last output was read; a grandchild that holds the pipe must not hold us as well.
      const late = setTimeout(() => resolve(how), 1000);
      child.once("close", () => {
        clearTimeout(late);
        resolve(how);
      });
    });
  });
}

async function stop(child: ChildProcess, ended: Promise<string>, graceSeconds: number): Promise<void> {
  child.stdin?.end();
  // The guard keeps the bound; ours only binds a guard that is itself stuck or gone.
  const bound = setTimeout(() => killGroup(child), (graceSeconds + 2) * 1000);
  await ended;
  clearTimeout(bound);
  killGroup(child);
}

function killGroup(child: ChildProcess): void {
  if (child.pid === undefined) return;
  try {
    process.kill(-child.pid, "SIGKILL");
  } catch {
    // No such group: everything in it has ended.
  }
}
