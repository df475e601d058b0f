import type { Command } from "commander";
import type { z } from "zod";
import { approvalSchema, approvalsPage } from "../../api/contract/approvals.ts";
import { pathPart } from "../client.ts";
import type { CommandContext } from "../context.ts";
import { pageSize } from "../numbers.ts";
import { shortTime, table } from "../output.ts";

type Approval = z.output<typeof approvalSchema>;

export function addApprovalCommands(program: Command, context: CommandContext): void {
  const { output } = context;
  const approvals = program.command("approvals").description("large changes of stock that wait for an admin");

  approvals
    .command("list")
    .description("the newest changes that were asked for")
    .option("--state <state>", "waiting, approving, approved, rejected, expired or failed")
    .option("--limit <number>", "entries to show, at most 200", pageSize, "20")
    .option("--cursor <cursor>", "where the page before ended")
    .action(async (options: { state?: string; limit: string; cursor?: string }) => {
      const api = await context.api();
      const page = await api.get("/api/approvals", options, approvalsPage);
      output.result(page, () =>
        page.approvals.length === 0
          ? "No approvals match."
          : [
              table(
                ["ID", "SKU", "CHANGE", "UNITS", "STATE", "ON HAND NOW", "ASKED BY", "AT", "REASON"],
                page.approvals.map((each) => [
                  each.id,
                  each.sku,
                  each.kind,
                  signed(each.quantity),
                  each.state,
                  each.stock_now.on_hand,
                  each.requested_by_name,
                  shortTime(each.requested_at),
                  each.reason,
                ]),
              ),
              page.next_cursor === null ? "" : `More: --cursor ${page.next_cursor}`,
            ].join("\n\n"),
      );
    });

  approvals
    .command("show <id>")
    .description("one change, with the stock when it was asked for and now")
    .action(async (id: string) => {
      const api = await context.api();
      const approval = await api.get(`/api/approvals/${pathPart(id)}`, {}, approvalSchema);
      output.result(approval, () => textOf(approval));
    });

  for (const kind of ["approve", "reject"] as const) {
    approvals
      .command(`${kind} <id>`)
      .description(
        kind === "approve" ? "has the stock take the change, if it can" : "leaves the stock as it is",
      )
      .option("--note <text>", "for whoever asked, and for the record")
      .action(async (id: string, options: { note?: string }) => {
        const api = await context.api();
        const approval = await api.post(`/api/approvals/${pathPart(id)}/${kind}`, options, approvalSchema);
        output.result(approval, () => textOf(approval));
      });
  }
}

function textOf(approval: Approval): string {
  const { stock_when_asked: before, stock_now: now, stock_after: after, counted } = approval;
  const lines = [
    `${approval.sku}  ${approval.name}: ${approval.kind} ${signed(approval.quantity)} units${counted === null ? "" : ` (${counted} counted)`}, ${approval.state}`,
    `Asked for by ${approval.requested_by_name} at ${shortTime(approval.requested_at)}: ${approval.reason}`,
    `When asked: ${before.on_hand} on hand, ${before.available} available. Now: ${now.on_hand} on hand, ${now.available} available.`,
    ...(after === null ? [] : [`Applied: ${after.on_hand} on hand, ${after.available} available.`]),
    ...(approval.refusal === null ? [] : [`The stock refused it: ${approval.refusal}`]),
    approval.decided_by_name === null
      ? `It can be decided until ${shortTime(approval.expires_at)}.`
      : `Decided by ${approval.decided_by_name} at ${shortTime(approval.decided_at)}${approval.note === null ? "." : `: ${approval.note}`}`,
  ];
  return lines.join("\n");
}

function signed(units: number): string {
  return units > 0 ? `+${units}` : String(units);
}
