import fs from "node:fs/promises";
import path from "node:path";
import type { RunningProcess } from "../../src/embedded/processes.ts";

/** Processes of one stack, found as an operator would: by what they were started with. */

/** Numbers of the processes of a program that were told of such a folder or setting; their guards, which are shells, are left out. */
export async function findProcesses(told: string, mark: string): Promise<readonly number[]> {
  const pids = (await fs.readdir("/proc")).filter((name) => /^\d+$/.test(name));
  const found = await Promise.all(
    pids.map(async (pid) => {
      const command = await fs.readFile(`/proc/${pid}/cmdline`, "utf8").catch(() => "");
      if (!command.includes(mark) || path.basename(command.split("\0")[0] ?? "") === "sh") return null;
      const environment = await fs.readFile(`/proc/${pid}/environ`, "utf8").catch(() => "");
      return command.includes(told) || environment.includes(told) ? Number(pid) : null;
    }),
  );
  return found.filter((pid) => pid !== null);
}

/** A process and everything below it. */
export async function withDescendants(pid: number): Promise<readonly number[]> {
  const text = await fs.readFile(`/proc/${pid}/task/${pid}/children`, "utf8").catch(() => "");
  const children = text.split(" ").filter((word) => word !== "");
  const below = await Promise.all(children.map((child) => withDescendants(Number(child))));
  return [pid, ...below.flat()];
}

/** Sends a signal; one that has ended already is left in peace. */
export function signalAll(pids: readonly number[], signal: NodeJS.Signals): void {
  for (const pid of pids) {
    try {
      process.kill(pid, signal);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error;
    }
  }
}

export interface Part {
  readonly name: string;
  /** Starts it and waits until it serves. */
  start(): Promise<void>;
  /** kill -9 of it and of everything below it; resolves when it is gone. */
  kill(): Promise<void>;
  /** SIGSTOP of it and of everything below it, until `wake` or `kill`. */
  freeze(): Promise<void>;
  wake(): Promise<void>;
  isRunning(): boolean;
  /** How it ended and what it said last, when it has ended. */
  lastWords(): Promise<{ readonly how: string; readonly lines: readonly string[] }>;
  stop(): Promise<void>;
}

export function createPart(
  name: string,
  { start, pids }: { start: () => Promise<RunningProcess>; pids: () => Promise<readonly number[]> },
): Part {
  let running: RunningProcess | null = null;
  const all = async (): Promise<readonly number[]> =>
    (await Promise.all((await pids()).map(withDescendants))).flat();
  return {
    name,
    async start() {
      running = await start();
    },
    async kill() {
      signalAll(await all(), "SIGKILL");
      await running?.ended;
    },
    freeze: async () => signalAll(await all(), "SIGSTOP"),
    wake: async () => signalAll(await all(), "SIGCONT"),
    isRunning: () => running !== null && !running.hasEnded(),
    async lastWords() {
      if (running === null) throw new Error(`${name} was never started`);
      return { how: await running.ended, lines: running.lastLines() };
    },
    async stop() {
      await running?.stop();
    },
  };
}
