import { z } from "zod";

/** Says something to the person who started us. */
export function tell(line: string): void {
  process.stdout.write(`${line}\n`);
}

/** Runs one step of the start and tells what it was, how long it took and what came of it. */
export async function step<Value>(
  what: string,
  work: () => Promise<{ readonly value: Value; readonly told: string }>,
): Promise<Value> {
  const began = performance.now();
  const { value, told } = await work();
  const seconds = ((performance.now() - began) / 1000).toFixed(1);
  tell(`  ${what.padEnd(22)} ${seconds.padStart(5)} s   ${told}`.trimEnd());
  return value;
}

const logLineSchema = z.object({
  /** By name in our own logs, by number in the simulator's. */
  level: z.union([z.string(), z.number()]),
  msg: z.string().default(""),
  err: z.object({ message: z.string() }).optional(),
});
const errorLevels: ReadonlySet<string | number> = new Set(["ERROR", "FATAL", 50, 60]);
const silenceMilliseconds = 60_000;

/** What a line of one of our processes says; null when it is no line of their loggers. */
export function readLogLine(line: string): z.output<typeof logLineSchema> | null {
  if (!line.startsWith("{")) return null;
  try {
    return logLineSchema.safeParse(JSON.parse(line)).data ?? null;
  } catch {
    return null;
  }
}

/** Shows a process's errors on the console, each at most once a minute: the log file has them all. */
export function errorsOf(name: string): (line: string) => void {
  const shownAt = new Map<string, number>();
  return (line) => {
    const entry = readLogLine(line);
    if (entry === null || !errorLevels.has(entry.level)) return;
    const words = [...new Set([entry.msg, entry.err?.message])].filter(Boolean).join(": ");
    const last = shownAt.get(words);
    if (last !== undefined && Date.now() - last < silenceMilliseconds) return;
    if (shownAt.size > 1000) shownAt.clear();
    shownAt.set(words, Date.now());
    tell(`${name}: ${words}`);
  };
}
