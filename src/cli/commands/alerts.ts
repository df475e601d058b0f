import type { Command } from "commander";
import { alertAnswer, alertDetail, alertsPage } from "../../api/contract/alerts.ts";
import { pathPart } from "../client.ts";
import type { CommandContext } from "../context.ts";
import { pageSize, wholeNumber } from "../numbers.ts";
import { shortTime, table } from "../output.ts";

export function addAlertCommands(program: Command, context: CommandContext): void {
  const alerts = program.command("alerts").description("what the seller is warned of");

  alerts
    .command("list")
    .description("the newest alerts")
    .option("--state <state>", "open, acknowledged, snoozed, resolved or rearmed (over)")
    .option("--kind <kind>", "low_stock, out_of_stock, sync_failed, drift, shortage, viral or stock_corrupt")
    .option("--severity <severity>", "warning or critical")
    .option("--limit <number>", "entries to show, at most 200", pageSize, "20")
    .option("--cursor <cursor>", "where the page before ended")
    .action(async (options: Record<string, string>) => {
      const api = await context.api();
      const page = await api.get("/api/alerts", options, alertsPage);
      context.output.result(page, () =>
        [
          page.alerts.length === 0
            ? "No alerts match."
            : table(
                ["ID", "SEVERITY", "KIND", "SKU", "STATE", "OPENED", "ORDER"],
                page.alerts.map((alert) => [
                  alert.id,
                  alert.severity,
                  alert.kind,
                  alert.sku,
                  alert.state === "snoozed" ? `until ${shortTime(alert.snoozed_until)}` : alert.state,
                  shortTime(alert.opened_at),
                  alert.recommendation?.quantity ?? null,
                ]),
              ),
          ...(page.next_cursor === null ? [] : [`More: --cursor ${page.next_cursor}`]),
        ].join("\n\n"),
      );
    });

  alerts
    .command("show <id>")
    .description("one alert, what to order, and to whom it went")
    .action(async (id: string) => {
      const api = await context.api();
      const alert = await api.get(`/api/alerts/${pathPart(id)}`, {}, alertDetail);
      context.output.result(alert, () => inWords(alert));
    });

  alerts
    .command("acknowledge <id>")
    .description("takes an alert on: nobody is told of it any more")
    .action(async (id: string) => {
      const api = await context.api();
      const answer = await api.post(`/api/alerts/${pathPart(id)}/acknowledge`, {}, alertAnswer);
      context.output.result(answer, () => `The alert is ${answer.state}.`);
    });

  alerts
    .command("snooze <id>")
    .description("puts an alert off: people are told again afterwards, if it is not over by then")
    .requiredOption("--hours <number>", "for how long, at most 719", wholeNumber(1, 719))
    .action(async (id: string, options: { hours: number }) => {
      const api = await context.api();
      const until = new Date(Date.now() + options.hours * 3_600_000).toISOString();
      const answer = await api.post(`/api/alerts/${pathPart(id)}/snooze`, { until }, alertAnswer);
      context.output.result(answer, () => `The alert is ${answer.state} until ${shortTime(until)}.`);
    });

  alerts
    .command("resolve <id>")
    .description("says that an alert is dealt with")
    .option("--reason <text>", "why, for the record")
    .action(async (id: string, options: { reason?: string }) => {
      const api = await context.api();
      const answer = await api.post(`/api/alerts/${pathPart(id)}/resolve`, options, alertAnswer);
      context.output.result(answer, () => `The alert is ${answer.state}.`);
    });
}

type Alert = ReturnType<typeof alertDetail.parse>;

function inWords(alert: Alert): string {
  const facts = [
    ["Opened", shortTime(alert.opened_at)],
    ["Available then", alert.available_when_opened],
    ["Threshold", alert.threshold],
    ["Reason", alert.reason],
    ["Acknowledged", by(alert.acknowledged_at, alert.acknowledged_by)],
    ["Snoozed until", shortTime(alert.snoozed_until)],
    ["Resolved", by(alert.resolved_at, alert.resolved_by)],
    ["Over", shortTime(alert.over_at)],
  ].filter(([, value]) => value !== null && value !== "");
  return [
    `${alert.kind} of ${alert.sku}  ${alert.name}: ${alert.severity}, ${alert.state}`,
    table(["", ""], facts),
    ...(alert.recommendation === null ? [] : [alert.recommendation.sentence]),
    alert.deliveries.length === 0
      ? "Nobody was told yet."
      : table(
          ["TO", "BY", "RUNG", "STATE", "TRIES", "WHEN", "TROUBLE"],
          alert.deliveries.map((delivery) => [
            delivery.user_name ?? "engineering",
            delivery.medium,
            delivery.rung,
            delivery.state,
            delivery.attempts,
            shortTime(delivery.ended_at ?? delivery.attempted_at),
            delivery.last_error,
          ]),
        ),
  ].join("\n\n");
}

function by(time: string | null, person: string | null): string {
  return time === null ? "" : `${shortTime(time)}${person === null ? "" : ` by ${person}`}`;
}
