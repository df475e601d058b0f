import fs from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { z } from "zod";
import { table } from "../src/cli/output.ts";

/** What a benchmark found: figures of all runs, and how they stand to their baselines and targets. */
const rowSchema = z.object({
  name: z.string(),
  unit: z.string(),
  /** One a run, in their order. */
  values: z.array(z.number()).min(1),
  median: z.number(),
});

const comparisonSchema = z.object({
  name: z.string(),
  value: z.number(),
  unit: z.string(),
  target: z.object({ bound: z.enum(["at least", "at most"]), value: z.number() }),
  met: z.boolean(),
});

export const reportSchema = z.object({
  benchmark: z.string(),
  title: z.string(),
  startedAt: z.iso.datetime(),
  machine: z.object({
    cores: z.number(),
    processor: z.string(),
    node: z.string(),
    system: z.string(),
    /** One-minute load average before and after: on a busy machine read the processor seconds, not the clock. */
    loadBefore: z.number(),
    loadAfter: z.number(),
  }),
  runs: z.number().int().positive(),
  short: z.boolean(),
  /** What was set: orders, in-flight count, the shop's rate budget. */
  settings: z.record(z.string(), z.union([z.string(), z.number()])),
  rows: z.array(rowSchema),
  comparisons: z.array(comparisonSchema),
});

export type Report = z.output<typeof reportSchema>;
export type Comparison = z.output<typeof comparisonSchema>;
export type Settings = Report["settings"];

/** One figure of one run. */
export interface Figure {
  readonly name: string;
  readonly unit: string;
  readonly value: number;
}

/** What a benchmark hands to the harness. */
export interface Findings {
  readonly settings: Settings;
  /** The figures of each run. One that a run lacks (no processor seconds off Linux) is left out of its medians. */
  readonly runs: readonly (readonly Figure[])[];
  readonly compare: (median: (name: string) => number) => readonly Comparison[];
}

/** Figures of all runs as rows, in the order in which they were first seen. */
export function rowsOf(runs: Findings["runs"]): Report["rows"] {
  const rows = new Map<string, { name: string; unit: string; values: number[] }>();
  for (const { name, unit, value } of runs.flat()) {
    const row = rows.get(name);
    if (row === undefined) rows.set(name, { name, unit, values: [value] });
    else row.values.push(value);
  }
  return [...rows.values()].map((row) => ({ ...row, median: medianOf(row.values) }));
}

/** The middle value; of an even number of values the mean of the two in the middle. */
export function medianOf(values: readonly number[]): number {
  return (quantileOf(values, 0.5, "lower") + quantileOf(values, 0.5, "upper")) / 2;
}

/** The smallest value that at least this share of the values does not exceed. */
export function quantileOf(
  values: readonly number[],
  share: number,
  side: "lower" | "upper" = "lower",
): number {
  const sorted = [...values].sort((a, b) => a - b);
  const index = side === "lower" ? Math.ceil(share * sorted.length) - 1 : Math.floor(share * sorted.length);
  const value = sorted[Math.max(0, Math.min(sorted.length - 1, index))];
  if (value === undefined) throw new Error("There is no quantile of nothing.");
  return value;
}

export function compareTo(
  name: string,
  value: number,
  unit: string,
  bound: "at least" | "at most",
  target: number,
): Comparison {
  const met = bound === "at least" ? value >= target : value <= target;
  return { name, value, unit, target: { bound, value: target }, met };
}

export function machineNow(loadBefore: number): Report["machine"] {
  return {
    cores: os.availableParallelism(),
    processor: os.cpus()[0]?.model ?? "unknown",
    node: process.version,
    system: `${os.platform()} ${os.release()}`,
    loadBefore,
    loadAfter: os.loadavg()[0] ?? 0,
  };
}

/** The report as people read it on a console. */
export function renderReport(report: Report): string {
  const { machine } = report;
  const isRepeated = report.runs > 1;
  const rows = table(
    ["MEASURED", "UNIT", "MEDIAN", ...(isRepeated ? ["RUNS"] : [])],
    report.rows.map(({ name, unit, median, values }) => [
      name,
      unit,
      readable(median),
      ...(isRepeated ? [values.map(readable).join("  ")] : []),
    ]),
  );
  const comparisons = table(
    ["AGAINST ITS BASELINE OR TARGET", "", "TARGET", ""],
    report.comparisons.map(({ name, value, unit, target, met }) => [
      name,
      `${readable(value)} ${unit}`.trim(),
      `${target.bound} ${target.value} ${unit}`.trim(),
      met ? "met" : "missed",
    ]),
  );
  const settings = Object.entries(report.settings).map(([name, value]) => `${name}: ${value}`);
  return [
    `\n${report.benchmark}: ${report.title}`,
    `${machine.cores} cores (${machine.processor}), Node ${machine.node}, ${machine.system}, load ${readable(machine.loadBefore)} → ${readable(machine.loadAfter)}; ${report.runs} runs${report.short ? ", short" : ""}`,
    ...settings,
    `\n${rows}`,
    ...(report.comparisons.length === 0 ? [] : [`\n${comparisons}`]),
  ].join("\n");
}

function readable(value: number): string {
  const digits = Math.abs(value) >= 100 ? 0 : Math.abs(value) >= 10 ? 1 : 2;
  return value.toLocaleString("en", { maximumFractionDigits: digits });
}

/** Writes the report where the next reader, or a comparison with an earlier one, finds it. */
export async function saveReport(folder: string, report: Report): Promise<void> {
  await fs.mkdir(folder, { recursive: true });
  const file = path.join(folder, `${report.benchmark}.json`);
  await fs.writeFile(file, `${JSON.stringify(reportSchema.parse(report), null, 2)}\n`);
}
