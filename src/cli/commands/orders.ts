import type { Command } from "commander";
import {
  orderDetail,
  ordersPage,
  shortageAnswer,
  shortagePolicySchema,
  timelinePage,
} from "../../api/contract/orders.ts";
import { pathPart } from "../client.ts";
import { pageSize } from "../numbers.ts";
import { shortTime, table } from "../output.ts";
import type { CommandContext } from "../context.ts";

export function addOrderCommands(program: Command, context: CommandContext): void {
  const orders = program.command("orders").description("orders as they stand here");

  orders
    .command("list")
    .description("the newest orders; filters narrow them down")
    .option("--status <status>", "pending, processing, fulfilled, delivered, cancelled or returned")
    .option(
      "--hold <hold>",
      "shortage, remorse, unknown_sku, carrier, no_package, shipment_refused, cancel_requested, cancelling",
    )
    .option("--needs-attention", "only orders that wait for a person")
    .option("--search <text>", "beginning of an order's number or of a SKU's code")
    .option("--limit <number>", "entries to show, at most 200", pageSize, "20")
    .option("--cursor <cursor>", "where the page before ended")
    .action(async (options: Record<string, string> & { needsAttention?: true }) => {
      const api = await context.api();
      const page = await api.get(
        "/api/orders",
        {
          status: options["status"],
          hold: options["hold"],
          needs_attention: options.needsAttention === true ? "true" : undefined,
          search: options["search"],
          limit: options["limit"],
          cursor: options["cursor"],
        },
        ordersPage,
      );
      context.output.result(page, () =>
        page.orders.length === 0
          ? "No orders match."
          : [
              table(
                ["ORDER", "STATE", "HOLD", "UNITS", "ORDERED", "NEXT STEP"],
                page.orders.map((order) => [
                  order.order_number,
                  order.channel_status,
                  order.hold,
                  order.units,
                  shortTime(order.ordered_at),
                  order.next_step,
                ]),
              ),
              `${page.orders.length} of ${page.pagination.total}.${page.pagination.next_cursor === null ? "" : ` More: --cursor ${page.pagination.next_cursor}`}`,
            ].join("\n\n"),
      );
    });

  orders
    .command("show <order>")
    .description("one order, by its number: lines, packages, tracking and its whole timeline")
    .action(async (orderNumber: string) => {
      const api = await context.api();
      const route = `/api/orders/${pathPart(orderNumber)}`;
      const order = await api.get(route, {}, orderDetail);
      const timeline = await api.get(`${route}/timeline`, { limit: 200 }, timelinePage);
      context.output.result({ ...order, timeline: timeline.entries }, () =>
        [
          `Order ${order.order_number}, ${order.shop_name}: ${order.channel_status}${order.hold === null ? "" : `, held: ${order.hold}`}`,
          `Next: ${order.next_step}`,
          table(
            ["LINE", "SKU", "PRODUCT", "UNITS", "STAGE", "PACKAGE"],
            order.lines.map((line) => [
              line.line_id,
              line.sku ?? line.channel_sku_id,
              line.sku_name ?? line.product_name,
              line.ordered,
              line.stage,
              line.package_id,
            ]),
          ),
          table(
            ["WHEN", "WHAT", "DETAILS", "CAUSE"],
            timeline.entries.map((entry) => [
              shortTime(entry.at),
              `${entry.source}: ${entry.kind}`,
              briefly(entry.data),
              entry.actor_name ?? entry.cause,
            ]),
          ),
        ].join("\n\n"),
      );
    });
  addShortageCommands(orders, context);
}

function addShortageCommands(orders: Command, context: CommandContext): void {
  orders
    .command("shortage <order>")
    .description("decides what is done about units that are missing, for one order")
    .requiredOption(
      "--course <course>",
      "wait (without an end), release_others (and leave its other units to other orders), or ask (keep what it has)",
    )
    .action(async (orderNumber: string, { course }: { course: string }) => {
      const api = await context.api();
      const route = `/api/orders/${pathPart(orderNumber)}/shortage`;
      const answer = await api.post(route, { course }, shortageAnswer);
      context.output.result(answer, () => answer.next_step);
    });

  orders
    .command("shortage-policy")
    .description("what is done about paid orders that are short, unless somebody decides otherwise")
    .option("--set <policy>", "ask, wait, release_others or propose_cancelling; for shortages to come")
    .action(async ({ set: policy }: { set?: string }) => {
      const api = await context.api();
      const route = "/api/settings/shortage-policy";
      const now =
        policy === undefined
          ? await api.get(route, {}, shortagePolicySchema)
          : await api.put(route, { policy }, shortagePolicySchema);
      context.output.result(now, () => now.policy);
    });
}

function briefly(data: Readonly<Record<string, unknown>>): string {
  const text = Object.entries(data)
    .map(([key, value]) => `${key}: ${typeof value === "string" ? value : JSON.stringify(value)}`)
    .join(", ");
  return text.length > 90 ? `${text.slice(0, 87)}...` : text;
}
