import type { Findings } from "./report.ts";

export interface RunOptions {
  /** How often everything is measured. */
  readonly runs: number;
  /** A quick look: little load, figures of no weight. */
  readonly short: boolean;
}

/** One benchmark with its baseline. It starts what it needs and ends it. */
export interface Benchmark {
  /** What it is called by on the command line and in its results. */
  readonly name: string;
  readonly title: string;
  run(options: RunOptions): Promise<Findings>;
}
