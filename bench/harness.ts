import os from "node:os";
import type { Benchmark, RunOptions } from "./benchmark.ts";
import { machineNow, type Report, reportSchema, rowsOf } from "./report.ts";

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
