import fs from "node:fs/promises";
import type { Figure } from "./report.ts";

/** Seconds of processor time, user and system together, by the name that a process was started under. */
export type ProcessorSeconds = ReadonlyMap<string, number>;

/** Linux counts in hundredths of a second, whatever the kernel's own tick is (USER_HZ). */
const ticksPerSecond = 100;

/**
 * Processor time that the processes started by `rootPid` have used so far, each with everything below it, also what has
 * ended. Empty on systems without /proc.
 */
export async function processorSeconds(rootPid: number): Promise<ProcessorSeconds> {
  const processes = await readProcesses();
  const used = new Map<string, number>();
  for (const [pid, { parent, name }] of processes) {
    if (parent !== rootPid || name === null) continue;
    used.set(name, (used.get(name) ?? 0) + ticksBelow(processes, pid) / ticksPerSecond);
  }
  return used;
}

/** What was used between two readings. */
export function secondsBetween(before: ProcessorSeconds, after: ProcessorSeconds): ProcessorSeconds {
  return new Map([...after].map(([name, seconds]) => [name, seconds - (before.get(name) ?? 0)]));
}

/** Does some work: its seconds by the clock, and what was used meanwhile. */
export async function clocked(
  readProcessorSeconds: () => Promise<ProcessorSeconds>,
  work: () => Promise<unknown>,
): Promise<{ readonly seconds: number; readonly used: ProcessorSeconds }> {
  const before = await readProcessorSeconds();
  const began = performance.now();
  await work();
  const seconds = (performance.now() - began) / 1_000;
  return { seconds, used: secondsBetween(before, await readProcessorSeconds()) };
}

const pieces = { "ms an order": 1, "ms for 1,000": 1_000 } as const;

/** A figure for each process: its share of the work on one order, or on 1,000 of what was counted. */
export function processorFigures(
  prefix: string,
  used: ProcessorSeconds,
  unit: keyof typeof pieces,
  count: number,
): Figure[] {
  return [...used].map(([name, seconds]) => ({
    name: `${prefix}${name}`,
    unit,
    value: (seconds * 1_000 * pieces[unit]) / count,
  }));
}

interface Process {
  readonly parent: number;
  readonly ticks: number;
  /** Of the guards that our children run below; null for everything else. */
  readonly name: string | null;
}

async function readProcesses(): Promise<ReadonlyMap<number, Process>> {
  const entries = (await fs.readdir("/proc").catch(() => [])).filter((entry) => /^\d+$/.test(entry));
  const processes = new Map<number, Process>();
  for (const entry of entries) {
    const stat = await fs.readFile(`/proc/${entry}/stat`, "utf8").catch(() => null);
    if (stat === null) continue;
    const command = await fs.readFile(`/proc/${entry}/cmdline`, "utf8").catch(() => "");
    // The program's name stands in brackets and may hold spaces; after it the fields are plain (proc(5)).
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    const ticks = fields.slice(11, 15).reduce((sum, field) => sum + Number(field), 0);
    const name = /^\/bin\/sh\0-c\0.*\0creatorflow-(\w+)\0/.exec(command)?.[1] ?? null;
    processes.set(Number(entry), { parent: Number(fields[1]), ticks, name });
  }
  return processes;
}

function ticksBelow(processes: ReadonlyMap<number, Process>, pid: number): number {
  let ticks = processes.get(pid)?.ticks ?? 0;
  for (const [child, { parent }] of processes) if (parent === pid) ticks += ticksBelow(processes, child);
  return ticks;
}
