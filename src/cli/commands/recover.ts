import { setTimeout as wait } from "node:timers/promises";
import type { Command } from "commander";
import type { CommandContext } from "../context.ts";
import { CommandFailure } from "../failure.ts";

/** Without a worker nobody tells the workflows; what is queued stays queued. */
const standstillSecondsMaximum = 60;

export function addRecoverCommand(program: Command, context: CommandContext): void {
  program
    .command("recover")
    .description(
      "after Temporal's database was lost: every open order and every SKU with work gets its workflow again, from Postgres alone",
    )
    .action(async () => {
      const { output } = context;
      await context.recover(async ({ orders, skus }, countUntold) => {
        const began = performance.now();
        const all = orders + skus;
        let waiting = await countUntold();
        let movedAt = performance.now();
        while (waiting > 0) {
          output.progress(`${all - waiting} of ${all} told`);
          if (performance.now() - movedAt > standstillSecondsMaximum * 1_000) {
            output.endProgress();
            throw new CommandFailure(
              3,
              `${waiting} of ${all} workflows are not told yet, and nothing moves.`,
              "They stay queued. Does a worker run, and does it reach Temporal?",
            );
          }
          await wait(500);
          const left = await countUntold();
          if (left !== waiting) movedAt = performance.now();
          waiting = left;
        }
        output.endProgress();
        const seconds = Number(((performance.now() - began) / 1_000).toFixed(1));
        output.result({ orders, skus, seconds }, () =>
          [
            `${orders} open orders and ${skus} SKUs have their workflows again, after ${seconds} s.`,
            "The worker makes the shops' schedules again within a minute.",
            "Next: npm run proof -- --settle 120",
          ].join("\n"),
        );
      });
    });
}
