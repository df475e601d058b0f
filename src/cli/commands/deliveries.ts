import type { Command } from "commander";
import { deliveriesPage, replayAnswer } from "../../api/contract/deliveries.ts";
import { pathPart } from "../client.ts";
import type { CommandContext } from "../context.ts";
import { CommandFailure } from "../failure.ts";
import { pageSize } from "../numbers.ts";
import { shortTime, table } from "../output.ts";

export function addDeliveryCommands(program: Command, context: CommandContext): void {
  const deliveries = program.command("deliveries").description("webhooks as they were received");

  deliveries
    .command("list")
    .description("the newest deliveries and how many forged requests were turned away")
    .option("--state <state>", "waiting, processed, parked or kept")
    .option("--order <number>", "only about this order")
    .option("--limit <number>", "entries to show, at most 200", pageSize, "20")
    .option("--cursor <cursor>", "where the page before ended")
    .action(async (options: Record<string, string>) => {
      const api = await context.api();
      const page = await api.get(
        "/api/deliveries",
        {
          state: options["state"],
          order_id: options["order"],
          limit: options["limit"],
          cursor: options["cursor"],
        },
        deliveriesPage,
      );
      const rejected = page.rejections.reduce((sum, minute) => sum + minute.count, 0);
      context.output.result(page, () =>
        [
          page.deliveries.length === 0
            ? "No deliveries match."
            : table(
                ["ID", "TOPIC", "ORDER", "STATE", "TRIES", "AGAIN", "RECEIVED", "REASON"],
                page.deliveries.map((delivery) => [
                  delivery.id,
                  delivery.topic,
                  delivery.order_id,
                  delivery.state,
                  delivery.attempts,
                  delivery.duplicates,
                  shortTime(delivery.received_at),
                  delivery.reason,
                ]),
              ),
          `${rejected} requests with a wrong signature in the last day.${page.next_cursor === null ? "" : ` More: --cursor ${page.next_cursor}`}`,
        ].join("\n\n"),
      );
    });

  deliveries
    .command("replay [id]")
    .description("works a delivery off again, or with --state all that are parked or kept")
    .option("--state <state>", "parked or kept")
    .action(async (id: string | undefined, options: { state?: string }) => {
      if ((id === undefined) === (options.state === undefined)) {
        throw new CommandFailure(2, "Name one delivery, or all of a state with --state parked|kept.");
      }
      const api = await context.api();
      const answer =
        id === undefined
          ? await api.post("/api/deliveries/replay", { state: options.state }, replayAnswer)
          : await api.post(`/api/deliveries/${pathPart(id)}/replay`, {}, replayAnswer);
      context.output.result(answer, () => `${answer.replayed} to be worked off again.`);
    });
}
