import { Command, CommanderError } from "commander";
import { addAlertCommands } from "./commands/alerts.ts";
import { addChannelCommands } from "./commands/channel.ts";
import { addApprovalCommands } from "./commands/approvals.ts";
import { addDatabaseCommands } from "./commands/database.ts";
import { addDeliveryCommands } from "./commands/deliveries.ts";
import { addOrderCommands } from "./commands/orders.ts";
import { addProofCommand } from "./commands/proof.ts";
import { addSimulateCommands } from "./commands/simulate.ts";
import { addRecoverCommand } from "./commands/recover.ts";
import { addShopCommands } from "./commands/shops.ts";
import { addStockCommands } from "./commands/stock.ts";
import type { CommandContext } from "./context.ts";
import { CommandFailure } from "./failure.ts";

/**
 * Runs one command line.
 *
 * @param words what follows the program's name.
 * @returns the exit code; see `CommandFailure` for what each means.
 */
export async function runCommandLine(words: readonly string[], context: CommandContext): Promise<number> {
  const program = new Command("creatorflow")
    .description("CreatorFlow from the command line")
    .option("--json", "print results as JSON")
    .showHelpAfterError("Add --help for what it takes.")
    .exitOverride();
  addOrderCommands(program, context);
  addChannelCommands(addStockCommands(program, context), context);
  addApprovalCommands(program, context);
  addAlertCommands(program, context);
  addDeliveryCommands(program, context);
  addShopCommands(program, context);
  addSimulateCommands(program, context);
  addDatabaseCommands(program, context);
  addProofCommand(program, context);
  addRecoverCommand(program, context);
  for (const command of program.commands) followProgram(command);
  try {
    // The switch may stand anywhere.
    await program.parseAsync(
      words.filter((word) => word !== "--json"),
      { from: "user" },
    );
    return 0;
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2;
    const message = error instanceof Error ? error.message : String(error);
    context.output.failure(message, error instanceof CommandFailure ? error.advice : null);
    return error instanceof CommandFailure ? error.exitCode : 1;
  }
}

/** Commander's settings are not inherited by commands that were added before. */
function followProgram(command: Command): void {
  command.exitOverride().showHelpAfterError("Add --help for what it takes.");
  for (const inner of command.commands) followProgram(inner);
}
