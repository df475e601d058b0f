import os from "node:os";
import type { Benchmark, RunOptions } from "./benchmark.ts";
import { type Figure, machineNow, type Report, reportSchema, rowsOf } from "./report.ts";

/** Runs a benchmark and makes its report. */
export async function runBenchmark(benchmark: Benchmark, options: RunOptions): Promise<Report> {
  const startedAt = new Date().toISOString();
  const [loadBefore = 0] = os.loadavg();
  const findings = await benchmark.run(options);
  const rows = rowsOf(findings.runs);
  const median = (name: string): number => {
    const row = rows.find((each) => each.name === name);
    if (row === undefined) throw new Error(`${benchmark.name} measured nothing that is called "${name}".`);
    return row.median;
  };
  return reportSchema.parse({
    benchmark: benchmark.name,
    title: benchmark.title,
    startedAt,
    machine: machineNow(loadBefore),
    ...options,
    settings: findings.settings,
    rows,
    comparisons: findings.compare(median),
  });
}

/** Measures as often as was asked for, one after another. */
export async function repeated(
  runs: number,
  measure: (run: number) => Promise<readonly Figure[]>,
): Promise<(readonly Figure[])[]> {
  const found: (readonly Figure[])[] = [];
  for (let run = 0; run < runs; run += 1) found.push(await measure(run));
  return found;
}
