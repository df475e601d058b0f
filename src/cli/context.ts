import type { MigrationTarget } from "../db/migrate.ts";
import type { Proof } from "../proof/proof.ts";
import type { ApiClient } from "./client.ts";
import type { Output } from "./output.ts";

/** What commands work with; built in main.ts, where parts are connected. */
export interface CommandContext {
  readonly output: Output;
  /** Logs in at the first call. */
  api(): Promise<ApiClient>;
  /** @throws CommandFailure when no simulator runs here. */
  simulatorUrl(): Promise<string>;
  migrate(): Promise<{ readonly applied: readonly string[]; readonly target: MigrationTarget }>;
  seed(): Promise<{ readonly accounts: readonly string[] }>;
  prove(settleSeconds: number): Promise<Proof>;
  /** Queues what a recovery must tell, and lets `follow` watch until it is told. */
  recover(
    follow: (
      queued: { readonly orders: number; readonly skus: number },
      countUntold: () => Promise<number>,
    ) => Promise<void>,
  ): Promise<void>;
}
