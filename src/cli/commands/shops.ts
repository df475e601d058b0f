import type { Command } from "commander";
import { shopsList } from "../../api/contract/shops.ts";
import type { CommandContext } from "../context.ts";
import { shortTime, table } from "../output.ts";

export function addShopCommands(program: Command, context: CommandContext): void {
  const shops = program.command("shops").description("the connected shops");

  shops
    .command("list")
    .description("with their last poll, what it recovered, and whether the channel answers")
    .action(async () => {
      const api = await context.api();
      const answer = await api.get("/api/shops", {}, shopsList);
      context.output.result(answer, () =>
        answer.shops.length === 0
          ? "There are no shops."
          : table(
              ["SHOP", "CHANNEL", "STATE", "LAST POLL", "SEEN", "RECOVERED", "BREAKER", "LATENCY"],
              answer.shops.map(({ poll, breaker, ...shop }) => [
                shop.name,
                shop.channel,
                shop.status_reason === null ? shop.status : `${shop.status}: ${shop.status_reason}`,
                poll?.last_error == null
                  ? shortTime(poll?.last_success_at ?? null)
                  : `${shortTime(poll.last_run_at)} failed: ${poll.last_error}`,
                String(poll?.seen ?? 0),
                String(poll?.recovered ?? 0),
                breaker.retry_at === null
                  ? breaker.state
                  : `${breaker.state} until ${shortTime(breaker.retry_at)}`,
                breaker.latency_milliseconds === null ? "" : `${Math.round(breaker.latency_milliseconds)} ms`,
              ]),
            ),
      );
    });
}
