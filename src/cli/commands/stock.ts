import type { Command } from "commander";
import { adjustOrAwait } from "../../api/contract/approvals.ts";
import { explanationSchema } from "../../api/contract/explain.ts";
import { productDetail, productsPage } from "../../api/contract/inventory.ts";
import { explanationText } from "../explanation.ts";
import type { ApiClient } from "../client.ts";
import { findSku } from "../find-sku.ts";
import { addBulkCommands } from "./bulk.ts";
import { addStockSettingCommands, changeText } from "./stock-settings.ts";
import type { CommandContext } from "../context.ts";
import { pageSize, wholeNumber } from "../numbers.ts";
import { shortTime, table } from "../output.ts";

/** @returns the command below which more is added. */
export function addStockCommands(program: Command, context: CommandContext): Command {
  const stock = program.command("stock").description("stock of SKUs");

  stock
    .command("show [sku]")
    .description(
      "one SKU by its code, with its last movements; without a code, the SKUs in the order of their names",
    )
    .option("--limit <number>", "without a code: SKUs to show, at most 200", pageSize, "20")
    .action(async (code: string | undefined, options: { limit: string }) => {
      const api = await context.api();
      if (code === undefined) await showList(api, context, options.limit);
      else await showSku(api, context, code);
    });

  stock
    .command("explain <sku>")
    .description("why the numbers of a SKU are what they are, down to movements, orders and listings")
    .action(async (code: string) => {
      const api = await context.api();
      const { id } = await findSku(api, code);
      const told = await api.get(`/api/inventory/products/${id}/explain`, {}, explanationSchema);
      context.output.result(told, () => explanationText(told));
    });

  stock
    .command("adjust <sku>")
    .description("adds units to a SKU, or with a minus takes them away")
    .requiredOption("--quantity <units>", "signed units, -10000 to 10000", wholeNumber(-10_000, 10_000))
    .requiredOption("--reason <text>", "why, for the ledger")
    .action(async (code: string, options: { quantity: number; reason: string }) => {
      const api = await context.api();
      const { id } = await findSku(api, code);
      const answer = await api.post(`/api/inventory/products/${id}/adjust`, options, adjustOrAwait);
      context.output.result(answer, () => changeText(code, answer));
    });
  addStockSettingCommands(stock, context);
  addBulkCommands(stock, context);
  return stock;
}

async function showList(api: ApiClient, { output }: CommandContext, limit: string): Promise<void> {
  const page = await api.get("/api/inventory/products", { limit }, productsPage);
  output.result(page, () =>
    page.products.length === 0
      ? "No SKUs yet: connect a shop first."
      : [
          table(
            ["SKU", "NAME", "ON HAND", "RESERVED", "AVAILABLE", "SHORT", "CHANNEL"],
            page.products.map((sku) => [
              sku.sku,
              sku.name,
              sku.current_stock,
              sku.reserved_stock,
              sku.available_stock,
              sku.shortage,
              sku.inventory_sync_status,
            ]),
          ),
          page.products.length < page.pagination.total
            ? `${page.products.length} of ${page.pagination.total}. More: --limit, up to 200`
            : `${page.products.length} in all.`,
        ].join("\n\n"),
  );
}

async function showSku(api: ApiClient, { output }: CommandContext, code: string): Promise<void> {
  const { id } = await findSku(api, code);
  const sku = await api.get(`/api/inventory/products/${id}`, {}, productDetail);
  output.result(sku, () =>
    [
      `${sku.sku}  ${sku.name}`,
      `${sku.current_stock} on hand - ${sku.reserved_stock} reserved = ${sku.available_stock} available; ${sku.shortage} units short; channel: ${sku.inventory_sync_status}`,
      ...(sku.stopped_since === null
        ? []
        : [
            `STOPPED since ${shortTime(sku.stopped_since)}: its numbers did not agree with its ledger, and nothing is reserved from it. Count it, then \`stock repair-level\`.`,
          ]),
      table(
        ["NO", "WHEN", "KIND", "UNITS", "ON HAND", "RESERVED", "REASON", "FOR"],
        sku.history.map((movement) => [
          movement.sequence,
          shortTime(movement.date),
          movement.kind,
          movement.quantity,
          `${movement.previous_stock} > ${movement.new_stock}`,
          `${movement.previous_reserved} > ${movement.new_reserved}`,
          movement.reason,
          movement.reference_id.split("/").slice(1).join(" line ") || movement.reference_id,
        ]),
      ),
    ].join("\n\n"),
  );
}
