import type { Command } from "commander";
import type { CommandContext } from "../context.ts";

export function addDatabaseCommands(program: Command, context: CommandContext): void {
  const database = program.command("db").description("the database");

  database
    .command("migrate")
    .description(
      "brings the schema up to date and lets the processes' login in (MIGRATION_DATABASE_URL, DATABASE_URL)",
    )
    .action(async () => {
      const { applied } = await context.migrate();
      context.output.result({ applied }, () =>
        applied.length === 0 ? "The schema is up to date." : `Applied: ${applied.join(", ")}.`,
      );
    });

  database
    .command("seed")
    .description("makes the demo seller with the simulator's shop, or brings passwords and tokens up to date")
    .action(async () => {
      const { accounts } = await context.seed();
      context.output.result({ accounts }, () => `Log in as ${accounts.join(", ")}.`);
    });
}
