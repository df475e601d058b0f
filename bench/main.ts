import path from "node:path";
import { parseArgs } from "node:util";
import type { Benchmark } from "./benchmark.ts";
import { burst } from "./burst.ts";
import { coldSkus } from "./cold-skus.ts";
import { continueAsNew } from "./continue-as-new.ts";
import { runBenchmark } from "./harness.ts";
import { ingest } from "./ingest.ts";
import { lifeCost } from "./life-cost.ts";
import { longHistory } from "./long-history.ts";
import { orderRate } from "./orders.ts";
import { push } from "./push.ts";
import { renderReport, saveReport } from "./report.ts";
import { size } from "./size.ts";
import { stockRate } from "./stock.ts";
import { storm } from "./storm.ts";

/** Entry point: `npm run bench -- [name ...] [--runs 3] [--short]`. Without names everything is measured. */
const benchmarks: readonly Benchmark[] = [
  lifeCost,
  orderRate,
  burst,
  stockRate,
  continueAsNew,
  coldSkus,
  ingest,
  push,
  size,
  longHistory,
  storm,
];

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { runs: { type: "string", default: "3" }, short: { type: "boolean", default: false } },
});
const runs = Number(values.runs);
const unknown = positionals.filter((name) => !benchmarks.some((benchmark) => benchmark.name === name));
if (!Number.isInteger(runs) || runs < 1 || unknown.length > 0) {
  const names = benchmarks.map(({ name, title }) => `  ${name.padEnd(8)} ${title}`);
  process.stderr.write(`npm run bench -- [name ...] [--runs 3] [--short]\n${names.join("\n")}\n`);
  process.exit(2);
}

const chosen = benchmarks.filter(({ name }) => positionals.length === 0 || positionals.includes(name));
const folder = path.join(import.meta.dirname, "results");
for (const benchmark of chosen) {
  const report = await runBenchmark(benchmark, { runs, short: values.short });
  await saveReport(folder, report);
  process.stdout.write(`${renderReport(report)}\n`);
}
process.exit(0);
